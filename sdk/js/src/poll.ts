import type { Frame, Transport } from "./types.ts"
import { retryAfter } from "./api.ts"
import { bound } from "./store.ts"

/** How long the server may hold a request, in seconds: less than the silence that ends a session. */
const wait = 50
/** Before the next request, so that receipts arrive first; longer while only what is known comes. */
const pause = 250
const longest = 8_000
const mostKnown = 5000

/** Long polling, for where nothing else gets through. The first request is not held: it shows that there is a way. */
export const poll: Transport = {
  name: "poll",
  open(target) {
    const abort = new AbortController()
    const known = new Set<string>()
    const ask = async (seconds: number) => {
      const response = await target.fetch(`${target.url}v1/live/poll?wait=${seconds}`, {
        headers: { Authorization: `Bearer ${target.token}` },
        cache: "no-store",
        credentials: "omit",
        signal: abort.signal,
      })
      if (!response.ok) return { status: response.status, after: retryAfter(response) }
      const { frames } = (await response.json()) as { frames: Frame[] }
      target.heard()
      return frames
    }
    const run = async () => {
      let rest = pause
      for (let first = true; ; first = false) {
        const frames = await ask(first ? 0 : wait)
        if (abort.signal.aborted || !Array.isArray(frames)) return frames
        // The server says welcome only with a newer token.
        if (first && frames[0]?.type !== "welcome") target.frame({ type: "welcome" })
        const news = frames.filter((frame) => !known.has(String(frame.id)))
        for (const frame of frames) abort.signal.aborted || target.frame(frame)
        for (const frame of news) known.add(String(frame.id))
        bound(known, mostKnown)
        rest = news.length || !frames.length ? pause : Math.min(rest * 2, longest)
        if (frames.length) await new Promise((resolve) => setTimeout(resolve, rest))
        if (abort.signal.aborted) return {}
      }
    }
    run().catch(() => ({})).then((loss) => abort.signal.aborted || target.lost(loss as object))
    return { close: () => abort.abort() }
  },
}
