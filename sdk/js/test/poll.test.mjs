import assert from "node:assert/strict"
import { test } from "node:test"
import { fakeTime, pass, poll as module } from "./sources.mjs"

// scene opens a poll whose answers the test gives by hand.
function scene(t, { topics = "", memo = {} } = {}) {
  fakeTime(t)
  const self = { asked: [], frames: [], lost: [], heard: 0 }
  const target = {
    url: "http://h/", token: "t", topics, memo,
    fetch: (url, { signal }) => new Promise((resolve, reject) => {
      signal.onabort = () => reject(new Error("aborted"))
      self.asked.push(new URL(url).search)
      self.answer = async (frames, { status = 200, headers = {}, since } = {}) => {
        resolve(new Response(JSON.stringify({ frames, cursor: "", since }), { status, headers }))
        await new Promise(setImmediate)
        await pass(0)
      }
      self.fail = reject
    }),
    frame: (frame) => self.frames.push(frame.id ?? frame.type),
    heard: () => self.heard++,
    lost: (why) => self.lost.push(why),
  }
  self.connection = module.poll.open(target)
  return self
}

const message = (id) => ({ type: "message", id })

test("the first request is not held, and its answer opens the session", async (t) => {
  const s = scene(t)
  await s.answer([])
  assert.deepEqual([s.asked, s.frames, s.heard], [["?wait=0", "?wait=50"], ["welcome"], 1])
  await s.answer([message("1")])
  await pass(249)
  assert.equal(s.asked.length, 2)
  await pass(1)
  assert.deepEqual([s.asked.length, s.frames], [3, ["welcome", "1"]])
})

test("a welcome of the server is not doubled", async (t) => {
  const s = scene(t)
  await s.answer([{ type: "welcome", token: "new" }])
  assert.deepEqual(s.frames, ["welcome"])
})

test("while only known messages come, requests become rare", async (t) => {
  const s = scene(t)
  for (const wait of [250, 500, 1000, 2000, 4000, 8000, 8000]) {
    const before = s.asked.length
    await s.answer([message("1")])
    await pass(wait - 1)
    assert.equal(s.asked.length, before)
    await pass(1)
    assert.equal(s.asked.length, before + 1)
  }
  await s.answer([message("1"), message("2")])
  await pass(250)
  assert.equal(s.asked.length, 9)
})

test("a refusal ends it and says why", async (t) => {
  const s = scene(t)
  await s.answer([], { status: 503, headers: { "Retry-After": "5" } })
  assert.deepEqual(s.lost.map(({ error }) => [error.status, error.retryAfter]), [[503, 5000]])
})

test("a network failure ends it", async (t) => {
  const s = scene(t)
  s.fail(new TypeError("fetch failed"))
  await pass(0)
  assert.deepEqual(s.lost.map(({ error }) => error.status), [0])
})

test("after close it is silent", async (t) => {
  const s = scene(t)
  await s.answer([])
  s.connection.close()
  await pass(60_000)
  assert.deepEqual([s.lost, s.asked.length, s.frames], [[], 2, ["welcome"]])
})

test("topics: where the last answer ended is said in the next request, and by the next connection", async (t) => {
  const memo = {}
  const s = scene(t, { topics: "&topic=a", memo })
  await s.answer([], { since: "p/1" })
  assert.deepEqual(s.asked, ["?wait=0&topic=a", "?wait=50&topic=a&since=p%2F1"])
  const published = { type: "topic", topic: "a", data: 1 }
  for (const since of ["p/2", "p/3"]) {
    await s.answer([published], { since })
    await pass(250) // however often: what has no ID is always new
  }
  assert.deepEqual([s.asked.length, s.frames.length, memo.since], [4, 3, "p/3"])
  s.connection.close()
  await s.answer([published], { since: "p/4" })
  assert.deepEqual([s.frames.length, memo.since], [3, "p/3"], "what was not taken is asked for again")
})
