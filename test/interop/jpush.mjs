// The official clients of JPush as judges of /v3: the npm packages jpush-sdk and
// jpush-async, as they are. They speak https to fixed hosts; here the module
// https hands their requests to the server under test, and notes what was
// answered.
import { createRequire } from "node:module"
import http from "node:http"
import { serve } from "./lines.mjs"

const require = createRequire(import.meta.url)
const https = require("https")

let server // where the requests go
let wire = [] // what was asked and answered
let wake = () => {}

https.request = (options, callback) => {
  const asked = { method: options.method ?? "GET", host: options.host ?? options.hostname, path: options.path }
  const req = http.request(
    {
      method: asked.method, path: asked.path, headers: { ...options.headers }, auth: options.auth,
      host: server.hostname, port: server.port, agent: http.globalAgent,
    },
    callback,
  )
  req.on("response", (res) => {
    asked.status = res.statusCode
    wire.push(asked)
    wake()
  })
  return req
}

// The callback style of jpush-async throws where nobody can catch it, after it
// was answered: what it was answered is on the wire.
let tolerant = false
for (const kind of ["uncaughtException", "unhandledRejection"]) {
  process.on(kind, (e) => {
    if (tolerant) return
    process.stderr.write(String(e?.stack || e) + "\n")
    process.exit(1)
  })
}

// styles are the ways to call a client: each gives a promise of the answer.
const styles = {
  "jpush-sdk": () => {
    const lib = require("jpush-sdk")
    return { lib, call: (of, name, args) => new Promise((yes, no) => of[name](...args, (err, res) => (err ? no(err) : yes(res)))) }
  },
  "jpush-async": () => {
    const lib = require("jpush-async").JPushAsync
    return { lib, call: (of, name, args) => of[name](...args) }
  },
  "jpush-async with callbacks": () => {
    const lib = require("jpush-async").JPush
    return {
      lib,
      call: (of, name, args) =>
        new Promise((yes) => {
          wake = () => setTimeout(() => yes("answered"), 20) // it throws meanwhile
          try {
            of[name](...args, () => {})?.catch?.(() => {})
          } catch {
            // it is on the wire, or the wait ends the test
          }
        }),
    }
  },
}

serve({
  // offered lists the calls of a client.
  offered({ style }) {
    const { lib } = styles[style]()
    const client = lib.buildClient("a".repeat(24), "b".repeat(24))
    return Object.keys(Object.getPrototypeOf(client)).filter((k) => k !== "constructor")
  },
  // call makes one call of a client, or of a push that is built first: build is
  // a list of [method, arguments], in which {"$": [name, arguments]} is what a
  // function of the package gives.
  async call({ style, url, key, secret, proxy, method, args, build }) {
    server = new URL(url)
    wire = []
    tolerant = style.endsWith("callbacks")
    const { lib, call } = styles[style]()
    const client = lib.buildClient({ appKey: key, masterSecret: secret, isDebug: false, proxy })
    client.isDebug = false
    let of = client
    if (build) {
      of = client.push()
      for (const [step, given] of build) {
        of[step](...(given ?? []).map((g) => (g && g.$ ? lib[g.$[0]](...g.$[1]) : g)))
      }
    }
    const out = { wire }
    try {
      out.value = (await call(of, method, args ?? [])) ?? null
    } catch (e) {
      out.failed = { name: e.name, message: e.message, status: e.httpCode }
    }
    return out
  },
})
