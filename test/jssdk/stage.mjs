// Where the tests in Chromium play: a browser, a herald, and pages of another
// origin, each test with a proxy and a browser profile of its own.
import { launch, patience } from "../interop/chromium.mjs"
import { Herald, Proxy, origin, until } from "./herald.mjs"

export class Stage {
  async start() {
    ;[this.browser, this.herald, this.pages] = await Promise.all([launch(["--disable-back-forward-cache"]), new Herald().start(), origin()])
    return this
  }

  async stop() {
    await this.browser?.close()
    this.pages?.close()
    await this.herald?.remove()
  }

  // scene gives a test a proxy and a profile; init runs in each page before the
  // SDK is loaded.
  async scene(t, init, herald = this.herald) {
    const proxy = await new Proxy(herald).start()
    const context = await this.browser.newContext()
    context.setDefaultTimeout(patience)
    if (init) await context.addInitScript(init)
    t.after(async () => {
      await context.close()
      await proxy.stop()
    })
    return { proxy, context, herald }
  }

  // tab opens a page with a connected client. Its handle tells what it showed.
  async tab({ context, proxy, herald }, options = "", { connect = true } = {}) {
    const page = await context.newPage()
    const problems = []
    page.on("pageerror", (error) => problems.push(error.message))
    const url = this.pages.url
    const self = {
      page, problems,
      shown: () => page.evaluate(() => window.shown),
      state: () => page.evaluate(() => client.state),
      phase: (phase, more = () => true) => until(`phase ${phase}`, async () => {
        const state = await self.state()
        return state.phase === phase && more(state) && state
      }),
      shows: (title) => until(`message ${title}`, async () => (await self.shown()).includes(title)),
      // load gives the page a client that is not connected yet.
      async load() {
        await page.goto(url)
        await page.addScriptTag({ url: `${proxy.url}/sdk/herald.js` })
        await page.evaluate(`
          shown = []; withdrawn = []; states = []; transports = []; asked = []; errors = []; heard = []
          client = herald.createClient({
            url: ${JSON.stringify(proxy.url)}, ${options.includes("getToken") ? "" : `appKey: "${herald.credentials[0]}",`}
            onMessage(m) { shown.push(m.notification.title); transports.push(m.transport); last = m },
            onWithdraw(w) { withdrawn.push(w.id) },
            onState(s) { states.push(s.phase) },
            onError(e) { errors.push([e.code, e.message]) },
            ${options}
          })`)
      },
      async open() {
        await self.load()
        if (!connect) return self
        await page.evaluate(() => void client.connect())
        self.device = (await self.phase("connected")).registrationId
        return self
      },
    }
    return self.open()
  }
}
