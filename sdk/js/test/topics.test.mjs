import assert from "node:assert/strict"
import { test } from "node:test"
import { fakeFetch, fakeTime, fakeTransport, index, pass, settle, store } from "./sources.mjs"

// scene gives a client over one transport; `published` answers POST /v1/publish.
async function scene(t, { oneWay = false, published = () => [200] } = {}) {
  fakeTime(t)
  const transport = fakeTransport("x", { oneWay })
  let tokens = 0
  const fetch = fakeFetch((call) => (call.path === "/v1/publish" ? published(call) : [200]))
  const errors = []
  const client = index.createClient({
    url: "http://h", getToken: async () => `t${++tokens}`, transports: [transport], fetch, store: store.memoryStore(),
    onMessage() {}, onError: (error) => errors.push(error),
  })
  t.after(() => client.close())
  void client.connect()
  await settle()
  transport.live.welcome()
  const sent = (type) => transport.live.sent.filter((frame) => frame.type === type)
  const says = (frame) => transport.live.target.frame(frame)
  return { transport, client, fetch, errors, sent, says }
}

test("each handler of a topic is called until it is removed", async (t) => {
  const s = await scene(t)
  const heard = []
  const off = s.client.subscribe("a", ({ topic, data, time, from }) => heard.push([1, topic, data, time, from]))
  const off2 = s.client.subscribe("a", ({ data }) => heard.push([2, data]))
  assert.deepEqual(s.sent("subscribe").map((f) => f.topics), [["a"]])
  s.says({ type: "topic", topic: "a", data: { n: 1 }, time: "now", from: "r2" })
  s.says({ type: "topic", topic: "b", data: "another" })
  off()
  off()
  s.says({ type: "topic", topic: "a", data: null })
  assert.deepEqual(heard, [[1, "a", { n: 1 }, "now", "r2"], [2, { n: 1 }], [2, null]])
  assert.deepEqual(s.sent("unsubscribe"), [])
  off2()
  assert.deepEqual(s.sent("unsubscribe").map((f) => f.topics), [["a"]])
  s.says({ type: "topic", topic: "a", data: "late" })
  assert.equal(heard.length, 3)
})

test("a filter gets what it selects", async (t) => {
  const s = await scene(t)
  const heard = []
  const filters = ["a/+", "a/#", "+", "a", "#", "+/b/#", "a/b/c"]
  for (const filter of filters) s.client.subscribe(filter, ({ topic }) => heard.push(`${filter} ${topic}`), { presence: () => heard.push(`presence of ${filter}`) })
  const selected = (topic) => {
    heard.length = 0
    s.says({ type: "topic", topic, data: 1 })
    return heard.map((h) => h.slice(0, -topic.length - 1))
  }
  assert.deepEqual(selected("a"), ["a/#", "+", "a", "#"])
  assert.deepEqual(selected("a/b"), ["a/+", "a/#", "#", "+/b/#"])
  assert.deepEqual(selected("a/b/c"), ["a/#", "#", "+/b/#", "a/b/c"])
  assert.deepEqual(selected("a/"), ["a/+", "a/#", "#"])
  assert.deepEqual(selected("b"), ["+", "#"])
  heard.length = 0
  s.says({ type: "presence", topic: "a", devices: 2 })
  assert.deepEqual(heard, ["presence of a/#", "presence of +", "presence of a", "presence of #"])
})

test("a handler that fails is an error, and the others are called", async (t) => {
  const s = await scene(t)
  const heard = []
  s.client.subscribe("a", () => { throw new Error("thrown") })
  s.client.subscribe("a", async () => { throw new Error("rejected") })
  s.client.subscribe("a", ({ data }) => heard.push(data))
  s.says({ type: "topic", topic: "a", data: 1 })
  await settle()
  assert.deepEqual([heard, s.errors.map((e) => e.message).toSorted()], [[1], ["rejected", "thrown"]])
})

