import assert from "node:assert/strict"
import { mock, test } from "node:test"
import { api, fakeTime, fakeTransport, identity, pass, session, settle, store } from "./sources.mjs"

function scene(t, { transports, values = store.memoryStore() } = {}) {
  fakeTime(t)
  const [ws, sse] = transports ?? [fakeTransport("ws"), fakeTransport("sse", { oneWay: true })]
  const self = { ws, sse, values, tokens: [], frames: [], errors: [], statuses: [], wanted: new Map(), refused: [], token: async () => "t" }
  self.session = new session.Session([ws, sse], { url: "http://h/", store: values }, {
    token: (refused) => (self.tokens.push(refused), self.token(refused)),
    welcome: () => {},
    frame: (frame) => self.frames.push(frame.id),
    topics: () => self.wanted,
    refused: (topics, error) => {
      for (const topic of topics) self.wanted.delete(topic)
      self.refused.push([topics.join(), error.code])
    },
    status: (status) => self.statuses.push(status),
    error: (error) => self.errors.push(error),
  })
  t.after(() => self.session.stop())
  self.phase = () => [self.session.status.phase, self.session.status.cause]
  self.open = async (transport = ws) => {
    self.session.start()
    await settle()
    transport.live.welcome()
  }
  return self
}

test("what becomes of each close code", async (t) => {
  const cases = [
    [{ code: 4003 }, "refused", "forbidden"],
    [{ status: 403 }, "refused", "forbidden"],
    [{ code: 4008 }, "waiting", "heartbeat", 1500],
    [{ code: 4009 }, "stopped", "replaced"],
    [{ code: 4010 }, "waiting", "slow", 1500],
    [{ code: 4012 }, "waiting", "draining", 1500],
    [{ code: 4013 }, "refused", "protocol"],
    [{ code: 4029 }, "waiting", "crowded", 1500],
    [{ status: 429, after: 9000 }, "waiting", "crowded", 9000],
    [{ status: 503 }, "waiting", "crowded", 1500],
    [{ code: 1006 }, "waiting", "lost", 1500],
    [{}, "waiting", "lost", 1500],
  ]
  for (const [why, phase, cause, wait] of cases) {
    await t.test(JSON.stringify(why), async (t) => {
      const s = scene(t)
      await s.open()
      s.ws.live.target.lost(why)
      assert.deepEqual(s.phase(), [phase, cause])
      assert.equal(s.session.status.retryAt, wait && Date.now() + wait)
      if (!wait) {
        await pass(3_600_000)
        assert.equal(s.ws.opened.length, 1)
        return
      }
      await pass(wait - 1)
      assert.equal(s.ws.opened.length, 1)
      await pass(1)
      assert.equal(s.ws.opened.length, 2)
      assert.equal(s.ws.opened[0].closed, true)
    })
  }
})

test("waits grow while the server is away, and begin anew after a stable connection", async (t) => {
  const s = scene(t)
  s.session.start()
  const waits = []
  for (let i = 0; i < 7; i++) {
    await settle()
    s.ws.live.target.lost({ code: 1006 })
    await settle()
    s.sse.live.target.lost({})
    waits.push(s.session.status.retryAt - Date.now())
    await pass(waits.at(-1))
  }
  assert.deepEqual(waits, [1500, 2500, 4500, 8500, 15500, 15500, 15500])
  s.ws.live.welcome()
  await pass(10_001)
  s.ws.live.target.lost({})
  assert.equal(s.session.status.retryAt - Date.now(), 1500)
})

test("the next transport is tried at once, and remembered", async (t) => {
  const values = store.memoryStore()
  const s = scene(t, { values })
  s.session.start()
  await settle()
  s.ws.live.target.lost({ code: 1006 })
  await settle()
  s.sse.live.welcome()
  assert.equal(s.session.status.transport, "sse")
  s.session.stop()
  mock.timers.reset()
  mock.restoreAll()

  const next = scene(t, { values })
  await next.open(next.sse)
  assert.equal(next.ws.opened.length, 0)
  await pass(10 * 60_000)
  next.sse.live.target.lost({})
  await pass(1500)
  assert.equal(next.ws.opened.length, 1, "the first choice is tried again after ten minutes")
})

