// How the Go tests talk to these scripts: one JSON object a line each way. A
// command is {"cmd": name, "call": number?, …}; if it bears a call number it is
// answered by {"event": "answer", "call": number, "value" | "error": …}.
// Everything else that is printed is an event of a client: {"client", "event"}.
import readline from "node:readline"

export function emit(event) {
  process.stdout.write(JSON.stringify(event) + "\n")
}

// serve runs commands until standard input ends, then calls stop: a script
// never outlives the test that started it.
export function serve(commands, stop = () => {}) {
  const lines = readline.createInterface({ input: process.stdin })
  lines.on("line", async (line) => {
    const c = JSON.parse(line)
    try {
      const value = await commands[c.cmd](c)
      if (c.call) emit({ event: "answer", call: c.call, value: value ?? null })
    } catch (error) {
      if (c.call) emit({ event: "answer", call: c.call, error: String(error?.message || error) })
      else emit({ event: "failure", client: c.client, detail: String(error?.stack || error) })
    }
  })
  lines.on("close", async () => {
    await stop()
    process.exit(0)
  })
  emit({ event: "ready" })
}

// address puts the token, and the cursor if there is one, into a live address.
export function address(base, path, token, cursor) {
  const url = new URL(path, base)
  url.searchParams.set("access_token", token)
  if (cursor) url.searchParams.set("cursor", cursor)
  return url
}
