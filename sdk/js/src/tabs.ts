/**
 * Agrees among the tabs of an origin which one holds the connection: the one
 * that holds a lock (Web Locks). The browser gives the lock to the next tab when
 * the leader is closed or crashes.
 */
export class Tabs {
  #name: string
  #lead: () => void
  #hear: (said: unknown) => void
  #channel: BroadcastChannel | undefined
  #abort: AbortController | undefined
  #release: (() => void) | undefined

  constructor(name: string, lead: () => void, hear: (said: unknown) => void) {
    this.#name = name
    this.#lead = lead
    this.#hear = hear
  }

  start(): void {
    if (this.#channel) return
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.onmessage = (event) => this.#hear(event.data)
    const abort = (this.#abort = new AbortController())
    const held = () =>
      new Promise<void>((release) => {
        if (abort.signal.aborted) return release()
        this.#release = release
        this.#lead()
      })
    navigator.locks.request(this.#name, { signal: abort.signal }, held).catch(() => {}) // aborted by stop
  }

  say(what: unknown): void {
    this.#channel?.postMessage(what)
  }

  /** Leaves; the lock, if it is held, goes to another tab. */
  stop(): void {
    this.#abort?.abort()
    this.#release?.()
    this.#channel?.close()
    this.#channel = this.#release = undefined
  }
}

export const haveTabs = (): boolean =>
  typeof document === "object" && typeof BroadcastChannel === "function" && !!globalThis.navigator?.locks