test("what worked gets a second try", async (t) => {
  const s = scene(t)
  await s.open()
  await pass(11_000)
  s.ws.live.target.lost({})
  await pass(1500)
  s.ws.live.target.lost({ code: 1006 })
  assert.deepEqual([s.phase()[0], s.sse.opened.length], ["waiting", 0])
  await pass(2500)
  s.ws.live.target.lost({ code: 1006 })
  await settle()
  assert.equal(s.sse.opened.length, 1)
})

test("a transport that opens and says nothing has failed", async (t) => {
  const s = scene(t)
  s.session.start()
  await pass(9_999)
  assert.equal(s.sse.opened.length, 0)
  await pass(1)
  assert.deepEqual([s.ws.live.closed, s.sse.opened.length], [true, 1])
})

test("a transport that is not to be had here is passed over", async (t) => {
  const none = { name: "ws", open: () => { throw new Error("none") } }
  const sse = fakeTransport("sse")
  const s = scene(t, { transports: [none, sse] })
  await s.open(sse)
  assert.equal(s.session.status.transport, "sse")
})

test("a token that is refused is replaced at once, but not for ever", async (t) => {
  const s = scene(t)
  s.session.start()
  await settle()
  for (let refusal = 1; refusal <= 6; refusal++) {
    s.ws.live.target.lost(refusal % 2 ? { code: 4001 } : { status: 401 })
    await settle()
    assert.equal(s.session.status.phase, ["", "connecting", "waiting", "waiting", "waiting", "waiting", "refused"][refusal])
    if (s.phase()[0] === "waiting") await pass(s.session.status.retryAt - Date.now())
  }
  assert.deepEqual(s.phase(), ["refused", "token"])
  assert.deepEqual(s.tokens, ["", "t", "t", "t", "t", "t"])
})

test("a failing getToken is asked again; a final refusal to register ends it", async (t) => {
  const s = scene(t)
  s.token = () => Promise.reject(new Error("own trouble"))
  s.session.start()
  await settle()
  assert.deepEqual([...s.phase(), s.errors.length], ["waiting", "unreachable", 1])
  s.token = () => Promise.reject(new api.HeraldError(429, {}, 20_000))
  await pass(1500)
  assert.equal(s.session.status.retryAt, Date.now() + 20_000)
  s.token = () => Promise.reject(new api.HeraldError(422))
  await pass(20_000)
  assert.deepEqual(s.phase(), ["refused", "register"])
})

test("the hint to come back later is kept, whoever wakes", async (t) => {
  const s = scene(t)
  await s.open()
  s.ws.live.target.frame({ type: "reconnect", after_ms: 12_345 })
  assert.deepEqual([s.ws.live.closed, s.session.status.retryAt], [true, Date.now() + 12_345])
  s.session.wake("visible")
  s.session.wake("online")
  await pass(12_344)
  assert.equal(s.ws.opened.length, 1)
  await pass(1)
  assert.equal(s.ws.opened.length, 2)
})

test("a wait without a hint ends when the network is back", async (t) => {
  const s = scene(t)
  await s.open()
  s.ws.live.target.lost({})
  s.session.wake("online")
  await settle()
  assert.equal(s.ws.opened.length, 2)
})

test("a replaced session comes back when the page is seen", async (t) => {
  const s = scene(t)
  await s.open()
  s.ws.live.target.lost({ code: 4009 })
  s.session.wake("sleep")
  await settle()
  assert.equal(s.ws.opened.length, 1)
  s.session.wake("visible")
  await settle()
  assert.equal(s.ws.opened.length, 2)
})

test("silence: a ping after the heartbeat, the end after the timeout", async (t) => {
  const s = scene(t)
  await s.open()
  for (let i = 0; i < 10; i++) await pass(5000)
  assert.deepEqual(s.ws.live.sent, [])
  await pass(5000)
  assert.deepEqual(s.ws.live.sent, [{ type: "ping" }])
  for (let i = 0; i < 4; i++) await pass(5000)
  assert.equal(s.ws.opened.length, 1)
  await pass(5000)
  assert.deepEqual([s.ws.opened.length, s.ws.opened[0].closed, s.ws.live.sent.length], [2, true, 0])
})

