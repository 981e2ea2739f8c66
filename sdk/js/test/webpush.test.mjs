import assert from "node:assert/strict"
import { test } from "node:test"
import { fakeFetch, index, store, webpush, worker } from "./sources.mjs"

const scope = "https://page/"
const key = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"

// fakeWorker is a service worker's global scope, with what it has shown.
async function fakeWorker(options, { answers = () => [200], device, deputy = true, windows = [] } = {}) {
  const listeners = {}
  const shown = []
  const opened = []
  const badges = []
  const values = store.memoryStore()
  if (deputy) await values.update(`worker|${scope}`, () => JSON.stringify({ url: "https://h/", prefix: "p|", registrationId: "r1", token: "t0", publicKey: key }))
  if (device) await values.update("p|device", () => JSON.stringify(device))
  const fetch = fakeFetch(answers)
  const self = {
    shown, opened, badges, values, fetch,
    registration: {
      scope,
      getNotifications: async ({ tag }) => shown.filter((n) => n.tag === tag),
      showNotification: async (title, options) => {
        const i = shown.findIndex((n) => n.tag === options.tag)
        shown.splice(i < 0 ? shown.length : i, i < 0 ? 0 : 1, { title, ...options, close() { this.closed = true } })
      },
      pushManager: { subscribe: async ({ applicationServerKey }) => ({ endpoint: `fresh ${applicationServerKey.length}` }) },
    },
    clients: { matchAll: async () => windows, openWindow: async (url) => void opened.push(url) },
    navigator: { setAppBadge: async (n) => badges.push(n), clearAppBadge: async () => badges.push(0) },
    addEventListener: (event, listener) => (listeners[event] = listener),
    async fire(event, more) {
      let done
      listeners[event]({ ...more, waitUntil: (promise) => (done = promise) })
      await done
    },
    push: (frame) => self.fire("push", { data: { json: () => ({ type: "message", ...frame }) } }),
    click: (i, action = "") => self.fire("notificationclick", { notification: shown[i], action }),
    receipts: () => fetch.calls.filter((c) => c.path === "/v1/receipts").map((c) => [c.token, ...c.body.receipts.map((r) => `${r.id} ${r.event}`)]),
  }
  worker.serve(options, self, values, fetch)
  return self
}

test("a push is shown and reported, once", async () => {
  const w = await fakeWorker({ icon: "/i.png", badge: "/b.png" })
  const notification = { title: "Hello", body: "World", image: "https://x/a.png", badge: 3, actions: [{ id: "a", title: "A" }] }
  await w.push({ id: "1", notification })
  await w.push({ id: "1", notification })
  assert.equal(w.shown.length, 1)
  const { title, body, icon, badge, image, tag, renotify, actions } = w.shown[0]
  assert.deepEqual([title, body, icon, badge, image, tag, renotify, actions], ["Hello", "World", "/i.png", "/b.png", "https://x/a.png", "1", false, [{ action: "a", title: "A" }]])
  assert.deepEqual(w.receipts(), [["Bearer t0", "1 displayed"], ["Bearer t0", "1 displayed"]])
  assert.deepEqual(w.badges, [3, 3])
  assert.equal(await w.values.get("p|seen"), "1")
})

test("a newer message with the same collapse key replaces, and is heard", async () => {
  const w = await fakeWorker()
  await w.push({ id: "1", collapse_key: "news", notification: { title: "old" } })
  await w.push({ id: "2", collapse_key: "news", notification: { body: "new", badge: 0 } })
  assert.deepEqual(w.shown.map((n) => [n.title, n.tag, n.renotify]), [["new", "news", true]])
  assert.deepEqual(w.badges, [0])
})

test("what the page has and somebody sees is not shown", async () => {
  const windows = [{ visibilityState: "hidden" }]
  const w = await fakeWorker({}, { windows })
  await w.values.update("p|seen", () => "7,8")
  await w.push({ id: "7", notification: { title: "in the background" } })
  windows.push({ visibilityState: "visible" })
  await w.push({ id: "8", notification: { title: "seen" } })
  await w.push({ id: "9", notification: { title: "not seen" } })
  assert.deepEqual(w.shown.map((n) => n.title), ["in the background", "not seen"])
})

