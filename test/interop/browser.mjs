// Chromium: raw WebSocket and EventSource within a page of the server's origin
// (connect, away), and any page as a person uses it (goto, click, fill, wait…).
import { launch, patience } from "./chromium.mjs"
import { address, emit, serve } from "./lines.mjs"

const browser = await launch()
const clients = new Map() // name -> { context, page, cursor }

serve({
  async connect(c) {
    const state = clients.get(c.client) || (await open(c))
    const sse = c.kind === "sse"
    const url = address(c.url, sse ? "/v1/live/sse" : "/v1/live/ws", c.token, sse ? state.cursor : "")
    if (!sse) url.protocol = "ws:"
    await state.page.evaluate(sse ? eventSource : webSocket, url.href)
  },
  away: ({ client }) => clients.get(client).page.evaluate(() => window.heraldAway()),
  async forget({ client }) {
    await clients.get(client)?.context.close()
    clients.delete(client)
  },

  // Pages. Selectors are Playwright's.
  async goto(c) {
    const state = clients.get(c.client) || (await open(c))
    await state.page.goto(c.url)
  },
  reload: ({ client }) => clients.get(client).page.reload(),
  click: ({ client, selector }) => clients.get(client).page.click(selector, { timeout: patience }),
  fill: ({ client, selector, text }) => clients.get(client).page.fill(selector, text, { timeout: patience }),
  wait: ({ client, selector }) => clients.get(client).page.waitForSelector(selector, { timeout: patience, state: "attached" }).then(() => true),
  text: ({ client, selector }) => clients.get(client).page.innerText(selector, { timeout: patience }),
  texts: ({ client, selector }) => clients.get(client).page.locator(selector).allInnerTexts(),
  evaluate: ({ client, script }) => clients.get(client).page.evaluate(script),
}, () => browser.close())

async function open(c) {
  const context = await browser.newContext({
    locale: c.locale || "en-GB",
    colorScheme: c.scheme || "light",
    viewport: { width: c.width || 1280, height: 860 },
  })
  if (c.broken === "websocket") await context.addInitScript(breakWebSocket)
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  const state = { context, page, cursor: "" }
  clients.set(c.client, state)
  page.on("pageerror", (error) => emit({ client: c.client, event: "pageerror", detail: error.message }))
  page.on("console", (m) => {
    // A lost connection is logged by the browser itself, which is no defect.
    if (m.type() === "error" && !/net::|WebSocket|Failed to load resource/.test(m.text())) {
      emit({ client: c.client, event: "pageerror", detail: m.text() })
    }
  })
  await page.exposeFunction("heraldEmit", (event) => {
    if (event.cursor) state.cursor = event.cursor
    emit({ client: c.client, ...event })
  })
  // The page without a token does nothing by itself, and has the origin.
  if (c.cmd === "connect") await page.goto(new URL("/demo/", c.url).href)
  return state
}

// What follows runs inside the page.

function webSocket(url) {
  let wanted = true
  let socket
  window.heraldAway = () => {
    wanted = false
    socket.close(1000)
  }
  const open = () => {
    socket = new WebSocket(url, ["herald.v1"])
    socket.onopen = () => window.heraldEmit({ event: "open", protocol: socket.protocol, extensions: socket.extensions })
    socket.onmessage = (e) => {
      const frame = JSON.parse(e.data)
      window.heraldEmit({ event: "frame", frame })
      if (frame.type === "message") socket.send(JSON.stringify({ type: "ack", ids: [frame.id] }))
    }
    socket.onclose = (e) => {
      window.heraldEmit({ event: "closed", code: e.code, reason: e.reason })
      if (wanted) setTimeout(open, 100)
    }
  }
  open()
}

function eventSource(url) {
  const source = new EventSource(url)
  window.heraldAway = () => {
    source.close()
    window.heraldEmit({ event: "closed", code: 0, reason: "away" })
  }
  source.onopen = () => window.heraldEmit({ event: "open" })
  source.onerror = (e) => {
    if (e.data === undefined) window.heraldEmit({ event: "closed", code: 0, reason: "" })
  }
  for (const name of ["message", "welcome", "withdraw", "ping", "reconnect"]) {
    source.addEventListener(name, (e) => {
      window.heraldEmit({ event: "frame", frame: JSON.parse(e.data), cursor: e.lastEventId })
    })
  }
}

// breakWebSocket is what a proxy does that does not know the upgrade.
function breakWebSocket() {
  window.WebSocket = class {
    constructor() {
      setTimeout(() => this.onclose({ code: 1006 }), 0)
    }
    close() {}
  }
}
