import assert from "node:assert/strict"
import { test } from "node:test"
import { fakeFetch, fakeTime, fakeTransport, index, pass, settle, store } from "./sources.mjs"

const registers = ({ path }) => (path === "/v1/devices" ? [200, { registration_id: "r1", token: "t1" }] : [200, {}])

function scene(t, options = {}, answers = registers) {
  if (!options.old) fakeTime(t)
  const ws = fakeTransport("ws")
  const sse = fakeTransport("sse", { oneWay: true })
  const fetch = fakeFetch(answers)
  const self = { ws, sse, fetch, shown: [], withdrawn: [], errors: [], values: options.store ?? store.memoryStore() }
  self.client = index.createClient({
    url: "http://h", appKey: "k", transports: [ws, sse], fetch, store: self.values,
    onMessage: (m) => void self.shown.push(m.id),
    onWithdraw: (w) => void self.withdrawn.push(w.id),
    onError: (error) => self.errors.push(error.message),
    ...options,
  })
  t.after(() => self.client.close())
  self.open = async (transport = ws) => {
    void self.client.connect()
    await settle()
    transport.live.welcome()
    await settle()
    return self
  }
  self.acks = () => ws.opened.flatMap((c) => c.sent).filter((f) => f.type === "ack").flatMap((f) => f.ids)
  self.receipts = () => fetch.calls.filter((c) => c.path === "/v1/receipts").flatMap((c) => c.body.receipts)
  // lose ends the connection and opens the next one.
  self.lose = async () => {
    ws.live.target.lost({ code: 4008 })
    await pass(20_000)
    ws.live.welcome()
    await settle()
  }
  return self
}

test("options that cannot work are refused", () => {
  for (const options of [{ url: "http://h" }, { url: "h", appKey: "k" }, { url: "http://h", appKey: "k", transports: [] }, { url: "http://h", appKey: "k", transports: ["pigeon"] }]) {
    assert.throws(() => index.createClient(options), TypeError)
  }
})

test("a message is shown once and acknowledged, across connections", async (t) => {
  const s = await scene(t).open()
  s.ws.live.message("1")
  s.ws.live.message("1")
  await pass(100)
  await s.lose()
  s.ws.live.message("1")
  s.ws.live.message("2")
  await pass(100)
  assert.deepEqual([s.shown, s.acks()], [["1", "2"], ["1", "1", "2"]])
})

test("a message is shown once across restarts and transports", async (t) => {
  const values = store.memoryStore()
  const a = await scene(t, { store: values }).open()
  a.ws.live.message("1")
  await pass(100)
  await a.client.close()
  const b = scene(t, { store: values, old: true, transports: undefined })
  const sse = fakeTransport("sse", { oneWay: true })
  const c = scene(t, { store: values, old: true, transports: [sse] })
  void c.client.connect()
  await settle()
  sse.live.welcome()
  sse.live.message("1")
  await pass(100)
  assert.deepEqual([c.shown, c.receipts()], [[], [{ id: "1", event: "received" }]])
  assert.equal(b.client.state.phase, "idle")
})

test("what no handler took is not acknowledged, and comes again", async (t) => {
  const s = await scene(t, { onMessage: undefined }).open()
  s.ws.live.message("1")
  await pass(100)
  s.client.on("message", () => { throw new Error("no room") })
  await s.lose()
  s.ws.live.message("1")
  await pass(100)
  assert.deepEqual([s.acks(), s.errors], [[], ["no room"]])
})

test("a promise of the handler is awaited", async (t) => {
  let done
  const s = await scene(t, { onMessage: () => new Promise((resolve) => (done = resolve)) }).open()
  s.ws.live.message("1")
  await pass(1000)
  s.ws.live.message("1") // while it is busy
  assert.deepEqual(s.acks(), [])
  done()
  await pass(100)
  assert.deepEqual(s.acks(), ["1"])
})

test("listeners can be removed", async (t) => {
  const s = scene(t)
  const seen = []
  const off = s.client.on("message", (m) => seen.push(m.id))
  await s.open()
  s.ws.live.message("1")
  off()
  s.ws.live.message("2")
  assert.deepEqual([seen, s.shown], [["1"], ["1", "2"]])
})

test("what is in a message", async (t) => {
  let m
  const s = await scene(t, { onMessage: (x) => (m = x) }).open()
  s.ws.live.message("1", { collapse_key: "k", data: [1], priority: "high" })
  assert.deepEqual([m.id, m.collapseKey, m.data, m.priority, m.kept, m.transport, m.notification], ["1", "k", [1], "high", true, "ws", { title: "1" }])
  s.ws.live.message("2", { cursor: undefined })
  assert.equal(m.kept, false)
})

test("with manual acknowledgement only what is acknowledged counts", async (t) => {
  const messages = []
  const s = await scene(t, { ack: "manual", onMessage: (m) => void messages.push(m) }).open()
  s.ws.live.message("1")
  s.ws.live.message("2")
  await pass(1000)
  assert.deepEqual(s.acks(), [])
  messages[0].ack()
  await pass(100)
  await s.lose()
  s.ws.live.message("2")
  assert.deepEqual([s.acks(), messages.length], [["1"], 2])
})

