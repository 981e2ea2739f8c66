// node axe.mjs LINK: axe-core on the demo page of a running server, in every
// state × width × theme × language. One line of JSON per finding, then a
// summary; it fails if a finding is serious or critical, or if the page is
// wider than the window.
import fs from "node:fs"
import { createRequire } from "node:module"
import { launch, patience } from "./chromium.mjs"
import { emit } from "./lines.mjs"

const link = process.argv[2]
const source = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const browser = await launch()
const context = await browser.newContext({ reducedMotion: "reduce", locale: "en-GB" })
// Keeps the sockets of the page at hand, so that a close code can be played.
await context.addInitScript(() => {
  window.sockets = []
  window.WebSocket = class extends window.WebSocket {
    constructor(...args) {
      if (window.blocked) throw new Error("blocked")
      super(...args)
      window.sockets.push(this)
    }
  }
})
context.setDefaultTimeout(patience)
const page = await context.newPage()
let audits = 0
let bad = 0

const lost = (code) => page.evaluate((c) => window.sockets.at(-1).onclose(new CloseEvent("close", { code: c })), code)
const phase = (name) => page.waitForSelector(`html[data-phase=${name}]`)

await page.goto(new URL("/demo/", link).href)
await phase("nolink")
await audit("no link")

await page.goto(new URL("/demo/#not-a-token", link).href)
await phase("refused")
await audit("link refused")

await page.goto(link)
await phase("connected")
await audit("empty")

for (const [title, body, data] of [["Hello", "World", ""], ["", "", '{"order": 7}'], ["A long title ".repeat(12), "word".repeat(60), ""]]) {
  await page.fill("#f-title", title)
  await page.fill("#f-body", body)
  await page.locator(".advanced").evaluate((e) => (e.open = true))
  await page.fill("#f-data", data)
  const before = await page.locator(".message").count()
  await page.click("#send-button")
  await page.waitForFunction((n) => document.querySelectorAll(".message").length === n, before + 1)
}
await page.locator(".trace summary").first().click()
await page.waitForSelector(".trace-body li")
await audit("messages and trace")

await page.fill("#f-data", "{")
await page.click("#send-button")
await page.waitForSelector("[data-kind=refused]")
await audit("form refused")

await page.locator(".others").evaluate((e) => (e.open = true))
await page.fill("#room-text", "Hello, room")
await page.click("#room-form button")
await page.waitForSelector("#room-said li, #room-result[data-kind=refused]")
await audit("room and terminal")

// The server is out of reach from here on.
await page.route("**/v1/**", (route) => route.abort())
await page.evaluate(() => (window.blocked = true))
await lost(4008)
await phase("waiting")
await audit("disconnected")

await page.unroute("**/v1/**")
await page.evaluate(() => (window.blocked = false))
await page.evaluate(() => document.querySelector("#connect").click())
await phase("connected")
await lost(4003)
await phase("refused")
await audit("connection refused")

emit({ event: "summary", audits, bad })
await browser.close()
process.exit(bad === 0 ? 0 : 1)

async function audit(state) {
  for (const language of ["en", "zh"]) {
    await page.evaluate((l) => document.querySelector(`[data-lang=${l}]`).click(), language)
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme })
      for (const width of [360, 1280]) {
        await page.setViewportSize({ width, height: 800 })
        const found = await page.evaluate(run, source)
        audits++
        for (const f of found) {
          if (["serious", "critical"].includes(f.impact)) bad++
          emit({ event: "finding", state, language, scheme, width, ...f })
        }
      }
    }
  }
}

// run is called inside the page.
async function run(source) {
  if (!window.axe) (0, eval)(source)
  const { violations } = await window.axe.run()
  const found = violations.map((v) => ({
    impact: v.impact,
    id: v.id,
    nodes: v.nodes.map((n) => `${n.target}: ${n.failureSummary}`),
  }))
  const over = document.documentElement.scrollWidth - window.innerWidth
  if (over > 0) found.push({ impact: "serious", id: "page-wider-than-window", nodes: [`${over} px`] })
  return found
}
