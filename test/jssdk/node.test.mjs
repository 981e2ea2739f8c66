// The SDK in Node against a real herald: over SSE and long polling, as Node 20
// has no WebSocket, and over WebSocket by the npm package ws. Then the examples of
// its README, as they are written there.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { after, before, test } from "node:test"
import { Herald, until } from "./herald.mjs"
import { createClient, memoryStore } from "../../internal/jssdk/dist/herald.mjs"

const ws = createRequire(new URL("../interop/package.json", import.meta.url))("ws")

let herald
before(async () => {
  herald = await new Herald().start()
  await herald.call("PATCH", "app", { topics: { publish: ["chat/#"] } })
})
after(() => herald.remove())

for (const [transport, WebSocket] of [["sse"], ["poll"], ["websocket", ws.WebSocket]]) {
  test(`in Node over ${transport}`, async () => {
    const shown = []
    const client = createClient({
      url: herald.url, appKey: herald.credentials[0], WebSocket, transports: [transport], onMessage: (m) => void shown.push(m),
    })
    await client.connect()
    const device = client.state.registrationId
    const id = await herald.push(device, "hello")
    await until("message", () => shown.length)
    assert.deepEqual([shown[0].id, shown[0].transport], [id, transport])
    await until("receipt", async () => (await herald.state(id, device)) === "received")
    shown[0].clicked()
    await client.close()
    assert.equal(await herald.state(id, device), "clicked")
  })
}

test("a store of one's own keeps the device and what it has had", async () => {
  const store = memoryStore()
  const devices = []
  const shown = []
  for (let start = 0; start < 2; start++) {
    const client = createClient({ url: herald.url, appKey: herald.credentials[0], store, onMessage: (m) => void shown.push(m.id) })
    await client.connect()
    devices.push(client.state.registrationId)
    const id = await herald.push(devices[0], `start ${start}`)
    await until("message", () => shown.includes(id))
    await client.close()
  }
  assert.equal(devices[0], devices[1])
  assert.equal(shown.length, 2)
})

const readme = readFileSync(new URL("../../sdk/js/README.md", import.meta.url), "utf8")
const examples = [...readme.matchAll(/<!-- run: (.+?) -->\n+```js\n([\s\S]+?)```/g)]

test("the README has examples", () => assert.ok(examples.length >= 3, `${examples.length} found`))

for (const [, name, code] of examples) {
  test(`README, ${name}`, async () => {
    const clients = []
    const lines = []
    const device = await herald.call("POST", "devices", { installation: "f".repeat(40), platform: "web" })
    const scope = {
      createClient: (options) => {
        const client = createClient({ ...options, url: herald.url })
        clients.push(client)
        return client
      },
      appKey: herald.credentials[0],
      console: { log: (...words) => lines.push(words.join(" ")) },
      fetch: async (url, init) => (url === "/my/herald-token" ? new Response(device.token) : fetch(url, init)),
      require: createRequire(new URL("../interop/package.json", import.meta.url)),
    }
    // Imports are given by name instead.
    const body = code.replace(/^import .*$/gm, "").replaceAll(`"your app key"`, "appKey")
    const Async = (async () => {}).constructor
    await new Async(...Object.keys(scope), body)(...Object.values(scope))
    assert.ok(clients.length > 0, "the example makes a client")
    await until("connected", () => clients[0].state.phase === "connected")
    await herald.push(clients[0].state.registrationId, "Hello")
    await until(`a line that says Hello: ${lines}`, () => lines.some((l) => l.includes("Hello")))
    if (name === "topics") {
      await until("its own words, and presence", () => lines.some((l) => /^\S+ says Hello, everybody$/.test(l)) && lines.includes("1 here"))
      await herald.call("POST", "publish", { topic: "chat/7", data: { text: "Bye" } })
      await until("the server's words", () => lines.includes("the app server says Bye"))
    }
    for (const client of clients) await client.close()
  })
}
