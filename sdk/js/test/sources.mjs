// Gives the modules of src to the tests, and fakes of what they talk to.
import { mock } from "node:test"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const src = path.join(path.dirname(fileURLToPath(import.meta.url)), "../src")
const names = ["backoff", "sse", "poll", "store", "outbox", "session", "client", "identity", "api", "webpush", "worker", "index"]
const { outputFiles } = await build({
  stdin: { contents: names.map((n) => `export * as ${n} from "./${n}.ts"`).join("\n"), resolveDir: src, loader: "ts" },
  bundle: true, format: "esm", target: "es2022", write: false,
  tsconfigRaw: { compilerOptions: { target: "ES2022", useDefineForClassFields: true } },
})
const modules = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`)
export const { backoff, sse, poll, store, outbox, session, client, identity, api, webpush, worker, index } = modules

// settle lets promises and what follows from them run; timers are fake.
export async function settle() {
  for (let i = 0; i < 50; i++) await Promise.resolve()
}

export function fakeTime(t) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 })
  mock.method(Math, "random", () => 0.5)
  t.after(() => {
    mock.timers.reset()
    mock.restoreAll()
  })
}

export async function pass(ms) {
  await settle()
  mock.timers.tick(ms)
  await settle()
}

// fakeTransport keeps what the client does with it; `live` is the newest connection.
export function fakeTransport(name, { oneWay = false } = {}) {
  const transport = {
    name, opened: [],
    get live() {
      return transport.opened.at(-1)
    },
    open(target) {
      const connection = {
        target, sent: [], closed: false,
        welcome: (more) => target.frame({ type: "welcome", registration_id: "r1", heartbeat: 50, timeout: 75, ...more }),
        message: (id, more) => target.frame({ type: "message", id, cursor: `c${id}`, notification: { title: id }, ...more }),
        close: () => (connection.closed = true),
      }
      if (!oneWay) connection.send = (frame) => (connection.sent.push(frame), true)
      transport.opened.push(connection)
      return connection
    },
  }
  return transport
}

// fakeFetch answers each path with what a function says: [status, body, headers].
export function fakeFetch(answers) {
  const calls = []
  const fetch = async (url, init) => {
    const { pathname } = new URL(url)
    const call = { path: pathname, body: init.body && JSON.parse(init.body), token: init.headers.Authorization }
    calls.push(call)
    const [status, body = {}, headers = {}] = answers(call)
    if (!status) throw new TypeError("fetch failed")
    return new Response(JSON.stringify(body), { status, headers })
  }
  return Object.assign(fetch, { calls })
}