test("comments of SSE are signs of life", async (t) => {
  const s = scene(t)
  s.session.start()
  await settle()
  s.ws.live.target.lost({})
  await settle()
  s.sse.live.welcome()
  for (let i = 0; i < 60; i++) {
    await pass(5000)
    if (i % 10 === 0) s.sse.live.target.heard()
  }
  assert.equal(s.sse.opened.length, 1)
})

for (const why of ["sleep", "online", "visible"]) {
  test(`after ${why}, the connection has 3 s to answer`, async (t) => {
    const s = scene(t)
    await s.open()
    if (why === "sleep") {
      // Only the clock moves: timers do not run while a machine sleeps.
      const now = Date.now
      mock.method(Date, "now", () => now() + 30_000)
      await pass(5000)
    } else s.session.wake(why)
    assert.deepEqual(s.ws.live.sent, [{ type: "ping" }])
    await pass(2999)
    assert.equal(s.ws.opened.length, 1)
    await pass(1)
    assert.equal(s.ws.opened.length, 2)
  })
}

test("a connection that answers the probe stays", async (t) => {
  const s = scene(t)
  await s.open()
  s.session.wake("visible")
  s.session.wake("online") // asks only once
  await pass(1000)
  s.ws.live.target.frame({ type: "pong" })
  await pass(10_000)
  assert.deepEqual([s.ws.opened.length, s.ws.live.sent.length], [1, 1])
})

test("a transport that cannot ask is opened again when the network changes, not whenever the page is seen", async (t) => {
  const s = scene(t, { transports: [fakeTransport("sse", { oneWay: true }), fakeTransport("other")] })
  await s.open()
  s.session.wake("visible")
  await settle()
  assert.equal(s.ws.opened.length, 1)
  s.session.wake("online")
  await settle()
  assert.equal(s.ws.opened.length, 2)
})

test("pings of the server are answered, frames of an old connection dropped", async (t) => {
  const s = scene(t)
  await s.open()
  const old = s.ws.live
  old.target.frame({ type: "ping" })
  assert.deepEqual(old.sent, [{ type: "pong" }])
  old.message("1")
  old.target.lost({ code: 4008 })
  await pass(1500)
  old.message("2")
  old.target.lost({ code: 4003 })
  s.ws.live.welcome()
  s.ws.live.message("3")
  assert.deepEqual([s.frames, s.phase()[0]], [["1", "3"], "connected"])
})

test("a confirmed send waits for its pong, and fails with the connection", async (t) => {
  const s = scene(t)
  assert.equal(s.session.send([], true), undefined)
  await s.open()
  const [a, b] = [s.session.send([{ type: "event" }], true), s.session.send([{ type: "event" }], true)]
  assert.deepEqual(s.ws.live.sent.map((f) => f.type), ["event", "ping", "event", "ping"])
  s.ws.live.target.frame({ type: "pong" })
  assert.equal(await a, true)
  s.ws.live.target.lost({})
  assert.equal(await b, false)
})

test("stop ends everything", async (t) => {
  const s = scene(t)
  await s.open()
  s.session.stop()
  await pass(3_600_000)
  assert.deepEqual([s.ws.opened.length, s.ws.live.closed, s.phase()[0]], [1, true, "idle"])
})

test("a token that was not refused is not replaced", async (t) => {
  const s = scene(t)
  let n = 0
  s.token = async () => `t${++n}`
  await s.open()
  s.ws.live.target.lost({ code: 4001 })
  await settle()
  assert.equal(s.tokens.at(-1), "t1") // the one that was refused
  s.ws.live.target.lost({}) // the next attempt fails for another reason
  await settle()
  await pass(60_000)
  assert.ok(s.tokens.length > 2)
  assert.ok(s.tokens.slice(1).every((bad) => bad === "t1"), String(s.tokens))
})

test("one refusal asks getToken once, whoever notices it", async () => {
  const asked = []
  const options = { getToken: async (why) => (asked.push(why), `t${asked.length}`) }
  const who = new identity.Identity(options, "http://h/", store.memoryStore(), fetch)
  assert.equal(await who.token(), "t1")
  assert.deepEqual(await Promise.all([who.token("t1"), who.token("t1")]), ["t2", "t2"])
  assert.equal(await who.token("t1"), "t2") // late news of the old one
  assert.deepEqual(asked, ["missing", "refused"])
})
