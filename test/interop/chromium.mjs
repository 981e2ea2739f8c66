// Starts Debian's Chromium, without its calls to the outside. What Playwright
// would add by itself can be left out.
import { chromium } from "playwright-core"

export function launch(ignoreDefaultArgs, more = []) {
  return chromium.launch({
    ignoreDefaultArgs,
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more],
  })
}
