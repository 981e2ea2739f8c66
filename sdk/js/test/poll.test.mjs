import assert from "node:assert/strict"
import { test } from "node:test"
import { fakeTime, pass, poll as module } from "./sources.mjs"

// scene opens a poll whose answers the test gives by hand.
function scene(t) {
  fakeTime(t)
  const self = { asked: [], frames: [], lost: [], heard: 0 }
  const target = {
    url: "http://h/", token: "t",
    fetch: (url, { signal }) => new Promise((resolve, reject) => {
      signal.onabort = () => reject(new Error("aborted"))
      self.asked.push(new URL(url).search)
      self.answer = async (frames, status = 200, headers = {}) => {
        resolve(new Response(JSON.stringify({ frames, cursor: "" }), { status, headers }))
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
  await s.answer([], 503, { "Retry-After": "5" })
  assert.deepEqual(s.lost, [{ status: 503, after: 5000 }])
})

test("a network failure ends it", async (t) => {
  const s = scene(t)
  s.fail(new TypeError("fetch failed"))
  await pass(0)
  assert.deepEqual(s.lost, [{}])
})

test("after close it is silent", async (t) => {
  const s = scene(t)
  await s.answer([])
  s.connection.close()
  await pass(60_000)
  assert.deepEqual([s.lost, s.asked.length, s.frames], [[], 2, ["welcome"]])
})
