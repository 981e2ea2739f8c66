import type { Transport } from "./types.ts"
import { call } from "./api.ts"
import { parse } from "./frame.ts"

/**
 * Server-Sent Events (HTML Living Standard, section 9.2) by fetch. EventSource
 * would hide the status of a refusal and the comments of the heartbeat, and
 * would need the token in the address.
 */
export const sse: Transport = {
  name: "sse",
  open(target) {
    const abort = new AbortController()
    const read = async () => {
      const response = await call(target.fetch, `${target.url}v1/live/sse?${target.topics}`, target.token, { signal: abort.signal })
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      const take = lines(target.heard, (data) => abort.signal.aborted || parse(data, target))
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return {}
        take(value)
      }
    }
    read().catch((error) => ({ error })).then((loss) => abort.signal.aborted || target.lost(loss))
    return { close: () => abort.abort() }
  },
}

/** Reads events out of pieces of text. The type of an event is within its data, its ID is not needed. */
export function lines(heard: () => void, event: (data: string) => void): (piece: string) => void {
  let rest = ""
  let data: string[] = []
  return (piece) => {
    heard()
    // A CR at the end may be half of a CRLF.
    const parts = (rest + piece).split(/\r\n|\n|\r(?!$)/)
    rest = parts.pop()!
    for (const line of parts) {
      if (line === "") {
        if (data.length) event(data.join("\n"))
        data = []
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5))
      }
    }
  }
}