test("a withdrawal is handled once and said each time it is told", async (t) => {
  const s = await scene(t).open()
  s.ws.live.target.frame({ type: "withdraw", id: "1", cursor: "c" })
  await pass(100)
  await s.lose()
  s.ws.live.target.frame({ type: "withdraw", id: "1", cursor: "c" })
  await pass(100)
  const said = s.ws.opened.flatMap((c) => c.sent).filter((f) => f.type === "event")
  assert.deepEqual([s.withdrawn, said], [["1"], Array(said.length).fill({ type: "event", event: "withdrawn", ids: ["1"] })])
  assert.ok(said.length >= 2)
})

test("a click that the server may not have is said again", async (t) => {
  const s = await scene(t, {}, (call) => (call.path === "/v1/receipts" ? [0] : registers(call))).open()
  s.client.clicked("1")
  await pass(100)
  await s.lose() // no pong came
  await pass(31_000)
  const clicks = s.ws.opened.map((c) => c.sent.filter((f) => f.event === "clicked").length)
  assert.deepEqual(clicks, [1, 1])
  s.ws.live.target.frame({ type: "pong" })
  await settle()
  await s.lose()
  await pass(31_000)
  assert.equal(s.ws.live.sent.filter((f) => f.event === "clicked").length, 0)
})

test("IDs are checked", (t) => {
  const s = scene(t)
  assert.throws(() => s.client.clicked("1", "x"), TypeError)
})

test("receipts that are refused for good are reported and dropped; others wait", async (t) => {
  let status = 500
  const s = scene(t, {}, (call) => (call.path === "/v1/receipts" ? [status, { detail: "no" }] : registers(call)))
  void s.client.connect()
  await settle()
  s.ws.live.target.lost({})
  await settle()
  s.sse.live.welcome()
  s.client.displayed("1")
  await pass(100)
  assert.deepEqual([s.receipts().length, s.errors], [1, []])
  status = 422
  await pass(2000)
  assert.deepEqual([s.receipts().length, s.errors], [2, ["no"]])
  await pass(60_000)
  assert.equal(s.receipts().length, 2)
})

test("close says what was not said yet", async (t) => {
  const s = await scene(t).open()
  s.client.clicked("7")
  await s.client.close()
  assert.deepEqual([s.receipts(), s.client.state.phase, s.ws.live.closed], [[{ id: "7", event: "clicked" }], "idle", true])
})

test("registers once, keeps installation and token, and takes a newer token", async (t) => {
  const values = store.memoryStore()
  const a = await scene(t, { store: values }).open()
  const [call] = a.fetch.calls
  assert.match(call.body.installation, /^[0-9a-f]{48}$/)
  assert.deepEqual([call.path, call.body.app_key, call.token, a.ws.live.target.token], ["/v1/devices", "k", undefined, "t1"])
  a.ws.live.welcome({ token: "t2" })
  await settle()
  await a.client.close()

  const b = await scene(t, { store: values, old: true }).open()
  assert.deepEqual([b.fetch.calls.length, b.ws.live.target.token, b.client.state.registrationId], [0, "t2", "r1"])
  b.ws.live.target.lost({ code: 4001 })
  await settle()
  assert.deepEqual([b.fetch.calls.length, b.fetch.calls[0].body.installation], [1, call.body.installation])

  await b.client.register({ alias_token: "a" })
  assert.deepEqual([b.fetch.calls.length, b.fetch.calls[1].body.alias_token], [2, "a"])
})

test("getToken is called at first and after a refusal, and never registers", async (t) => {
  const asked = []
  const s = await scene(t, { appKey: undefined, getToken: (why) => (asked.push(why), `own${asked.length}`) }).open()
  s.ws.live.target.lost({ code: 4001 })
  await settle()
  assert.deepEqual([asked, s.ws.opened.map((c) => c.target.token), s.fetch.calls], [["missing", "refused"], ["own1", "own2"], []])
  await assert.rejects(s.client.register(), TypeError)
})

test("connect is fulfilled at the connection, and rejected by a refusal or close", async (t) => {
  const s = scene(t)
  const first = s.client.connect()
  await settle()
  s.ws.live.welcome()
  await first
  await s.client.connect()
  s.ws.live.target.lost({ code: 4003 })
  const second = s.client.connect()
  await settle()
  s.ws.live.target.lost({ code: 4003 })
  await assert.rejects(second, /forbidden/)
  const third = s.client.connect()
  await s.client.close()
  await assert.rejects(third, /closed/)
})

test("an error frame reaches onError with its remedy", async (t) => {
  const s = await scene(t).open()
  s.ws.live.target.frame({ type: "error", code: "invalid_request", detail: "bad id" })
  s.ws.live.target.frame({ type: "future", id: "9" })
  assert.deepEqual([s.errors, s.shown], [["bad id"], []])
})
