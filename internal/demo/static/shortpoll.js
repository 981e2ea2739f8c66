// Short polling, as a transport of one's own for the SDK: it asks every five
// seconds and is never held. The SDK does the rest, as for its own transports.

const every = 5_000

export const shortpoll = {
  name: "shortpoll",
  open(target) {
    const abort = new AbortController()
    let timer = 0
    let welcomed = false
    const ask = async () => {
      const since = target.topics && target.memo.since ? `&since=${encodeURIComponent(target.memo.since)}` : ""
      const response = await target.fetch(`${target.url}v1/live/poll?wait=0${target.topics}${since}`, {
        headers: { Authorization: `Bearer ${target.token}` },
        cache: "no-store",
        signal: abort.signal,
      })
      if (!response.ok) return target.lost({ status: response.status, after: Number(response.headers.get("Retry-After")) * 1000 })
      const answer = await response.json()
      if (abort.signal.aborted) return
      if (answer.since) target.memo.since = answer.since
      if (!welcomed && answer.frames[0]?.type !== "welcome") target.frame({ type: "welcome" })
      welcomed = true
      target.heard()
      for (const frame of answer.frames) abort.signal.aborted || target.frame(frame)
      if (!abort.signal.aborted) timer = setTimeout(run, every)
    }
    const run = () => ask().catch(() => abort.signal.aborted || target.lost({}))
    run()
    return {
      close() {
        abort.abort()
        clearTimeout(timer)
      },
    }
  },
}
