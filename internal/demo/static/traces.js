// Asks the server what it knows of a message: one request at a time, well below
// the rate that a device is allowed, and again until it knows what this page
// has reported.

const askEvery = 400
const mostTries = 6

export class Traces {
  #api
  #settled
  #onTrace
  #asking = new Map() // message ID -> { at, tries }, in the order to ask
  #timer = 0
  #after = 0

  // settled(id) tells whether nothing more is to be learnt of a message.
  constructor({ api, settled, onTrace }) {
    this.#api = api
    this.#settled = settled
    this.#onTrace = onTrace
  }

  // ask fetches the trace of a message soon.
  ask(id, first = false) {
    const entry = { at: Date.now() + (first ? 0 : askEvery), tries: 0 }
    this.#asking.delete(id)
    this.#asking = first ? new Map([[id, entry], ...this.#asking]) : this.#asking.set(id, entry)
    this.#schedule()
  }

  #schedule() {
    if (this.#timer || this.#asking.size === 0) return
    const next = Math.min(...[...this.#asking.values()].map((entry) => entry.at))
    this.#timer = setTimeout(() => this.#askNext(), Math.max(askEvery / 4, this.#after, next - Date.now()))
  }

  async #askNext() {
    const due = [...this.#asking].find(([, entry]) => entry.at <= Date.now())
    this.#after = askEvery
    if (due) {
      const [id, entry] = due
      try {
        this.#onTrace(id, await this.#api.trace(id), null)
      } catch (problem) {
        this.#after = problem.retryAfter || askEvery
        this.#onTrace(id, null, problem)
      }
      if (this.#asking.get(id) === entry) {
        entry.at = Date.now() + askEvery * 2 ** ++entry.tries
        if (entry.tries >= mostTries || this.#settled(id)) this.#asking.delete(id)
      }
    }
    this.#timer = 0
    this.#schedule()
  }
}
