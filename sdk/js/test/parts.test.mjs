import assert from "node:assert/strict"
import { test } from "node:test"
import { api, backoff, fakeFetch, fakeTime, outbox, pass, sse, store } from "./sources.mjs"

test("jitter lies between 1 s and a bound that doubles to 30 s", () => {
  for (const [attempt, bound] of [[1, 2], [2, 4], [3, 8], [4, 16], [5, 30], [50, 30]]) {
    assert.equal(backoff.jitter(attempt, () => 0), 1000)
    assert.equal(backoff.jitter(attempt, () => 1), bound * 1000)
  }
})

test("an event stream is read whatever the pieces", async (t) => {
  const cases = {
    "one event": ["data: a\n\n"],
    "CRLF": ["data: a\r\n\r\n"],
    "CR": ["data: a\r\r", "\n"],
    "in pieces": ["da", "ta", ": ", "a", "\n", "\n"],
    "CRLF in halves": ["data: a\r", "\n\r", "\n"],
    "without the space": ["data:a\n\n"],
    "with other fields": ["retry: 5\nevent: welcome\nid: 7\ndata: a\n\n"],
    "after comments": [": ping\n\n: ping\n\ndata: a\n\n"],
  }
  for (const [name, pieces] of Object.entries(cases)) {
    await t.test(name, () => {
      const events = []
      let heard = 0
      const take = sse.lines(() => heard++, (data) => events.push(data))
      pieces.forEach(take)
      assert.deepEqual([events, heard], [["a"], pieces.length])
    })
  }
  await t.test("two lines of data, and an event that is not complete", () => {
    const events = []
    const take = sse.lines(() => {}, (data) => events.push(data))
    take("data: a\ndata:  b\n\ndata: c\n")
    assert.deepEqual(events, ["a\n b"])
  })
})

test("the store updates and deletes", async () => {
  const values = store.within(store.memoryStore(), "p|")
  assert.equal(await values.update("k", (old) => old ?? "1"), "1")
  assert.equal(await values.update("k", (old) => old + "2"), "12")
  assert.equal(await values.get("k"), "12")
  await values.update("k", () => undefined)
  assert.equal(await values.get("k"), undefined)
})

test("seen IDs are kept across restarts, shared by tabs and bounded", async () => {
  const values = store.memoryStore()
  const [a, b] = [new store.Seen(values), new store.Seen(values)]
  await Promise.all([a.remember(["1"]), b.remember(["2"])])
  const next = new store.Seen(values)
  await next.load()
  assert.deepEqual([next.has("1"), next.has("2"), next.has("3")], [true, true, false])
  for (let i = 10; i < 10 + store.knownIDs; i++) await next.remember([String(i)])
  assert.deepEqual([next.has("2"), next.has("10")], [false, true])
  const last = new store.Seen(values)
  await last.load()
  assert.deepEqual([last.has("2"), last.has("10")], [false, true])
})

// box gives an outbox that notes its batches; `answer` says what becomes of them.
function box() {
  const self = { batches: [], answer: () => true }
  self.outbox = new outbox.Outbox(async (batch) => (self.batches.push(batch.map((r) => r.id)), self.answer()))
  void self.outbox.flush()
  return self
}

test("receipts wait 100 ms at most", async (t) => {
  fakeTime(t)
  const { outbox, batches } = box()
  outbox.add("1", "received")
  await pass(60)
  outbox.add("2", "received")
  await pass(39)
  assert.deepEqual(batches, [])
  await pass(1)
  assert.deepEqual(batches, [["1", "2"]])
  await pass(60_000)
  assert.equal(batches.length, 1)
})

test("64 receipts do not wait", async (t) => {
  fakeTime(t)
  const { outbox, batches } = box()
  for (let i = 0; i < 64; i++) outbox.add(String(i), "received")
  await pass(0)
  assert.deepEqual(batches.map((b) => b.length), [64])
})

test("the same receipt is sent once, another event of the same message too", async (t) => {
  fakeTime(t)
  const { outbox, batches } = box()
  for (const event of ["received", "received", "clicked"]) outbox.add("1", event)
  await pass(100)
  assert.deepEqual(batches, [["1", "1"]])
})

test("receipts that did not arrive are kept, and sent again with growing waits", async (t) => {
  fakeTime(t)
  const self = box()
  self.answer = () => false
  self.outbox.add("1", "clicked")
  await pass(100)
  assert.deepEqual(self.batches, [["1"]])
  for (let i = 0; i < 600; i++) self.outbox.add(String(i), "received") // must not hurry
  await pass(1499)
  assert.equal(self.batches.length, 1)
  self.answer = () => true
  await pass(1)
  await pass(0)
  await pass(0)
  assert.deepEqual(self.batches.map((b) => b.length), [1, 500, 101])
  assert.deepEqual(self.outbox.rest(), [])
})

test("a stopped outbox keeps what comes, and says what is left", async (t) => {
  fakeTime(t)
  const { outbox, batches } = box()
  outbox.stop()
  outbox.add("1", "clicked")
  await pass(60_000)
  assert.deepEqual(batches, [])
  const rest = outbox.rest()
  assert.deepEqual(rest, [{ id: "1", event: "clicked" }])
  outbox.done(rest)
  await outbox.flush()
  assert.deepEqual(batches, [])
})

test("refusals of the API carry the remedy", async () => {
  const refuse = fakeFetch(() => [429, { detail: "too many", code: "rate_limited", remedy: "Wait.", field: "f" }, { "Retry-After": "7" }])
  const error = await api.post(refuse, "http://h/v1/x", "t", {}).catch((e) => e)
  assert.deepEqual({ ...error, message: error.message, passing: error.passing },
    { name: "HeraldError", status: 429, code: "rate_limited", remedy: "Wait.", field: "f", retryAfter: 7000, message: "too many", passing: true })
  const gone = await api.post(fakeFetch(() => [0]), "http://h/v1/x", "", {}).catch((e) => e)
  assert.deepEqual([gone.status, gone.passing, gone.message], [0, true, "the server cannot be reached"])
  const final = await api.post(fakeFetch(() => [422, { title: "no" }]), "http://h/v1/x", "", {}).catch((e) => e)
  assert.deepEqual([final.passing, final.message], [false, "no"])
})
