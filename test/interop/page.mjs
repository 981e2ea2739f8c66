// node page.mjs FILE.html: opens a page in Chromium and prints its text, its
// console and its errors as they come. It goes on until it is ended.
import { pathToFileURL } from "node:url"
import { launch } from "./chromium.mjs"

const browser = await launch()
const page = await browser.newPage()
page.on("console", (message) => console.log(message.text()))
page.on("pageerror", (error) => console.log("error:", error.message))
await page.exposeFunction("printText", (text) => console.log(text))
await page.addInitScript(() => {
  let last = ""
  const look = () => {
    const text = document.body?.innerText ?? ""
    if (text !== last) window.printText((last = text))
  }
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true })
  addEventListener("load", look)
})
await page.goto(pathToFileURL(process.argv[2]).href)
