// Topics in Chromium, over each transport and across tabs.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Stage } from "./stage.mjs"
import { until } from "./herald.mjs"

const stage = new Stage()
let herald
before(async () => {
  ;({ herald } = await stage.start())
  await herald.call("PATCH", "app", { topics: { subscribe: ["open/#"], publish: ["open/chat/#"] } })
})
after(() => stage.stop())

const publish = (topic, data) => herald.call("POST", "publish", { topic, data })

// subscribed has a tab note what it hears on a topic, and waits until the
// server knows: presence counts it.
async function subscribed(tab, topic) {
  await tab.page.evaluate((name) => {
    window.present ??= {}
    client.subscribe(name, ({ topic, data, from }) => heard.push([topic, data, from ? "device" : "server"]), {
      presence: (devices, topic) => (present[topic] = devices),
    })
  }, topic)
  await until(`presence on ${topic}`, () => tab.page.evaluate((name) => window.present[name] > 0, topic))
}

const hears = (tab, ...data) =>
  until(`hears ${data}`, async () => {
    const all = (await tab.page.evaluate(() => heard)).map(([, datum]) => datum)
    return data.every((datum) => all.includes(datum)) && all
  })

// reaches publishes until it is heard, for moments in which a tab may not be
// subscribed yet.
const reaches = (tab, topic, data) =>
  until(`${topic} reaches the tab`, async () => {
    await publish(topic, data)
    return (await tab.page.evaluate(() => heard)).some(([name, datum]) => name === topic && datum === data)
  })

describe("topics", { concurrency: 4 }, () => {
  for (const transport of ["websocket", "sse", "poll"]) {
    test(`${transport}: subscribe, presence, publish, unsubscribe`, async (t) => {
      const s = await stage.scene(t)
      const tab = await stage.tab(s, `transports: ["${transport}"],`)
      const room = `open/chat/${transport}`
      await subscribed(tab, room)
      assert.equal((await tab.state()).transport, transport)
      for (let i = 0; i < 20; i++) await publish(room, i)
      const all = await hears(tab, 19)
      assert.deepEqual(all, [...Array(20).keys()], "each once and in order, also between two polls")
      await tab.page.evaluate((name) => client.publish(name, "own words"), room)
      await hears(tab, "own words")
      assert.deepEqual(await tab.page.evaluate(() => heard.at(-1)), [room, "own words", "device"])
      const other = `open/${transport}`
      assert.match(await tab.page.evaluate((name) => client.publish(name, 1).catch((e) => `${e.name} ${e.code} ${!!e.remedy}`), other), /HeraldError forbidden true/)
      assert.equal((await tab.state()).phase, "connected")

      // An end of one subscription is none of another.
      await tab.page.evaluate((name) => (window.off = client.subscribe(name, ({ data }) => heard.push([name, data]))), other)
      await reaches(tab, other, "first")
      await tab.page.evaluate(() => off())
      await until("unsubscribed", async () => (await publish(other, "after")).devices === 0)
      await publish(room, "last")
      await hears(tab, "last")
      assert.deepEqual(tab.problems, [])
    })

    test(`${transport}: subscribed again after a loss`, async (t) => {
      const s = await stage.scene(t)
      const tab = await stage.tab(s, `transports: ["${transport}"],`)
      const room = `open/again/${transport}`
      await subscribed(tab, room)
      s.proxy.cut = true
      s.proxy.disconnect()
      await tab.phase("waiting")
      s.proxy.cut = false
      await tab.page.evaluate(() => dispatchEvent(new Event("online")))
      await reaches(tab, room, "back")
    })

    test(`${transport}: what the rules forbid is an error, and the rest goes on`, async (t) => {
      const s = await stage.scene(t)
      const tab = await stage.tab(s, `transports: ["${transport}"],`)
      const room = `open/rules/${transport}`
      await subscribed(tab, room)
      await tab.page.evaluate(() => void client.subscribe("closed", () => heard.push("never")))
      await until("an error", async () => (await tab.page.evaluate(() => errors)).length > 0)
      const [[code, detail]] = await tab.page.evaluate(() => errors)
      assert.equal(code, "forbidden")
      assert.match(detail, /"closed"/)
      await reaches(tab, room, "still here")
      assert.equal((await tab.page.evaluate(() => errors)).length, 1)
    })
  }

  test("the leader subscribes for all tabs, and who takes over does too", async (t) => {
    const s = await stage.scene(t)
    const [a, b, c] = [await stage.tab(s), await stage.tab(s), await stage.tab(s)]
    await subscribed(b, "open/b")
    await subscribed(c, "open/c")
    await publish("open/b", "for b")
    await publish("open/c", "for c")
    assert.deepEqual([await hears(b, "for b"), await hears(c, "for c"), await a.page.evaluate(() => heard)], [["for b"], ["for c"], []])
    await b.page.evaluate(() => client.publish("open/chat/x", 1)) // a follower publishes too
    await b.page.evaluate(() => void client.subscribe("closed", () => {}))
    await until("the tab that asked is told", async () => (await b.page.evaluate(() => errors)).length === 1)
    assert.deepEqual([await a.page.evaluate(() => errors), await c.page.evaluate(() => errors)], [[], []])

    await a.page.close()
    await until("another leads", async () => (await b.state()).leader || (await c.state()).leader)
    await Promise.all([reaches(b, "open/b", "later"), reaches(c, "open/c", "later")])
    await b.page.close()
    await until("nobody listens for the tab that is gone", async () => (await publish("open/b", "gone")).devices === 0)
    await reaches(c, "open/c", "at last")
  })

  test("topics move along to a better transport", async (t) => {
    const s = await stage.scene(t)
    s.proxy.noUpgrade = true
    const tab = await stage.tab(s)
    await subscribed(tab, "open/moves")
    assert.equal((await tab.state()).transport, "sse")
    s.proxy.noUpgrade = false
    await tab.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await tab.phase("connected", (state) => state.transport === "websocket")
    await reaches(tab, "open/moves", "moved")
  })
})
