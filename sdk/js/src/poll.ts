import type { Frame, Transport } from "./types.ts"
import { call } from "./api.ts"
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
    const { topics, memo } = target
    const next = async (seconds: number) => {
      // What was published between two requests is told if the second says where the first ended.
      const since = topics && memo.since ? `&since=${encodeURIComponent(memo.since)}` : ""
      const response = await call(target.fetch, `${target.url}v1/live/poll?wait=${seconds}${topics}${since}`, target.token, { signal: abort.signal })
      const answer = (await response.json()) as { frames: Frame[]; since?: string }
      if (abort.signal.aborted) return []
      if (answer.since) memo.since = answer.since
      target.heard()
      return answer.frames
    }
    const run = async () => {
      let rest = pause
      for (let first = true; ; first = false) {
        const frames = await next(first ? 0 : wait)
        if (abort.signal.aborted) return
        // The server says welcome only with a newer token.
        if (first && frames[0]?.type !== "welcome") target.frame({ type: "welcome" })
        const ids = frames.flatMap((frame) => (frame.id ? String(frame.id) : []))
        const news = ids.filter((id) => !known.has(id))
        for (const frame of frames) abort.signal.aborted || target.frame(frame)
        for (const id of news) known.add(id)
        bound(known, mostKnown)
        rest = news.length || !ids.length ? pause : Math.min(rest * 2, longest)
        if (frames.length) await new Promise((resolve) => setTimeout(resolve, rest))
        if (abort.signal.aborted) return
      }
    }
    run().catch((error) => abort.signal.aborted || target.lost({ error }))
    return { close: () => abort.abort() }
  },
}
