// Tells the server what became of messages here, and asks it back what it
// knows. Over WebSocket a report is a frame and leaves at once, over SSE it is a
// request, at most every 100 ms; what cannot leave waits for the next connection.

const batchWithin = 100
const askEvery = 400

export class Reports {
  #api
  #session
  #onTrace
  #waiting = [] // [message ID, event], in order
  #timer = 0
  #asking = new Set() // message IDs, in the order to ask
  #askTimer = 0
  #askAfter = 0

  constructor({ api, session, onTrace }) {
    this.#api = api
    this.#session = session
    this.#onTrace = onTrace
  }

  report(id, event) {
    if (this.#asFrame(id, event)) return this.ask(id)
    if (this.#waiting.some((w) => w[0] === id && w[1] === event)) return
    this.#waiting.push([id, event])
    if (!this.#timer) this.#timer = setTimeout(() => this.flush(), batchWithin)
  }

  // flush sends what waits. It is called by the timer and after a connection.
  async flush() {
    clearTimeout(this.#timer)
    this.#timer = 0
    if (this.#session.state.phase !== "connected") return
    const batch = this.#waiting.splice(0, 500)
    if (batch.length === 0) return
    if (!batch.every(([id, event]) => this.#asFrame(id, event)) && !(await this.#asRequest(batch))) {
      this.#waiting.unshift(...batch)
      this.#timer = setTimeout(() => this.flush(), 2_000)
      return
    }
    for (const [id] of batch) this.ask(id)
    if (this.#waiting.length > 0 && !this.#timer) this.#timer = setTimeout(() => this.flush(), batchWithin)
  }

  #asFrame(id, event) {
    return this.#session.send(event === "received" ? { type: "ack", ids: [id] } : { type: "event", event, ids: [id] })
  }

  async #asRequest(batch) {
    try {
      await this.#api.report(batch.map(([id, event]) => ({ id, event })))
      return true
    } catch (problem) {
      return !problem.passing // what is refused for good is not repeated
    }
  }

  // ask fetches the trace of a message soon: one request at a time, well below
  // the rate that a device is allowed.
  ask(id, soon = false) {
    this.#asking.add(id)
    if (soon) this.#asking = new Set([id, ...this.#asking])
    this.#schedule()
  }

  #schedule() {
    if (this.#askTimer || this.#asking.size === 0) return
    this.#askTimer = setTimeout(() => this.#askNext(), Math.max(askEvery, this.#askAfter))
  }

  async #askNext() {
    const [id] = this.#asking
    this.#asking.delete(id)
    this.#askAfter = 0
    try {
      this.#onTrace(id, await this.#api.trace(id), null)
    } catch (problem) {
      this.#askAfter = problem.retryAfter * 1000
      this.#onTrace(id, null, problem)
    }
    this.#askTimer = 0
    this.#schedule()
  }
}
