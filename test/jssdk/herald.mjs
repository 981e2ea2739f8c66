// What the tests in a browser and in Node share: a herald of their own, which
// can be stopped, killed and started again on the same address, and a proxy in
// front of it that can fail in the ways that networks fail.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { readFileSync, mkdtempSync, rmSync } from "node:fs"
import http from "node:http"
import net from "node:net"
import os from "node:os"
import path from "node:path"

// How long a test waits for what should happen soon. It is longer than the 30 s
// between two attempts of a client that has failed often, as it does when a slow
// machine starts a server, and shorter than the 75 s after which a client notices
// by itself that nothing comes.
export const patience = 60_000

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// until waits for something to become true, and gives it.
export async function until(what, look, within = patience) {
  for (const end = Date.now() + within; ; await sleep(20)) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`)
  }
}

// exactly waits until a tab has shown each of these titles, and checks that it
// has shown nothing else and nothing twice.
export async function exactly(tab, titles) {
  await until(`${titles.length} messages`, async () => new Set(await tab.shown()).size >= titles.length)
  assert.deepEqual((await tab.shown()).toSorted(), titles.toSorted())
  assert.deepEqual(tab.problems, [])
}

// Herald is a server under test; more goes to its command line.
export class Herald {
  #process
  printed = ""
  data = mkdtempSync(path.join(os.tmpdir(), "herald-jssdk-"))
  // A port below those that the system gives out, so that nobody takes it while
  // the server is away. If somebody has it, dev goes to the next.
  address = `127.0.0.1:${20_000 + Math.floor(Math.random() * 12_000)}`

  constructor(...more) {
    this.more = more
  }

  async start() {
    const child = spawn(process.env.HERALD, ["--data", this.data, "dev", "--http", this.address, "--ops", "127.0.0.1:0", "--set", "server.tcp=127.0.0.1:0", "--set", "server.mqtt=127.0.0.1:0", ...this.more], { stdio: ["ignore", "pipe", "pipe"] })
    this.#process = child
    this.printed = ""
    const listening = new Promise((resolve, reject) => {
      child.stdout.on("data", (text) => {
        this.printed += text
        if (this.printed.includes("listening on")) resolve()
      })
      child.stderr.on("data", (text) => (this.printed += text))
      child.on("exit", () => reject(new Error(`herald ended: ${this.printed}`)))
      setTimeout(() => reject(new Error(`herald does not start: ${this.printed}`)), patience).unref()
    })
    await listening
    this.url = this.printed.match(/address +(http\S+)/)[1]
    this.address = new URL(this.url).host
    const context = JSON.parse(readFileSync(path.join(this.data, "context.json")))
    this.credentials = [context.app_key, context.master_secret]
    return this
  }

  // kill ends it as a crash does, stop as an operator does.
  async kill(signal = "SIGKILL") {
    const child = this.#process
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill(signal)
    await ended
  }

  stop() {
    return this.kill("SIGTERM")
  }

  async remove() {
    await this.kill()
    rmSync(this.data, { recursive: true, force: true })
  }

  async call(method, where, body, headers = {}) {
    const response = await fetch(`${this.url}/v1/${where}`, {
      method,
      headers: { Authorization: `Basic ${btoa(this.credentials.join(":"))}`, "Content-Type": "application/json", ...headers },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    })
    const answer = response.status === 204 ? {} : await response.json()
    if (!response.ok) throw new Error(`${method} ${where}: ${JSON.stringify(answer)}`)
    return answer
  }

  // push sends a message to a device and gives its ID.
  async push(device, title, more = {}) {
    const answer = await this.call("POST", "messages", { audience: { registration_ids: [device] }, notification: { title }, ...more })
    return answer.id
  }

  // state is how far a message has come on a device.
  async state(id, device) {
    return (await this.call("GET", `messages/${id}/devices/${device}`)).state
  }
}

// Journal sends to a device until told otherwise, and writes down what the
// server has accepted. What fails is sent again with the same idempotency key.
export class Journal {
  accepted = [] // [message ID, title]
  #running = true
  #done

  constructor(herald, device, prefix = "m") {
    const one = async () => {
      const title = `${prefix}${this.accepted.length}`
      const key = `${device}-${title}`
      const message = { audience: { registration_ids: [device] }, notification: { title } }
      const answer = await until("accepted", () => herald.call("POST", "messages", message, { "Idempotency-Key": key }).catch(() => null))
      this.accepted.push([answer.id, title])
    }
    const run = async () => {
      while (this.#running) await Promise.all([one(), sleep(50)])
    }
    this.herald = herald
    this.device = device
    this.#done = run()
    this.#done.catch(() => {}) // told by stop
  }

  // more waits until this many others have been accepted.
  more(n) {
    const least = this.accepted.length + n
    return until(`${least} accepted`, () => this.accepted.length >= least)
  }

  stop() {
    this.#running = false
    return this.#done
  }

  // agrees ends the sending, and checks that each of these tabs shows what was
  // accepted, nothing twice, and that the server knows it.
  async agrees(...tabs) {
    await this.stop()
    const titles = this.accepted.map(([, title]) => title)
    await Promise.all(tabs.map((t) => exactly(t, titles)))
    for (const [id, title] of this.accepted) {
      await until(`${title} received`, async () => (await this.herald.state(id, this.device)) === "received")
    }
    await Promise.all(tabs.map((t) => exactly(t, titles)))
    return titles.length
  }
}

// Proxy stands before a herald. `cut` refuses and ends every connection,
// `noUpgrade` answers 400 to WebSocket, as old proxies do, "swallow" says
// nothing to it, and "mute" lets it begin and nothing through; `buffers` keeps
// streams to itself until they end, as others do, `silent` lets
// the connections that there are live and nothing pass, as a lost radio link does.
export class Proxy {
  cut = false
  noUpgrade = false // or true, "swallow", "mute"
  buffers = false
  silent = false
  #sockets = new Set()

  constructor(herald) {
    this.herald = herald
    this.server = net.createServer((client) => this.#accept(client))
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve))
    this.url = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  disconnect() {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop() {
    this.disconnect()
    await new Promise((resolve) => this.server.close(resolve))
  }

  #accept(client) {
    client.on("error", () => {})
    if (this.cut) return client.destroy()
    const [host, port] = this.herald.address.split(":")
    const server = net.connect(Number(port), host)
    this.#sockets.add(client)
    const end = () => {
      this.#sockets.delete(client)
      client.destroy()
      server.destroy()
    }
    server.on("error", end)
    client.on("close", end)
    server.on("close", end)
    const born = this.silent
    let first = true
    let stream = false
    let muted = false
    client.on("data", (data) => {
      if (first && this.noUpgrade && /^upgrade: websocket/im.test(data.toString("latin1"))) {
        if (this.noUpgrade === "swallow") return
        if (this.noUpgrade === true) return client.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        server.once("data", () => (muted = true))
      }
      first = false
      if (data.toString("latin1").startsWith("GET /v1/live/sse")) stream = true
      if (!this.silent || born) server.write(data)
    })
    server.on("data", (data) => {
      if ((!this.silent || born) && !(stream && this.buffers) && !muted) client.write(data)
    })
  }
}

// origin serves empty pages, for SDKs that come from another origin.
export async function origin() {
  const server = http.createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>"))
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { url: `http://localhost:${server.address().port}/`, close: () => (server.closeAllConnections(), server.close()) }
}
