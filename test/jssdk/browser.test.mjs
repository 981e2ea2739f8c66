// The SDK in Chromium against a real herald: pages of another origin load the
// script from the server, and what they show is compared with what was sent.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { Stage } from "./stage.mjs"
import { exactly, sleep, until } from "./herald.mjs"

const stage = new Stage()
let herald
before(async () => ({ herald } = await stage.start()))
after(() => stage.stop())
const scene = (t, init) => stage.scene(t, init)
const tab = (...options) => stage.tab(...options)
const becomes = (id, device, state) => until(`${id} is ${state}`, async () => (await herald.state(id, device)) === state)

test("receives, acknowledges and reports", async (t) => {
  const a = await tab(await scene(t))
  const id = await herald.push(a.device, "one", { data: { n: 7 } })
  await exactly(a, ["one"])
  assert.equal((await a.state()).transport, "websocket")
  assert.deepEqual(await a.page.evaluate(() => [last.data, last.kept]), [{ n: 7 }, true])
  await becomes(id, a.device, "received")
  await a.page.evaluate(() => last.displayed())
  await becomes(id, a.device, "displayed")
  await a.page.evaluate(() => last.clicked())
  await becomes(id, a.device, "clicked")
})

test("a withdrawal is handled and said", async (t) => {
  const a = await tab(await scene(t, () => {
    const { send } = WebSocket.prototype
    window.sent = []
    WebSocket.prototype.send = function (frame) {
      sent.push(frame)
      send.call(this, frame)
    }
  }))
  const id = await herald.push(a.device, "wrong")
  await a.shows("wrong")
  await becomes(id, a.device, "received")
  await herald.call("DELETE", `messages/${id}`)
  await until("withdrawn", async () => (await a.page.evaluate(() => withdrawn)).includes(id))
  // The event is batched, and the server reads in order: what it knows of the
  // next message was said after that. Then it must not be told again.
  await until("said", () => a.page.evaluate(() => sent.some((frame) => frame.includes('"withdrawn"'))))
  const next = await herald.push(a.device, "next")
  await a.shows("next")
  await becomes(next, a.device, "received")
  await a.page.evaluate(() => client.close())
  await a.open()
  await herald.push(a.device, "right")
  await a.shows("right")
  assert.deepEqual(await a.page.evaluate(() => withdrawn), [])
})

test("offline and back", async (t) => {
  const s = await scene(t)
  const a = await tab(s)
  await herald.push(a.device, "before")
  await a.shows("before")
  s.proxy.cut = true
  s.proxy.disconnect()
  await s.context.setOffline(true)
  await a.phase("waiting")
  for (const title of ["away 1", "away 2"]) await herald.push(a.device, title)
  s.proxy.cut = false
  await s.context.setOffline(false)
  await exactly(a, ["before", "away 1", "away 2"])
})

test("a page that is loaded again is the same device and shows nothing twice", async (t) => {
  const s = await scene(t)
  const a = await tab(s)
  const device = a.device
  const id = await herald.push(device, "once")
  await exactly(a, ["once"])
  await becomes(id, device, "received")
  await a.open()
  assert.equal(a.device, device)
  await herald.push(device, "after")
  await exactly(a, ["after"])
})

test("a lost acknowledgement does not show a message twice, even after a reload", async (t) => {
  const s = await scene(t)
  const a = await tab(s)
  // From here on what the client says is lost, and what the server says arrives.
  await a.page.evaluate(() => {
    window.lost = []
    WebSocket.prototype.send = (frame) => lost.push(frame)
  })
  await a.page.route("**/v1/receipts", (route) => route.abort())
  const id = await herald.push(a.device, "once")
  await a.shows("once")
  // The ID is kept before the acknowledgement is sent.
  await until("acknowledged in vain", () => a.page.evaluate((id) => lost.some((frame) => frame.includes(id)), id))
  await a.page.unroute("**/v1/receipts")
  assert.notEqual(await herald.state(id, a.device), "received")
  await a.open()
  await becomes(id, a.device, "received")
  assert.deepEqual(await a.shown(), [])
})

test("manual acknowledgement: what is not acknowledged comes again", async (t) => {
  const s = await scene(t)
  const a = await tab(s, `ack: "manual",`)
  const id = await herald.push(a.device, "job")
  await a.shows("job")
  await sleep(300)
  assert.notEqual(await herald.state(id, a.device), "received")
  await a.open()
  await exactly(a, ["job"])
  await a.page.evaluate(() => last.ack())
  await becomes(id, a.device, "received")
})

