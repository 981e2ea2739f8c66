// Moving up: a better transport is tried while another works, and topics that
// change where they stand in the address.
import assert from "node:assert/strict"
import { test } from "node:test"
import { api, fakeTime, fakeTransport, pass, session, settle, store } from "./sources.mjs"

function scene(t, names = ["ws", "sse"]) {
  fakeTime(t)
  const transports = names.map((name) => fakeTransport(name, { oneWay: name !== "ws" }))
  const self = { transports, frames: [], phases: [], wanted: new Map(), refused: [] }
  self.session = new session.Session(transports, { url: "http://h/", store: store.memoryStore() }, {
    token: async () => "t",
    welcome: () => {},
    frame: (frame) => self.frames.push(frame.id ?? frame.data),
    topics: () => self.wanted,
    refused(topics, error) {
      for (const topic of topics) self.wanted.delete(topic)
      self.refused.push([topics.join(), error.code])
    },
    status: ({ phase, transport }) => self.phases.push(`${phase} ${transport ?? ""}`.trim()),
    error: (error) => assert.fail(error),
  })
  t.after(() => self.session.stop())
  // fallen connects by the last transport, as those before it are blocked.
  self.fallen = async () => {
    self.session.start()
    await settle()
    for (const blocked of transports.slice(0, -1)) {
      blocked.live.target.lost({ code: 1006 })
      await settle()
    }
    transports.at(-1).live.welcome()
    self.phases.length = 0
  }
  self.opened = () => transports.map((x) => x.opened.length).join()
  self.want = async (...topics) => {
    self.wanted = new Map(topics.map((topic) => [topic, false]))
    self.session.sync()
    await pass(50)
  }
  return self
}

// spend lets time go by in small steps, since a leap looks like sleep, and lets
// the transport that works be heard.
async function spend(seconds, transport) {
  for (let i = 1; i <= seconds; i++) {
    await pass(1000)
    if (i % 20 === 0) transport.live.target.heard()
  }
}

const refusal = (status, detail) => ({ error: new api.HeraldError(status, { code: "forbidden", field: "topic", detail }) })

test("a better transport is tried after a minute, then ever more rarely up to half an hour", async (t) => {
  const s = scene(t)
  await s.fallen()
  const waits = []
  for (let since = 1; waits.length < 7; since++) {
    await spend(1, s.transports[1])
    if (since % 20 === 0) s.transports[1].live.target.heard()
    if (s.transports[0].opened.length === waits.length + 1) continue
    waits.push(since)
    s.transports[0].live.target.lost({ code: 1006 })
    since = 0
  }
  assert.deepEqual(waits, [60, 120, 240, 480, 960, 1800, 1800])
  assert.deepEqual([s.opened(), s.phases], ["8,1", []], "the connection that works was left alone")
})

test("it moves when the better one is welcomed, and hears the other until then", async (t) => {
  const s = scene(t)
  await s.fallen()
  const [ws, sse] = s.transports
  await spend(60, sse)
  sse.live.message("1")
  ws.live.message("2") // before its welcome nothing counts
  ws.live.welcome()
  sse.live.message("3")
  ws.live.message("4")
  assert.deepEqual([s.frames, s.phases, sse.live.closed], [["1", "4"], ["connected ws"], true])
  await spend(300, ws)
  assert.equal(ws.opened.filter((c) => !c.closed).length, 1)
})

test("one that opens and says nothing is given up, and the next is tried", async (t) => {
  const s = scene(t, ["ws", "sse", "poll"])
  await s.fallen()
  await spend(60, s.transports[2])
  assert.equal(s.opened(), "2,1,1")
  await spend(10, s.transports[2])
  assert.deepEqual([s.opened(), s.transports[0].live.closed], ["2,2,1", true])
  s.transports[1].live.welcome()
  assert.deepEqual(s.phases, ["connected sse"])
  await spend(120, s.transports[1])
  assert.equal(s.opened(), "3,2,1", "and from there upwards again")
})

test("the network's return and a page that is seen are reasons to try", async (t) => {
  const s = scene(t)
  await s.fallen()
  const [ws, sse] = s.transports
  await spend(60, sse)
  ws.live.target.lost({ code: 1006 })
  s.session.wake("visible")
  assert.equal(ws.opened.length, 2, "not so soon after the last time")
  await spend(61, sse)
  s.session.wake("visible")
  assert.equal(ws.opened.length, 3)
  ws.live.target.lost({ code: 1006 })
  s.session.wake("online") // SSE cannot ask whether it lives, so it is opened again
  await settle()
  sse.live.welcome()
  await pass(0)
  assert.deepEqual([ws.opened.length, sse.opened.length], [4, 2])
})

test("the end of the connection is the end of the trial", async (t) => {
  const s = scene(t)
  await s.fallen()
  await spend(60, s.transports[1])
  s.transports[1].live.target.lost({ code: 4010 })
  assert.equal(s.transports[0].live.closed, true)
  s.transports[0].live.welcome()
  assert.deepEqual(s.phases, ["waiting"])
})