test("presence is asked for by who wants it, and known to who comes later", async (t) => {
  const s = await scene(t)
  const counts = []
  const off = [s.client.subscribe("a", () => {})]
  off.push(s.client.subscribe("a", () => {}, { presence: (n, topic) => counts.push(`${topic} ${n}`) }))
  assert.deepEqual(s.sent("subscribe").map((f) => f.presence), [false, true])
  s.says({ type: "presence", topic: "a", devices: 3 })
  off.push(s.client.subscribe("a", () => {}, { presence: (n) => counts.push(`late ${n}`) }))
  s.says({ type: "presence", topic: "a", devices: 4 })
  assert.deepEqual(counts, ["a 3", "late 3", "a 4", "late 4"])
  for (const end of off) end()
  s.client.subscribe("a", () => {}, { presence: (n) => counts.push(`again ${n}`) })
  assert.equal(counts.length, 4, "what was known is old by now")
})

test("a topic that is refused is an error, and is not asked for again", async (t) => {
  const s = await scene(t)
  const heard = []
  s.client.subscribe("secret", ({ data }) => heard.push(data))
  s.says({ type: "error", code: "forbidden", detail: "not for you", remedy: "Ask.", field: "topic", ref: s.sent("subscribe")[0].ref })
  await settle()
  assert.deepEqual(s.errors.map((e) => [e.constructor.name, e.name, e.code, e.message, e.remedy, e.field]).map((e) => e.slice(1)), [["HeraldError", "forbidden", "not for you", "Ask.", "topic"]])
  s.transport.live.target.lost({ code: 4010 })
  await pass(1500)
  s.transport.live.welcome()
  assert.deepEqual(s.sent("subscribe"), [])
  s.client.subscribe("secret", ({ data }) => heard.push(data))
  assert.equal(s.sent("subscribe").length, 1, "who asks anew is heard")
})

test("publish by a frame", async (t) => {
  const s = await scene(t)
  const calls = [s.client.publish("a", { n: 1 }), s.client.publish("b", 2), s.client.publish("c")]
  const [a, b] = s.sent("publish")
  assert.deepEqual([a.topic, a.data, b.data], ["a", { n: 1 }, 2])
  s.says({ type: "error", code: "rate_limited", detail: "too many", remedy: "Wait.", ref: b.ref })
  s.says({ type: "published", ref: a.ref })
  assert.equal(await calls[0], undefined)
  await assert.rejects(calls[1], { name: "HeraldError", code: "rate_limited", remedy: "Wait.", message: "too many" })
  s.transport.live.target.lost({})
  await assert.rejects(calls[2], { name: "HeraldError", status: 0 })
  assert.deepEqual([s.errors, s.fetch.calls], [[], []])
})

test("publish by a request: where there are no frames, and what is too large for one", async (t) => {
  const s = await scene(t, { published: ({ body }) => (body.topic === "no" ? [403, { code: "forbidden", detail: "no", remedy: "Ask." }] : [200]) })
  await s.client.publish("a", "x".repeat(20_000))
  assert.deepEqual([s.sent("publish"), s.fetch.calls.map((c) => [c.path, c.token])], [[], [["/v1/publish", "Bearer t1"]]])
  s.transport.live.target.lost({ code: 4010 })
  await s.client.publish("b", 1)
  assert.deepEqual(s.fetch.calls[1].body, { topic: "b", data: 1 })
  await assert.rejects(s.client.publish("no", 1), { status: 403, code: "forbidden", remedy: "Ask." })
})

test("a token that is refused while publishing is replaced, once", async (t) => {
  let good = "Bearer t2"
  const s = await scene(t, { oneWay: true, published: ({ token }) => [token === good ? 200 : 401] })
  await s.client.publish("a", 1)
  assert.deepEqual(s.fetch.calls.map((c) => c.token), ["Bearer t1", "Bearer t2"])
  good = ""
  await assert.rejects(s.client.publish("a", 1), { status: 401 })
  assert.equal(s.fetch.calls.length, 4)
})
