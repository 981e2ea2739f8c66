// Starts Debian's Chromium, without its calls to the outside. What Playwright
// would add by itself can be left out.
import { chromium } from "playwright-core"

// How long a test waits for the browser. A machine that runs other tests is slow.
export const patience = 90_000

export function launch(ignoreDefaultArgs, more = []) {
  return chromium.launch({
    ignoreDefaultArgs,
    timeout: patience,
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more],
  })
}