test("frames subscribe where there are frames, again at each connection", async (t) => {
  const s = scene(t)
  s.wanted = new Map([["a", false], ["b", true]])
  s.session.start()
  await settle()
  const [ws] = s.transports
  ws.live.welcome()
  const said = () => ws.live.sent.map(({ type, topics, presence }) => `${type} ${topics} ${presence ?? ""}`.trim())
  assert.deepEqual(said(), ["subscribe a false", "subscribe b true"])
  s.wanted = new Map([["b", false], ["c", false]])
  s.session.sync()
  assert.deepEqual(said().slice(2), ["unsubscribe a", "subscribe b false", "subscribe c false"])
  ws.live.target.lost({ code: 4010 })
  await pass(1500)
  ws.live.welcome()
  assert.deepEqual(said(), ["subscribe b false", "subscribe c false"])
  ws.live.target.frame({ type: "error", code: "forbidden", detail: "no", field: "topic", ref: ws.live.sent[1].ref })
  await settle()
  assert.deepEqual([s.refused, [...s.wanted.keys()], s.frames], [[["c", "forbidden"]], ["b"], []])
})

test("an answered request, and one whose connection ends", async (t) => {
  const s = scene(t)
  assert.equal(s.session.request({ type: "publish" }), undefined)
  s.session.start()
  await settle()
  const [ws] = s.transports
  ws.live.welcome()
  const [a, b] = [s.session.request({ type: "publish" }), s.session.request({ type: "publish" })]
  ws.live.target.frame({ type: "published", ref: ws.live.sent[0].ref })
  ws.live.target.lost({ code: 4010 })
  assert.deepEqual([(await a).type, await b], ["published", undefined])
})

test("where topics stand in the address, another connection takes over", async (t) => {
  const s = scene(t, ["sse"])
  s.wanted = new Map([["a b", false]])
  await s.fallen()
  const [sse] = s.transports
  assert.equal(sse.live.target.topics, "&topic=a%20b")
  s.session.sync()
  await pass(1000)
  assert.equal(sse.opened.length, 1, "nothing has changed")
  s.wanted.set("c/d", true)
  s.session.sync()
  s.wanted.set("e", false)
  s.session.sync()
  await pass(50)
  assert.deepEqual([sse.opened.length, sse.live.target.topics], [2, "&topic=a%20b&topic=c%2Fd&topic=e&presence=1"])
  sse.live.welcome()
  assert.deepEqual([s.phases, sse.opened[0].closed, sse.live.closed], [["connected sse"], true, false])
})

test("topics that change while a better transport is tried do not wait for it", async (t) => {
  const s = scene(t)
  await s.fallen()
  const [ws, sse] = s.transports
  await spend(60, sse)
  await s.want("a")
  assert.deepEqual([ws.live.closed, sse.opened.length], [true, 2])
  sse.live.welcome()
  assert.equal(sse.live.target.topics, "&topic=a")
})

test("a topic that is refused in the address is dropped, the others stay", async (t) => {
  const s = scene(t, ["sse"])
  s.wanted = new Map([["ok", false], ["bad", false], ["x".repeat(99), false]])
  s.session.start()
  await settle()
  const [sse] = s.transports
  sse.live.target.lost(refusal(403, 'a device may not subscribe to "bad"'))
  await settle()
  sse.live.target.lost(refusal(403, `a device may not subscribe to "${"x".repeat(60)}"`))
  await settle()
  assert.deepEqual([sse.live.target.topics, s.refused.map(([topic]) => topic.slice(0, 3))], ["&topic=ok", ["bad", "xxx"]])
  sse.live.welcome()
  await s.want("ok", "worse")
  sse.live.target.lost(refusal(403, 'a device may not subscribe to "worse"'))
  sse.live.welcome()
  assert.deepEqual([sse.live.target.topics, s.refused.length], ["&topic=ok", 3])
})

test("a refusal that names no topic drops them all, and one without topics is final", async (t) => {
  const s = scene(t, ["sse"])
  s.wanted = new Map([["a", false], ["b", false]])
  s.session.start()
  await settle()
  const [sse] = s.transports
  sse.live.target.lost(refusal(422, "too many topics"))
  await settle()
  assert.deepEqual([sse.live.target.topics, s.refused], ["", [["a,b", "forbidden"]]])
  sse.live.target.lost(refusal(403, "no"))
  assert.equal(s.session.status.phase, "refused")
})

test("a subscription that ends because the rules changed", async (t) => {
  for (const name of ["ws", "sse"]) {
    await t.test(name, async (t) => {
      const s = scene(t, [name])
      s.wanted = new Map([["a", false], ["b", false]])
      await s.fallen()
      const [transport] = s.transports
      transport.live.target.frame({ type: "error", code: "forbidden", field: "topic", detail: 'no longer "a"' })
      assert.deepEqual([s.refused, s.frames], [[["a", "forbidden"]], []])
      transport.live.target.frame({ type: "error", code: "forbidden", field: "topic", detail: "of another kind", data: "shown" })
      assert.deepEqual(s.frames, ["shown"])
    })
  }
})
