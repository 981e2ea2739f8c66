// Keeps this device connected: registers, opens a transport, watches the
// heartbeat, and comes back after a loss with full jitter. It says what it does
// through onState; what to show is not decided here.

import { openEventSource, openWebSocket } from "./transports.js"

const welcomeWithin = 15_000
const pongWithin = 5_000
const failuresBeforeFallback = 2
const fallbackLasts = 5 * 60_000

// What to do after a close code of docs/protocol.md: "retry", "register" (then
// retry) or "stop". Other codes are retried.
const afterClose = {
  4001: { cause: "token", then: "register" },
  4003: { cause: "forbidden", then: "stop" },
  4008: { cause: "heartbeat", then: "retry" },
  4009: { cause: "replaced", then: "stop" },
  4010: { cause: "slow", then: "retry" },
  4012: { cause: "draining", then: "retry" },
  4013: { cause: "protocol", then: "stop" },
  4029: { cause: "crowded", then: "retry" },
}

// jitter gives the wait before an attempt, in milliseconds: random between 1 s
// and a bound that doubles from 1 s to 30 s.
export function jitter(attempt, random = Math.random) {
  const bound = Math.min(30, 2 ** Math.min(attempt, 5))
  return Math.round((1 + random() * (bound - 1)) * 1000)
}

export class Session {
  #api
  #profile
  #onState
  #onFrame
  #preference = "auto"
  #conn = null
  #run = 0 // grows with each attempt, so that late answers of an older one are dropped
  #attempt = 0
  #failures = 0 // of WebSocket in a row, while the server could be reached
  #fallbackUntil = 0
  #registeredAgain = false
  #retryTimer = 0
  #watchTimer = 0
  #pongTimer = 0
  #welcome = null
  #heard = 0
  #pinged = false
  state = { phase: "starting" }