test("data without a notification are left to the page, or to show", async () => {
  const a = await fakeWorker()
  await a.push({ id: "1", data: 7 })
  assert.deepEqual([a.shown, a.receipts(), await a.values.get("p|seen")], [[], [], undefined])
  const b = await fakeWorker({
    show: async (m, usual) => (m.data === "hide" ? undefined : { title: `${usual?.title ?? m.data}!`, options: { tag: "t", data: 5 } }),
  })
  await b.push({ id: "1", data: "hide" })
  await b.push({ id: "2", data: "own" })
  await b.push({ id: "3", notification: { title: "usual" } })
  assert.deepEqual(b.shown.map((n) => [n.title, n.tag, n.data.app]), [["usual!", "t", 5]])
  assert.deepEqual(b.receipts().map((r) => r[1]), ["1 received", "2 displayed", "3 displayed"])
})

test("a push of another sender is left alone", async () => {
  const w = await fakeWorker()
  await w.push({ id: 7 })
  await w.push({ type: "withdraw", id: "7" })
  await w.fire("push", { data: null })
  await w.fire("push", { data: { json: () => JSON.parse("no") } })
  await w.fire("notificationclick", { notification: { data: { x: 1 }, close: () => assert.fail("closed") }, action: "" })
  assert.deepEqual([w.shown, w.receipts()], [[], []])
})

test("a click opens its address and is reported", async () => {
  const focused = []
  const window = (url) => ({ url, focus: async () => void focused.push(url) })
  const w = await fakeWorker({}, { windows: [window("https://page/a"), window("https://page/b")] })
  const actions = [{ id: "x", title: "X", click: "https://else/x" }, { id: "y", title: "Y" }]
  await w.push({ id: "1", notification: { title: "t", click: "/b", actions } })
  await w.push({ id: "2", notification: { title: "t" } })
  await w.push({ id: "3", notification: { title: "t", click: "/c" } })
  for (const [i, action] of [[0], [0, "x"], [0, "y"], [1], [2]]) await w.click(i, action)
  assert.deepEqual(focused, ["https://page/b", "https://page/b", "https://page/a"])
  assert.deepEqual(w.opened, ["https://else/x", "https://page/c"])
  assert.deepEqual(w.receipts().slice(3).map((r) => r[1]), ["1 clicked", "1 clicked", "1 clicked", "2 clicked", "3 clicked"])
  assert.ok(w.shown.every((n) => n.closed))
})

test("a receipt that cannot be sent goes with the next one", async () => {
  let status = 0
  const w = await fakeWorker({}, { answers: () => [status] })
  await w.push({ id: "1", notification: { title: "t" } })
  status = 503
  await w.push({ id: "2", notification: { title: "t" } })
  status = 200
  await w.click(0)
  assert.deepEqual(w.receipts().map((r) => r.slice(1)), [["1 displayed"], ["1 displayed", "2 displayed"], ["1 displayed", "2 displayed", "1 clicked"]])
  status = 422 // it would be refused again
  await w.push({ id: "3", notification: { title: "t" } })
  status = 200
  await w.push({ id: "4", notification: { title: "t" } })
  assert.deepEqual(w.receipts().slice(3).map((r) => r.slice(1)), [["3 displayed"], ["4 displayed"]])
})

test("the token is the device's own, and is replaced when it is refused", async () => {
  const answers = ({ path, token }) => (path === "/v1/devices" ? [201, { registration_id: "r1", token: "t2" }] : [token === "Bearer t2" ? 200 : 401])
  const w = await fakeWorker({}, { answers, device: { registrationId: "r1", token: "t1", said: `{"app_key":"k"}` } })
  await w.push({ id: "1", notification: { title: "t" } })
  assert.deepEqual(w.receipts().map((r) => r[0]), ["Bearer t1", "Bearer t2"])
  assert.equal(JSON.parse(await w.values.get("p|device")).token, "t2")
  const lost = await fakeWorker({}, { answers: () => [401] })
  await lost.push({ id: "1", notification: { title: "t" } })
  assert.deepEqual([lost.receipts().length, lost.shown.length], [1, 1])
})

test("without a device of the page a push is shown all the same", async () => {
  const w = await fakeWorker({}, { deputy: false })
  await w.push({ id: "1", notification: { title: "t" } })
  await w.fire("pushsubscriptionchange", {})
  assert.deepEqual([w.shown.length, w.fetch.calls], [1, []])
})

