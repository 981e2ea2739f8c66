// This page's use of the SDK: one client, made anew when another transport is
// chosen, and what the page shows of its state.

import { HeraldError, createClient } from "../sdk/herald.mjs"
import { shortpoll } from "./shortpoll.js"

// What each choice is in the words of the SDK; automatic is its own order.
const choices = { auto: undefined, websocket: ["websocket"], sse: ["sse"], poll: ["poll"], shortpoll: [shortpoll] }

export class Connection {
  #api
  #profile
  #on
  #client = null
  #room = null
  #off = () => {}
  #problem = null // of the last registration
  connections = 0

  // on has the functions message, withdraw, state; room the topic and what to do
  // with what is heard there.
  constructor({ api, profile, on, room }) {
    this.#api = api
    this.#profile = profile
    this.#on = on
    this.#room = room
  }

  // choose connects by one transport, or by those of the SDK in its order.
  choose(choice) {
    this.#off()
    this.#client?.close()
    const client = createClient({
      url: new URL("..", location.href).href.replace(/[#?].*$/, ""),
      getToken: () => this.#register(),
      scope: this.#api.installation,
      transports: choices[choice],
      tabs: false, // each page shows its own transport
      onMessage: (message) => this.#on.message(message),
      onWithdraw: ({ id }) => this.#on.withdraw(id),
      onState: (state) => client === this.#client && this.#state(state),
      onError: (error) => this.#problem === error || console.warn("herald:", error.code, error.message, error.remedy),
    })
    this.#client = client
    this.#off = client.subscribe(this.#room.topic, this.#room.heard, { presence: this.#room.present })
    this.connect()
  }

  connect() {
    this.#client.connect()
  }

  displayed = (id) => this.#client.displayed(id)
  clicked = (id) => this.#client.clicked(id)
  ack = (id) => this.#client.ack(id)
  publish = (data) => this.#client.publish(this.#room.topic, data)

  async #register() {
    try {
      this.#problem = null
      return (await this.#api.register(this.#profile())).token
    } catch (problem) {
      this.#problem = problem
      throw problem
    }
  }

  // state puts the SDK's phases and causes into those that the page has words for.
  #state({ phase, cause, transport, retryAt }) {
    const problem = this.#problem
    if (phase === "connected") this.connections++
    if (phase === "idle") phase = "starting"
    if (phase === "stopped") phase = "refused"
    if (cause === "register" && problem?.status === 401) cause = "link"
    if (cause === "unreachable" && problem?.status) cause = "busy"
    this.#on.state({ phase, cause, transport, retryAt, problem: problem instanceof HeraldError && problem.status ? problem : null })
  }
}