  constructor({ api, profile, onState, onFrame }) {
    this.#api = api
    this.#profile = profile
    this.#onState = onState
    this.#onFrame = onFrame
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#wake())
    addEventListener("online", () => this.#wake())
    addEventListener("pageshow", (event) => event.persisted && this.#wake())
    // A page kept for "back" must not hold a connection.
    addEventListener("pagehide", () => this.#drop())
  }

  // prefer chooses the transport: auto, websocket or sse.
  prefer(transport) {
    this.#preference = transport
    this.#failures = this.#fallbackUntil = 0
    if (this.state.phase !== "starting") this.connect()
  }

  // send gives a frame to the transport; false if it cannot carry it now.
  send(frame) {
    return this.state.phase === "connected" && this.#conn.send(frame)
  }

  async connect() {
    const run = this.#reset()
    this.#set({ phase: "connecting" })
    if (!this.#api.device) {
      try {
        await this.#api.register(this.#profile())
      } catch (problem) {
        if (run === this.#run) this.#refused("register", problem)
        return
      }
      if (run !== this.#run) return
    }
    this.#open(run)
  }

  #open(run) {
    const name = this.#choose()
    const open = name === "websocket" ? openWebSocket : openEventSource
    this.#set({ phase: "connecting", transport: name })
    this.#conn = open(this.#api.live(name), {
      frame: (frame) => run === this.#run && this.#take(frame),
      lost: (code) => run === this.#run && this.#lost(code),
    })
    this.#retryTimer = setTimeout(() => this.#lost(0), welcomeWithin)
  }

  #choose() {
    if (this.#preference !== "auto") return this.#preference
    if (this.#failures >= failuresBeforeFallback) {
      this.#failures = 0
      this.#fallbackUntil = Date.now() + fallbackLasts
    }
    return Date.now() < this.#fallbackUntil ? "sse" : "websocket"
  }

  #take(frame) {
    this.#heard = Date.now()
    this.#pinged = false
    clearTimeout(this.#pongTimer)
    switch (frame.type) {
      case "welcome":
        return this.#welcomed(frame)
      case "ping":
        this.#conn.send({ type: "pong" })
        return
      case "pong":
        return
      case "reconnect":
        return this.#retry("draining", { delay: Number(frame.after_ms) || 0 })
      default:
        this.#onFrame(frame, this.#conn.name)
    }
  }

  #welcomed(frame) {
    clearTimeout(this.#retryTimer)
    if (frame.token) this.#api.renew(frame.token)
    this.#welcome = { heartbeat: frame.heartbeat || 50, timeout: frame.timeout || 75 }
    this.#attempt = this.#failures = 0
    this.#registeredAgain = false
    clearInterval(this.#watchTimer)
    this.#watchTimer = setInterval(() => this.#watch(), Math.min(5, this.#welcome.heartbeat / 4) * 1000)
    this.#set({ phase: "connected", transport: this.#conn.name })
  }

  // watch ends a connection on which the server was not heard for the timeout.
  // Protocol pings of WebSocket are invisible here, hence the page's own ping.
  #watch() {
    const silence = (Date.now() - this.#heard) / 1000
    if (silence > this.#welcome.timeout) return this.#retry("heartbeat", { delay: 0 })
    if (silence > this.#welcome.heartbeat && !this.#pinged) this.#pinged = this.#conn.send({ type: "ping" })
  }

  // wake is called when the machine or the page comes back: a connection may
  // have died without a word meanwhile.
  #wake() {
    if (this.state.phase === "waiting") return this.connect()
    if (this.state.phase === "stopped") return this.connect()
    if (this.state.phase !== "connected") return
    if (this.#conn.send({ type: "ping" })) {
      clearTimeout(this.#pongTimer)
      this.#pongTimer = setTimeout(() => this.#retry("heartbeat", { delay: 0 }), pongWithin)
    } else if (Date.now() - this.#heard > this.#welcome.heartbeat * 1200) {
      this.#retry("heartbeat", { delay: 0 })
    }
  }

  #lost(code) {
    const welcomed = this.state.phase === "connected"
    const name = this.#conn?.name
    const run = this.#reset()
    const known = afterClose[code]
    if (known?.then === "stop") return this.#set({ phase: "refused", cause: known.cause })
    if (known?.then === "register") return this.#registerAgain()
    if (known) return this.#retry(known.cause)
    if (welcomed) return this.#retry("lost")
    this.#find(run, name)
  }

  // find asks the API why a connection failed, because the browser does not say.
  async #find(run, transport) {
    try {
      await this.#api.self()
    } catch (problem) {
      if (run !== this.#run) return
      if (problem.status === 401) return this.#registerAgain()
      return this.#refused("unreachable", problem)
    }
    if (run !== this.#run) return
    if (transport === "websocket") this.#failures++
    this.#retry("transport")
  }

  // registerAgain gets a new device token, once; a second refusal is final.
  #registerAgain() {
    this.#api.forget()
    if (this.#registeredAgain) return this.#set({ phase: "refused", cause: "token" })
    this.#registeredAgain = true
    this.connect()
  }

  #refused(cause, problem) {
    if (problem.status === 0) return this.#retry("unreachable")
    if (problem.passing) return this.#retry("busy", { problem, delay: problem.retryAfter * 1000 || undefined })
    this.#reset()
    this.#set({ phase: "refused", cause: problem.status === 401 ? "link" : cause, problem })
  }

  #retry(cause, { problem = null, delay = jitter(++this.#attempt) } = {}) {
    this.#reset()
    this.#set({ phase: "waiting", cause, problem, retryAt: Date.now() + delay })
    this.#retryTimer = setTimeout(() => this.connect(), delay)
  }

  #drop() {
    if (this.state.phase === "refused") return
    this.#reset()
    this.#set({ phase: "stopped" })
  }

  // reset ends the connection and every timer, and starts a new run.
  #reset() {
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#pongTimer)
    clearInterval(this.#watchTimer)
    this.#conn?.close()
    this.#conn = null
    return ++this.#run
  }

  #set(state) {
    this.state = state
    this.#onState(state)
  }
}