test("WebSocket blocked: falls back to SSE, delivers, and remembers", async (t) => {
  const s = await scene(t)
  s.proxy.noUpgrade = true
  const a = await tab(s)
  assert.equal((await a.state()).transport, "sse")
  const id = await herald.push(a.device, "by sse")
  await exactly(a, ["by sse"])
  await becomes(id, a.device, "received")
  await a.page.evaluate(() => last.clicked())
  await becomes(id, a.device, "clicked")
  const sockets = []
  a.page.on("websocket", (w) => sockets.push(w.url()))
  await a.open()
  assert.equal((await a.state()).transport, "sse")
  assert.deepEqual(sockets, [])
})

test("a proxy that buffers: falls back to long polling and still delivers", async (t) => {
  const s = await scene(t)
  s.proxy.noUpgrade = s.proxy.buffers = true
  const a = await tab(s)
  assert.equal((await a.state()).transport, "poll")
  const id = await herald.push(a.device, "polled 1")
  await a.shows("polled 1")
  await herald.push(a.device, "polled 2")
  await exactly(a, ["polled 1", "polled 2"])
  await becomes(id, a.device, "received")
})

test("two tabs have one connection, and the other takes over", async (t) => {
  const s = await scene(t)
  const sockets = []
  s.context.on("page", (p) => p.on("websocket", (w) => sockets.push(w.url())))
  const a = await tab(s)
  const b = await tab(s)
  assert.equal(sockets.length, 1)
  assert.deepEqual([(await a.state()).leader, (await b.state()).leader], [true, false])
  const first = await herald.push(a.device, "both")
  await Promise.all([exactly(a, ["both"]), exactly(b, ["both"])])
  await b.page.evaluate(() => last.clicked())
  await becomes(first, a.device, "clicked")
  await a.page.close()
  await herald.push(a.device, "between")
  await b.phase("connected", (state) => state.leader)
  await herald.push(a.device, "then")
  await exactly(b, ["both", "between", "then"])
})

test("token revoked: getToken is asked for another", async (t) => {
  const s = await scene(t)
  const register = () => herald.call("POST", "devices", { installation: "0123456789abcdef0123456789abcdef", platform: "web" })
  await s.context.exposeFunction("register", async () => (await register()).token)
  const a = await tab(s, `getToken: (why) => (asked.push(why), register()),`)
  await herald.push(a.device, "before")
  await a.shows("before")
  await herald.call("DELETE", `devices/${a.device}`)
  await until("getToken", async () => (await a.page.evaluate(() => asked)).includes("refused"))
  const state = await a.phase("connected", (now) => now.registrationId !== a.device)
  await herald.push(state.registrationId, "after")
  await exactly(a, ["before", "after"])
  assert.deepEqual(await a.page.evaluate(() => asked), ["missing", "refused"])
})

// The clock of the page jumps, as it does when a laptop sleeps.
test("sleep: a dead connection is noticed within seconds", async (t) => {
  const s = await scene(t, () => {
    const now = Date.now
    window.jump = 0
    Date.now = () => now() + window.jump
  })
  const a = await tab(s)
  s.proxy.silent = true
  await herald.push(a.device, "asleep")
  await sleep(200)
  assert.deepEqual(await a.shown(), [])
  await a.page.evaluate(() => (window.jump = 12_000))
  await a.shows("asleep") // a tick of 5 s, and 3 s for the answer; by itself it would take 63 s
  await exactly(a, ["asleep"])
})

test("a page that becomes visible asks whether the connection lives", async (t) => {
  const s = await scene(t)
  const a = await tab(s)
  s.proxy.silent = true
  await herald.push(a.device, "hidden")
  await a.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
  await exactly(a, ["hidden"])
})

// Last, because all tests share the server.
test("server killed and restarted: nothing lost, nothing twice", async (t) => {
  const s = await scene(t)
  const sse = await scene(t)
  const [a, b] = [await tab(s), await tab(sse, `transports: ["sse"],`)]
  const titles = []
  const send = async (n) => {
    for (let i = 0; i < n; i++) {
      titles.push(`m${titles.length}`)
      await Promise.all([a, b].map((x) => herald.push(x.device, titles.at(-1))))
    }
  }
  await send(30)
  await herald.kill()
  await Promise.all([a.phase("waiting"), b.phase("waiting")])
  await herald.start()
  await send(10)
  await Promise.all([exactly(a, titles), exactly(b, titles)])
  await herald.stop()
  await a.phase("waiting")
  await herald.start()
  await send(1)
  await Promise.all([exactly(a, titles), exactly(b, titles)])
})