test("a subscription that the browser replaces is registered", async () => {
  const w = await fakeWorker()
  await w.fire("pushsubscriptionchange", { newSubscription: { endpoint: "given" } })
  await w.fire("pushsubscriptionchange", {})
  assert.deepEqual(w.fetch.calls.map(({ path, body }) => [path, JSON.parse(body.addresses[0].token).endpoint]), [["/v1/devices/r1", "given"], ["/v1/devices/r1", "fresh 65"]])
})

const real = ["Notification", "PushManager", "navigator"].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)])

// browser plays what a page needs for Web Push.
function browser(t, { permission = "granted", old = null, active = true, ends = "activated" } = {}) {
  const asked = []
  const listeners = []
  const installing = { state: "installing", addEventListener: (_, listener) => listeners.push(listener) }
  const registration = {
    scope, active: active ? {} : null, installing: active ? null : installing,
    pushManager: {
      getSubscription: async () => old,
      subscribe: async (options) => (asked.push(options), { toJSON: () => ({ endpoint: "https://push/1", keys: {} }) }),
    },
  }
  const names = { Notification: { requestPermission: async () => permission }, PushManager: class {}, navigator: { serviceWorker: { register: async (url) => (asked.push(url), registration) } } }
  for (const [name, value] of Object.entries(names)) Object.defineProperty(globalThis, name, { value, configurable: true })
  t.after(() => {
    for (const [name, was] of real) was ? Object.defineProperty(globalThis, name, was) : delete globalThis[name]
  })
  const installed = () => {
    if (ends === "activated") registration.active = installing
    installing.state = ends
    for (const listener of listeners) listener()
  }
  return { asked, registration, installed }
}

test("enableWebPush subscribes and registers the address", async (t) => {
  const { asked, registration } = browser(t)
  const fetch = fakeFetch(({ path }) => (path === "/v1/devices" ? [201, { registration_id: "r1", token: "t1" }] : [200, {}]))
  const client = index.createClient({ url: "https://h", appKey: "k", fetch, store: store.memoryStore() })
  const subscription = await client.enableWebPush({ serviceWorker: "/sw.js", publicKey: key })
  await client.enableWebPush({ serviceWorker: registration, publicKey: key })
  assert.equal(subscription.toJSON().endpoint, "https://push/1")
  assert.equal(asked[0], "/sw.js")
  assert.deepEqual([asked[1].userVisibleOnly, asked[1].applicationServerKey.length, asked.length], [true, 65, 3])
  const [registers, ...patches] = fetch.calls
  assert.equal(registers.path, "/v1/devices")
  for (const { path, token, body } of patches) {
    assert.deepEqual([path, token], ["/v1/devices/r1", "Bearer t1"])
    assert.deepEqual(body, { addresses: [{ vendor: "webpush", token: `{"endpoint":"https://push/1","keys":{}}` }] })
  }
  assert.equal(patches.length, 2)
})

test("enableWebPush says what is missing", async (t) => {
  const fetch = fakeFetch(() => [200, {}])
  const client = index.createClient({ url: "https://h", getToken: () => "t", fetch })
  const enable = () => client.enableWebPush({ serviceWorker: "/sw.js", publicKey: key })
  await assert.rejects(enable, /no Web Push/)
  browser(t, { permission: "denied" })
  await assert.rejects(enable, /permit/)
  browser(t)
  await assert.rejects(enable, /connect first/)
  assert.deepEqual(fetch.calls, [])
})

test("a subscription with another key makes way, one with the same stays", async (t) => {
  let ended = 0
  const old = (bytes) => ({ options: { applicationServerKey: bytes.buffer }, unsubscribe: async () => ended++ })
  for (const [bytes, want] of [[webpush.bytes(key), 0], [new Uint8Array(65), 1], [webpush.bytes(`${key}=`), 1]]) {
    browser(t, { old: old(bytes) })
    await webpush.subscribePush({ serviceWorker: "/sw.js", publicKey: key })
    assert.equal(ended, want)
  }
})

test("a worker that is being installed is waited for", async (t) => {
  for (const ends of ["activated", "redundant"]) {
    const b = browser(t, { active: false, ends })
    const done = webpush.subscribePush({ serviceWorker: "/sw.js", publicKey: key })
    done.catch(() => {})
    while (!b.asked.length) await Promise.resolve()
    for (let i = 0; i < 50; i++) await Promise.resolve()
    assert.equal(b.asked.length, 1)
    b.installed()
    if (ends === "activated") assert.equal((await done)[0], scope)
    else await assert.rejects(done, /cannot be installed/)
  }
})
