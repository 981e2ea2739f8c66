// The SDK's service worker in Chromium against a real herald. The browser is
// given push messages by its developer tools: a push service is not called, and a
// subscription is made up.
import assert from "node:assert/strict"
import http from "node:http"
import { after, before, test } from "node:test"
import { Stage } from "./stage.mjs"
import { exactly, until } from "./herald.mjs"

const key = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
const stage = new Stage()
let herald, site
before(async () => {
  ;({ herald } = await stage.start())
  // The pages' origin, with a service worker as the README has it.
  const server = http.createServer((request, response) => {
    const worker = request.url === "/sw.js"
    response.setHeader("Content-Type", worker ? "text/javascript" : "text/html")
    response.end(worker ? `importScripts("${herald.url}/sdk/herald-sw.js"); herald.serve()` : "<!doctype html><title>Pages</title>")
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  site = { url: `http://127.0.0.1:${server.address().port}`, close: () => (server.closeAllConnections(), server.close()) }
  stage.pages.close()
  stage.pages = site
})
after(() => stage.stop())

test("a push is shown, reported and not given to the page again", async (t) => {
  const s = await stage.scene(t, () => {
    window.PushManager.prototype.getSubscription = async () => null
    window.PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
      const p256dh = btoa(String.fromCharCode(...applicationServerKey)) // it is a point, as good as another
      return { toJSON: () => ({ endpoint: "https://push.example/1", keys: { p256dh, auth: "BTBZMqHH6r4Tts7J_aSIgg" } }) }
    }
  })
  await s.context.grantPermissions(["notifications"], { origin: site.url })
  const a = await stage.tab(s)
  const tools = await s.context.newCDPSession(a.page)
  const workers = []
  tools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => workers.push(...registrations.map((r) => r.registrationId)))
  await tools.send("ServiceWorker.enable")
  await a.page.evaluate((publicKey) => client.enableWebPush({ serviceWorker: "/sw.js", publicKey }).then(() => {}), key)
  const { addresses } = await herald.call("GET", `devices/${a.device}`)
  assert.deepEqual(addresses.map((x) => [x.vendor, x.invalid_at]), [["webpush", undefined]])
  await until("a worker", () => workers.length > 0)
  await a.page.evaluate(() => client.close())

  const titles = ["by push", "next"]
  const [id, next] = [await herald.push(a.device, titles[0]), await herald.push(a.device, titles[1])]
  const deliver = (id, title) => {
    const frame = { type: "message", id, notification: { title, body: "text", click: "/there" } }
    return tools.send("ServiceWorker.deliverPushMessage", { origin: site.url, registrationId: workers[0], data: JSON.stringify(frame) })
  }
  const displayed = (id) => until("displayed", async () => (await herald.state(id, a.device)) === "displayed")
  await deliver(id, titles[0])
  await displayed(id)
  // Once more, and what comes after it.
  await deliver(id, titles[0])
  await deliver(next, titles[1])
  await displayed(next)
  const shown = await a.page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(({ title, body, tag, data }) => [title, body, tag, data.herald.click]))
  assert.deepEqual(shown.toSorted(), [[titles[0], "text", id, "/there"], [titles[1], "text", next, "/there"]])

  await a.open()
  await herald.push(a.device, "live")
  await exactly(a, ["live"])
})
