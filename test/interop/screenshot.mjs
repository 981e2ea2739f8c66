// node screenshot.mjs LINK FILE: the demo page of a running server with a few
// messages, as the picture in the documentation. LINK is what herald dev prints.
import { launch } from "./chromium.mjs"

const [link, file] = process.argv.slice(2)
if (!link || !file) {
  console.error("usage: node screenshot.mjs LINK FILE.png")
  process.exit(2)
}
const browser = await launch()
const context = await browser.newContext({
  locale: process.env.LOCALE || "en-GB",
  colorScheme: process.env.SCHEME === "dark" ? "dark" : "light",
  viewport: { width: 1280, height: 800 },
  reducedMotion: "reduce",
})
const page = await context.newPage()
await page.goto(link)
await page.waitForSelector("html[data-phase=connected]", { timeout: 15_000 })
const messages = [
  { title: "Hello", body: "World", data: "" },
  { title: "Your order has shipped", body: "It left the warehouse at 09:30 and should reach you tomorrow.", data: '{"order": 4711}' },
  { title: "The meeting is at 15:00 now", body: "Room 2, second floor.", data: "" },
]
await page.locator(".advanced").evaluate((e) => (e.open = true))
for (const [i, m] of messages.entries()) {
  await page.fill("#f-title", m.title)
  await page.fill("#f-body", m.body)
  await page.fill("#f-data", m.data)
  await page.click("#send-button")
  await page.waitForFunction((n) => document.querySelectorAll(".message").length >= n, i + 1, { timeout: 10_000 })
}
await page.locator(".advanced").evaluate((e) => (e.open = false))
await page.locator(".open").nth(0).click()
await page.locator('.message >> nth=0 >> li[data-done="confirmed"] >> nth=2').waitFor({ timeout: 15_000 })
await page.locator(".trace summary").first().click()
await page.waitForSelector(".trace-body li", { timeout: 10_000 })
await page.locator('.message >> nth=2 >> li[data-done="confirmed"] >> nth=1').waitFor({ timeout: 15_000 })
await page.evaluate(() => scrollTo(0, 0))
await page.screenshot({ path: file })
await browser.close()
