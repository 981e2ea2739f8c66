// What networks, servers, proxies, laptops and browsers do to a page, in
// Chromium: while messages keep coming the fault happens and passes, and then
// what the server accepted is compared with what onMessage showed. None is lost
// and none is shown twice.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Stage } from "./stage.mjs"
import { Herald, Journal, Proxy, exactly, until } from "./herald.mjs"

const stage = new Stage()
let herald
before(async () => ({ herald } = await stage.start()))
after(() => stage.stop())

const only = (transport) => `transports: ["${transport}"],`
const transports = ["websocket", "sse", "poll"]

// begun opens a tab and has messages sent to it that already arrive.
async function begun(t, s, options, device) {
  const tab = await stage.tab(s, options)
  const journal = new Journal(s.herald, device ?? tab.device)
  t.after(() => journal.stop())
  await journal.more(3)
  await until("messages", async () => (await tab.shown()).length > 0)
  return [tab, journal]
}

// restored waits until a message that was sent from now on is shown.
async function restored(tab, journal) {
  const from = journal.accepted.length
  await journal.more(2)
  await tab.shows(journal.accepted[from][1])
}

describe("faults", { concurrency: 4 }, () => {
  for (const transport of transports) {
    test(`${transport}: the network is cut and restored`, async (t) => {
      const s = await stage.scene(t)
      const [tab, journal] = await begun(t, s, only(transport))
      for (let i = 0; i < 2; i++) {
        s.proxy.cut = true
        s.proxy.disconnect()
        await s.context.setOffline(true)
        await tab.phase("waiting")
        await journal.more(5)
        s.proxy.cut = false
        await s.context.setOffline(false)
        await restored(tab, journal)
      }
      await journal.agrees(tab)
    })

    test(`${transport}: the connection dies without a word, and the network returns`, async (t) => {
      const s = await stage.scene(t)
      const [tab, journal] = await begun(t, s, only(transport))
      s.proxy.silent = true
      await s.context.setOffline(true)
      await journal.more(5)
      await s.context.setOffline(false)
      await restored(tab, journal)
      await journal.agrees(tab)
    })

    test(`${transport}: the server is killed and started again`, async (t) => {
      const mine = await new Herald().start()
      t.after(() => mine.remove())
      const s = await stage.scene(t, undefined, mine)
      const [tab, journal] = await begun(t, s, only(transport))
      for (const end of ["SIGKILL", "SIGTERM"]) {
        await mine.kill(end)
        await tab.phase("waiting")
        await mine.start()
        await restored(tab, journal)
      }
      await journal.agrees(tab)
    })

    test(`${transport}: the token is refused, and getToken gives another`, async (t) => {
      const s = await stage.scene(t)
      const installation = `0123456789abcdef0123456789abcdef${transport}`
      const register = () => herald.call("POST", "devices", { installation, platform: "web" })
      await s.context.exposeFunction("register", async () => (await register()).token)
      const old = (await register()).registration_id
      const [tab, journal] = await begun(t, s, `${only(transport)} getToken: (why) => (asked.push(why), register()),`, old)
      await journal.agrees(tab)
      await herald.call("DELETE", `devices/${old}`)
      await until("getToken", async () => (await tab.page.evaluate(() => asked)).includes("refused"))
      const next = new Journal(herald, (await register()).registration_id, "next-")
      t.after(() => next.stop())
      await next.more(3)
      await next.stop()
      await exactly(tab, journal.accepted.concat(next.accepted).map(([, title]) => title))
      assert.deepEqual(await tab.page.evaluate(() => asked), ["missing", "refused"])
    })

    // No script runs and no timer, as when a laptop sleeps; then the clock has leapt.
    test(`${transport}: the page sleeps, and its connection dies meanwhile`, async (t) => {
      const s = await stage.scene(t, leaps)
      const [tab, journal] = await begun(t, s, only(transport))
      const awake = await asleep(s.context, tab.page)
      s.proxy.silent = true
      await journal.more(5)
      await awake()
      await restored(tab, journal)
      await journal.agrees(tab)
    })
  }
})

// leaps lets a page's clock be put forward.
function leaps() {
  const now = Date.now
  window.jump = 0
  Date.now = () => now() + window.jump
}

// asleep halts a page's scripts and gives the function that wakes them, an hour
// later by their clock.
async function asleep(context, page) {
  const cdp = await context.newCDPSession(page)
  await cdp.send("Debugger.enable")
  const paused = new Promise((resolve) => cdp.once("Debugger.paused", resolve))
  await cdp.send("Debugger.pause")
  const woken = cdp.send("Runtime.evaluate", { expression: "window.jump = 3_600_000" })
  await paused
  return () => Promise.all([cdp.send("Debugger.resume"), woken])
}

