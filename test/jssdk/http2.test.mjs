// EventSource and long polling in Chromium over HTTP/2: many streams over one
// connection, where HTTP/1.1 has six for each host and no more.
import assert from "node:assert/strict"
import { createHash, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { after, before, test } from "node:test"
import { launch } from "../interop/chromium.mjs"
import { Herald, until } from "./herald.mjs"

const tabs = 3
const each = 4 // streams of a tab; together twice as many as HTTP/1.1 allows

let herald, browser, url
before(async () => {
  const { CERT, KEY } = process.env
  herald = new Herald("--set", "server.https=127.0.0.1:0", "--set", `tls.cert=${CERT}`, "--set", `tls.key=${KEY}`, "--set", "log.level=info")
  await herald.start()
  // The certificate has no authority that Chromium knows: its key is named instead.
  const spki = new X509Certificate(readFileSync(CERT)).publicKey.export({ type: "spki", format: "der" })
  const pin = createHash("sha256").update(spki).digest("base64")
  browser = await launch(undefined, [`--ignore-certificate-errors-spki-list=${pin}`])
  url = `https://${(await until("the port", () => herald.printed.match(/transport=https address=(\S+)/)))[1]}/`
})
after(async () => {
  await browser?.close()
  await herald?.remove()
})

const device = () => herald.call("POST", "devices", { platform: "web" })

// page opens a page of the server that does nothing by itself, and notes by
// which protocol it was answered what it asked for.
async function page(context) {
  const page = await context.newPage()
  const answers = [] // [path, protocol, connection]
  const cdp = await context.newCDPSession(page)
  await cdp.send("Network.enable")
  cdp.on("Network.responseReceived", ({ response }) => answers.push([new URL(response.url).pathname, response.protocol, response.connectionId]))
  await page.goto(`${url}demo/`)
  await page.evaluate(() => {
    window.got = {}
    window.listen = (name, token) => {
      const source = new EventSource(`/v1/live/sse?access_token=${token}`)
      got[name] = []
      source.onmessage = (event) => got[name].push(JSON.parse(event.data).notification.title)
      return new Promise((resolve, reject) => {
        source.addEventListener("welcome", resolve)
        setTimeout(() => reject(new Error("no welcome")), 30_000)
      })
    }
    window.poll = async (token, wait, cursor = "") => {
      const answer = await (await fetch(`/v1/live/poll?wait=${wait}&cursor=${cursor}`, { headers: { Authorization: `Bearer ${token}` } })).json()
      return { titles: answer.frames.map((frame) => frame.notification.title), cursor: answer.cursor }
    }
  })
  return { page, answers }
}

test("many streams of several tabs at once, and a poll that is held beside them", async () => {
  const context = await browser.newContext()
  const open = await Promise.all(Array.from({ length: tabs }, () => page(context)))
  const streams = []
  for (const { page } of open) {
    for (let i = 0; i < each; i++) {
      const { registration_id: id, token } = await device()
      await page.evaluate(([id, token]) => listen(id, token), [id, token])
      streams.push({ page, id })
    }
  }
  const poller = await device()
  const held = open[0].page.evaluate((token) => poll(token, 60), poller.token)
  await until("the poll is held", async () => (await herald.call("GET", `devices/${poller.registration_id}`)).online)

  await herald.push(poller.registration_id, "to the poll")
  const first = await held
  assert.deepEqual(first.titles, ["to the poll"])
  await Promise.all(streams.map(({ id }) => herald.push(id, `to ${id}`)))
  for (const { page, id } of streams) {
    await until(`message to ${id}`, async () => (await page.evaluate((id) => got[id], id)).length > 0)
    assert.deepEqual(await page.evaluate((id) => got[id], id), [`to ${id}`])
  }
  // The cursor acknowledges, and the connection goes on.
  assert.deepEqual((await open[0].page.evaluate(([token, cursor]) => poll(token, 0, cursor), [poller.token, first.cursor])).titles, [])

  const answered = (path) => open.flatMap(({ answers }) => answers).filter(([to]) => to === path)
  await until("the browser's own report", () => answered("/v1/live/sse").length >= tabs * each && answered("/v1/live/poll").length >= 2)
  const sse = answered("/v1/live/sse")
  assert.deepEqual(sse.map(([, protocol]) => protocol), Array(tabs * each).fill("h2"))
  const connections = new Set(sse.map(([, , connection]) => connection)).size
  assert.ok(connections <= tabs - 1, `the streams share connections: ${connections}`)
  assert.deepEqual(answered("/v1/live/poll").map(([, protocol]) => protocol), ["h2", "h2"])
  const timed = () => open[0].page.evaluate(() => performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/live/poll")).map((entry) => entry.nextHopProtocol))
  await until("the page's own report", async () => (await timed()).length >= 2)
  assert.deepEqual(await timed(), ["h2", "h2"])
})
