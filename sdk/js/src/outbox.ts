import { jitter } from "./backoff.ts"

export interface Receipt {
  id: string
  event: "received" | "displayed" | "clicked" | "withdrawn"
}

/** Receipts wait at most this long, or until this many are there. */
const within = 100
const many = 64
/** As many IDs as a frame of 16 KiB and a call surely hold. */
const batchSize = 500

/**
 * Collects receipts, and keeps each until it is sure that the server has it.
 * `send` tells whether it has; false means later.
 */
export class Outbox {
  #send: (batch: Receipt[]) => Promise<boolean>
  #waiting = new Map<string, Receipt>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #busy = false
  #stopped = true
  #failures = 0

  constructor(send: (batch: Receipt[]) => Promise<boolean>) {
    this.#send = send
  }

  add(id: string, event: Receipt["event"]): void {
    this.#waiting.set(id + event, { id, event })
    if (this.#stopped) return
    if (this.#waiting.size === many && !this.#failures) void this.flush()
    else if (!this.#timer && !this.#busy) this.#later(within)
  }

  /** Sends now what is there; also called when there is a new way to send. */
  async flush(): Promise<void> {
    this.#stopped = false
    this.#cancel()
    if (this.#busy || !this.#waiting.size) return
    this.#busy = true
    const batch = [...this.#waiting].slice(0, batchSize)
    const sent = await this.#send(batch.map(([, receipt]) => receipt))
    this.#busy = false
    if (sent) this.done(batch.map(([, receipt]) => receipt))
    this.#failures = sent ? 0 : this.#failures + 1
    if (this.#waiting.size) this.#later(sent ? 0 : jitter(this.#failures))
  }

  /** Gives what is not known to have arrived, for a last attempt. */
  rest(): Receipt[] {
    return [...this.#waiting.values()].slice(0, batchSize)
  }

  /** The server has these. */
  done(receipts: Receipt[]): void {
    for (const receipt of receipts) {
      const key = receipt.id + receipt.event
      if (this.#waiting.get(key) === receipt) this.#waiting.delete(key)
    }
  }

  /** Sends nothing by itself until flush is called. */
  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #later(wait: number): void {
    this.#cancel()
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.flush(), wait)
  }
}