describe("proxies", { concurrency: 4 }, () => {
  for (const [how, noUpgrade] of [["refuses", true], ["swallows", "swallow"], ["mutes", "mute"]]) {
    test(`a proxy that ${how} WebSocket: SSE delivers`, async (t) => {
      const s = await stage.scene(t)
      s.proxy.noUpgrade = noUpgrade
      const [tab, journal] = await begun(t, s)
      assert.equal((await tab.state()).transport, "sse")
      await journal.agrees(tab)
    })
  }

  test("a proxy that buffers: long polling delivers", async (t) => {
    const s = await stage.scene(t)
    s.proxy.noUpgrade = s.proxy.buffers = true
    const [tab, journal] = await begun(t, s)
    assert.equal((await tab.state()).transport, "poll")
    await journal.agrees(tab)
  })

  test("a better way opens: it is taken when the network returns, and nothing is lost or shown twice", async (t) => {
    const s = await stage.scene(t)
    s.proxy.noUpgrade = true
    const [tab, journal] = await begun(t, s)
    assert.equal((await tab.state()).transport, "sse")
    s.proxy.noUpgrade = false
    await tab.page.evaluate(() => dispatchEvent(new Event("online")))
    await tab.phase("connected", (now) => now.transport === "websocket")
    await restored(tab, journal)
    await journal.agrees(tab)
    const used = new Set(await tab.page.evaluate(() => transports))
    assert.deepEqual([...used].toSorted(), ["sse", "websocket"])
  })

  test("a better way opens: it is taken when the page is seen, without a gap", async (t) => {
    const s = await stage.scene(t)
    s.proxy.noUpgrade = true
    const [tab, journal] = await begun(t, s)
    s.proxy.noUpgrade = false
    await tab.page.evaluate(() => {
      states.length = 0
      document.dispatchEvent(new Event("visibilitychange"))
    })
    await tab.phase("connected", (now) => now.transport === "websocket")
    await restored(tab, journal)
    await journal.agrees(tab)
    assert.deepEqual(await tab.page.evaluate(() => states.filter((phase) => phase !== "connected")), [])
  })
})

describe("browsers", { concurrency: 4 }, () => {
  test("the tab that has the connection crashes, another takes over", async (t) => {
    const s = await stage.scene(t)
    const [a, journal] = await begun(t, s)
    const b = await stage.tab(s)
    const before = journal.accepted.length
    await restored(b, journal)
    const cdp = await s.context.newCDPSession(a.page)
    cdp.send("Page.crash").catch(() => {}) // nobody is left to answer
    await b.phase("connected", (state) => state.leader)
    await restored(b, journal)
    // What came before the second tab was there is not shown in it.
    const early = new Set(journal.accepted.slice(0, before + 1).map(([, title]) => title))
    const late = (titles) => titles.filter((title) => !early.has(title))
    await journal.stop()
    await exactly({ ...b, shown: async () => late(await b.shown()) }, late(journal.accepted.map(([, title]) => title)))
  })

  test("without Web Locks each tab connects by itself", async (t) => {
    const s = await stage.scene(t, () => delete Navigator.prototype.locks)
    const [a, journal] = await begun(t, s)
    assert.equal(await a.page.evaluate(() => typeof navigator.locks), "undefined")
    await journal.agrees(a)
    const b = await stage.tab(s)
    assert.deepEqual([(await a.state()).leader, (await b.state()).leader, a.device === b.device], [true, true, true])
    const both = new Journal(herald, a.device, "both-")
    t.after(() => both.stop())
    await both.more(5)
    const titles = journal.accepted.map(([, title]) => title)
    const rest = { ...a, shown: async () => (await a.shown()).filter((title) => !titles.includes(title)) }
    await both.agrees(rest, b)
  })

  for (const [how, broken] of [
    ["throws", () => (indexedDB.open = () => { throw new DOMException("denied", "SecurityError") })],
    ["fails", () => (indexedDB.open = () => {
      const request = { error: new DOMException("denied") }
      setTimeout(() => request.onerror())
      return request
    })],
    ["is absent", () => delete window.indexedDB],
  ]) {
    test(`IndexedDB ${how}: the page's memory is enough`, async (t) => {
      const s = await stage.scene(t, broken)
      const [tab, journal] = await begun(t, s)
      s.proxy.disconnect()
      await restored(tab, journal)
      await journal.agrees(tab)
      assert.equal((await tab.state()).registrationId, tab.device)
    })
  }

  test("back and forward: the page that was kept goes on", async (t) => {
    const s = await stage.scene(t)
    const [tab, journal] = await begun(t, s)
    const { page } = tab
    await page.evaluate(() => addEventListener("pageshow", (event) => (window.persisted = event.persisted)))
    await page.goto(`${stage.pages.url}another`)
    await journal.more(5)
    await page.goBack({ waitUntil: "commit" }) // there is no load event
    assert.equal(await page.evaluate(() => window.persisted), true, "Chromium has kept the page")
    await tab.phase("connected")
    await restored(tab, journal)
    await journal.agrees(tab)
  })
})
