import { HeraldError } from "./api.ts"
import { afterClose, codeOfStatus, jitter } from "./backoff.ts"
import { passing } from "./identity.ts"
import { named, query, type Wanted } from "./topics.ts"
import type { Cause, Connection, Frame, Loss, Phase, Store, Target, Transport } from "./types.ts"

/** How long to wait for welcome, and for the answer to a probe. */
const welcomeWithin = 10_000
const probeWithin = 3_000
/** A connection that ends earlier, without a word, is the transport's failure. */
const stableAfter = 10_000
/** How long a transport that is not the first choice is preferred. */
const fallbackLasts = 10 * 60_000
/** While a transport that is not the first choice works, a better one is tried: first after this, then ever more rarely. */
const climbAfter = 60_000
const climbMost = 30 * 60_000
/** The timer; if it comes late by more than this, the machine slept. Hidden tabs are called once a minute. */
const tick = 5_000
const late = 10_000
const lateHidden = 90_000
const mostRefusals = 5
/** Topics that change within this time change together. */
const syncWithin = 50

export type Wake = "visible" | "online" | "sleep"

export interface Status {
  phase: Phase
  transport?: string
  cause?: Cause
  retryAt?: number
}

export interface Hooks {
  /** Gives a token other than `bad`, one that was refused. */
  token(bad: string): Promise<string>
  /** The session is open, and can report from now on. */
  welcome(frame: Frame): void
  frame(frame: Frame, transport: string): void
  /** The topics that the session should be subscribed to. */
  topics(): Wanted
  /** The server will not have these. */
  refused(topics: string[], error: HeraldError): void
  status(status: Status): void
  error(error: unknown): void
}

export interface Environment {
  url: string
  fetch: typeof fetch
  WebSocket: typeof WebSocket | undefined
  store: Store
}

/** A second connection that may take the place of the first. */
interface Rival {
  run: number
  connection?: Connection | undefined
  timer?: ReturnType<typeof setTimeout>
}

/** Keeps one device connected: opens a transport, watches it, and comes back after a loss. */
export class Session {
  status: Status = { phase: "idle" }
  #transports: Transport[]
  #environment: Environment
  #hooks: Hooks
  #connection: Connection | undefined
  #run = 0 // the number of the attempt that counts: late answers of an older one are dropped
  #last = 0
  #rival: Rival | undefined
  #climbTimer: ReturnType<typeof setTimeout> | undefined
  #climbWait = climbAfter
  #climbed = 0
  #attempt = 0
  #refusals = 0
  #token = "" // of the last attempt
  #bad = "" // the last that was refused
  #strikes = 0 // of the transport that is tried, since it worked last
  #tried = new Set<string>()
  #good: { name: string; at: number } | undefined
  #remembered = false
  #hinted = false
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #watchTimer: ReturnType<typeof setInterval> | undefined
  #probeTimer: ReturnType<typeof setTimeout> | undefined
  #heartbeat = 50_000
  #timeout = 75_000
  #since = 0
  #heard = 0
  #pings: ((answered: boolean) => void)[] = []
  #calls = new Map<string, (answer?: Frame) => void>()
  #ref = 0
  #memo = {}
  #has: Wanted = new Map() // what the connection has been told to subscribe to
  #query = "" // the topics in the address of the connection
  #syncTimer: ReturnType<typeof setTimeout> | undefined

  constructor(transports: Transport[], environment: Environment, hooks: Hooks) {
    this.#transports = transports
    this.#environment = environment
    this.#hooks = hooks
  }

  /** Connects now. */
  start(): void {
    this.#refusals = this.#attempt = 0
    this.#watch()
    void this.#connect()
  }

  stop(): void {
    this.#reset()
    clearInterval(this.#watchTimer)
    this.#set({ phase: "idle" })
  }

  /** Sends frames in order and tells whether all are known to have arrived; undefined if they cannot be sent here. */
  send(frames: Frame[], confirm: boolean): Promise<boolean> | undefined {
    const connection = this.#connection
    if (this.status.phase !== "connected" || !connection?.send) return undefined
    if (!frames.every((frame) => connection.send!(frame))) return Promise.resolve(false)
    // Frames are read in order: the answer to a ping confirms what came before it.
    return confirm ? new Promise((resolve) => this.#ping(resolve) || resolve(false)) : Promise.resolve(true)
  }

  /** Sends a frame that is answered; nothing is answered if the connection ends. Undefined if it cannot be sent here. */
  request(frame: Frame): Promise<Frame | undefined> | undefined {
    const ref = String(++this.#ref)
    if (this.status.phase !== "connected" || !this.#connection?.send?.({ ...frame, ref })) return undefined
    return new Promise((resolve) => this.#calls.set(ref, resolve))
  }

  /** Subscribes to what is wanted, by frames or by another address. */
  sync(): void {
    if (this.status.phase !== "connected") return
    const wanted = this.#hooks.topics()
    const connection = this.#connection!
    if (!connection.send) {
      clearTimeout(this.#syncTimer)
      const here = this.#transports.filter((t) => t.name === this.status.transport)
      if (query(wanted) !== this.#query) this.#syncTimer = setTimeout(() => this.#move(here), syncWithin)
      return
    }
    const had = this.#has
    this.#has = new Map(wanted)
    for (const topic of had.keys()) if (!wanted.has(topic)) connection.send({ type: "unsubscribe", topics: [topic] })
    for (const [topic, presence] of wanted) {
      if (had.get(topic) !== presence) void this.#subscribe(topic, presence)
    }
  }

  async #subscribe(topic: string, presence: boolean): Promise<void> {
    const answer = await this.request({ type: "subscribe", topics: [topic], presence })
    if (answer?.type === "error") this.#refused([topic], new HeraldError(0, answer))
  }

  #refused(topics: string[], error: HeraldError): boolean {
    for (const topic of topics) this.#has.delete(topic)
    if (topics.length) this.#hooks.refused(topics, error)
    return topics.length > 0
  }

  /** Whether a request was refused for its topics. They are not asked for again. */
  #refusedAddress({ error }: Loss): boolean {
    if (error?.field !== "topic") return false
    const wanted = this.#hooks.topics()
    const these = named(wanted, error)
    return this.#refused(these.length ? these : [...wanted.keys()], error)
  }

  /** Something suggests that the connection may have died without a word, or that another try is worth while. */
  wake(why: Wake): void {
    const { phase, retryAt = 0 } = this.status
    const may = !this.#hinted || Date.now() >= retryAt // the server's hint is kept
    if ((phase === "waiting" && may) || (phase === "stopped" && why !== "sleep")) return void this.#connect()
    if (phase !== "connected" || this.#probeTimer) return
    const asked = Date.now()
    if (why !== "visible") this.#climbWait = 0 // the way may be another one now
    let alive = false
    if (this.#ping(() => (alive = true))) {
      this.#probeTimer = setTimeout(() => {
        this.#probeTimer = undefined
        if (!alive && this.#heard <= asked) this.#again("heartbeat")
      }, probeWithin)
    } else if (why !== "visible" || asked - this.#heard > this.#heartbeat * 1.2) {
      this.#again("heartbeat") // this transport cannot ask
    } else if (asked - this.#climbed > climbAfter) this.#climb()
  }

  #ping(answered: (yes: boolean) => void): boolean {
    const sent = this.#connection?.send?.({ type: "ping" }) ?? false
    if (sent) this.#pings.push(answered)
    return sent
  }

  async #connect(): Promise<void> {
    const run = this.#reset()
    const current = () => run === this.#run
    try {
      if (!this.#remembered) await this.#recall()
      if (!current()) return
      const transport = this.#pick()
      this.#set({ phase: "connecting", transport: transport.name })
      const token = await this.#hooks.token(this.#bad)
      if (!current()) return
      this.#token = token
      this.#retryTimer = setTimeout(() => this.#lost({}), welcomeWithin)
      this.#query = query(this.#hooks.topics())
      this.#connection = this.#open(transport, run, this.#query)
      if (!this.#connection) this.#failed()
    } catch (error) {
      if (!current()) return
      this.#hooks.error(error)
      if (!passing(error)) return this.#end("refused", "register")
      this.#retry("unreachable", (error as { retryAfter?: number }).retryAfter)
    }
  }

  #open(transport: Transport, run: number, topics: string, rival?: (welcome?: Frame, why?: Loss) => void): Connection | undefined {
    const target: Target = {
      ...this.#environment,
      token: this.#token,
      topics,
      memo: this.#memo,
      frame: (frame) => {
        if (this.#rival?.run === run && frame.type === "welcome") rival!(frame)
        else if (this.#run === run) this.#take(frame)
      },
      heard: () => this.#run === run && (this.#heard = Date.now()),
      lost: (why) => {
        if (this.#rival?.run === run) rival!(undefined, why)
        else if (this.#run === run) this.#lost(why)
      },
    }
    try {
      return transport.open(target)
    } catch {
      return undefined // not to be had here
    }
  }

  /** Plans to try what is better than the transport that works. */
  #plan(): void {
    clearTimeout(this.#climbTimer)
    this.sync()
    if (this.#better().length) this.#climbTimer = setTimeout(() => this.#climb(), this.#climbWait)
  }

  #better(): Transport[] {
    return this.#transports.slice(0, this.#transports.findIndex((t) => t.name === this.status.transport))
  }

  #climb(): void {
    const better = this.#better()
    if (this.#rival || !better.length) return
    clearTimeout(this.#climbTimer)
    this.#climbed = Date.now()
    this.#climbWait = Math.min(this.#climbWait * 2 || climbAfter, climbMost)
    this.#move(better)
  }

  /**
   * Opens a second connection by the first of these transports, and leaves the
   * one that there is when the second is welcomed: what is not acknowledged by
   * then is sent again there, so nothing is lost.
   */
  #move(transports: Transport[]): void {
    this.#drop()
    const [transport, ...others] = transports
    if (!transport) return this.#plan()
    const topics = query(this.#hooks.topics())
    const rival: Rival = (this.#rival = { run: ++this.#last })
    const decided = (welcome?: Frame, why: Loss = {}) => {
      if (!welcome) {
        if (this.#refusedAddress(why)) return this.#move(transports)
        // Where the same way does not work a second time, it is the network.
        return transport.name === this.status.transport ? this.#retry("lost") : this.#move(others)
      }
      this.#rival = undefined
      clearTimeout(rival.timer)
      this.#reset(rival.run)
      this.#connection = rival.connection
      this.#query = topics
      this.status = { ...this.status, transport: transport.name }
      this.#take(welcome)
    }
    rival.timer = setTimeout(() => decided(), welcomeWithin)
    rival.connection = this.#open(transport, rival.run, topics, decided)
    if (!rival.connection) decided()
  }

  #drop(): void {
    clearTimeout(this.#rival?.timer)
    this.#rival?.connection?.close()
    this.#rival = undefined
  }

  /** The transport that worked comes first, then the others in their order. */
  #pick(): Transport {
    const first = this.#transports[0]!
    const good = this.#good
    const preferred = good && (good.name === first.name || Date.now() - good.at < fallbackLasts) ? good.name : first.name
    const left = this.#transports.filter((t) => !this.#tried.has(t.name))
    return left.find((t) => t.name === preferred) ?? left[0] ?? first
  }

  async #recall(): Promise<void> {
    this.#remembered = true
    const [name = "", at] = ((await this.#environment.store.get("transport").catch(() => "")) ?? "").split(" ")
    if (this.#transports.some((t) => t.name === name)) this.#good = { name, at: Number(at) }
  }

  #take(frame: Frame): void {
    this.#heard = Date.now()
    switch (frame.type) {
      case "welcome":
        return this.#welcomed(frame)
      case "ping":
        this.#connection!.send?.({ type: "pong" })
        return
      case "pong":
        return this.#pings.shift()?.(true)
      case "reconnect":
        return this.#retry("draining", Number(frame.after_ms) || undefined)
      default:
        this.#other(frame)
    }
  }

  #other(frame: Frame): void {
    const ref = frame.ref as string
    const answered = this.#calls.get(ref)
    this.#calls.delete(ref)
    if (answered) return answered(frame)
    if (frame.type === "error" && frame.field === "topic") {
      const error = new HeraldError(0, frame) // a subscription has ended
      if (this.#refused(named(this.#hooks.topics(), error), error)) return
    }
    this.#hooks.frame(frame, this.status.transport!)
  }

  #welcomed(frame: Frame): void {
    clearTimeout(this.#retryTimer)
    const name = this.status.transport!
    const now = Date.now()
    if (this.#good?.name !== name || now - this.#good.at > fallbackLasts) {
      this.#good = { name, at: now }
      this.#environment.store.update("transport", () => `${name} ${now}`).catch(this.#hooks.error)
    }
    this.#heartbeat = (Number(frame.heartbeat) || 50) * 1000
    this.#timeout = (Number(frame.timeout) || 75) * 1000
    this.#since = now
    this.#refusals = 0
    this.#tried.clear()
    this.#has.clear()
    this.#hooks.welcome(frame)
    this.#set({ phase: "connected", transport: name })
    this.#plan()
  }

  /** Ends a connection that has gone silent. Protocol pings of WebSocket are invisible, hence our own. */
  #watch(): void {
    clearInterval(this.#watchTimer)
    let last = Date.now()
    let pinged = 0
    this.#watchTimer = setInterval(() => {
      const now = Date.now()
      const slept = now - last > tick + (globalThis.document?.hidden ? lateHidden : late)
      last = now
      if (slept) return this.wake("sleep")
      if (this.status.phase !== "connected") return
      if (now - this.#heard > this.#timeout) this.#again("heartbeat")
      else if (now - Math.max(this.#heard, pinged) > this.#heartbeat && this.#ping(() => {})) pinged = now
    }, tick)
  }

  #lost(why: Loss): void {
    const { code, error, status = error?.status, after = error?.retryAfter } = why
    const { phase } = this.status
    const stable = phase === "connected" && Date.now() - this.#since > stableAfter
    if (stable) this.#attempt = this.#strikes = 0
    if (this.#refusedAddress(why)) return void this.#connect()
    const known = afterClose[code || codeOfStatus[status] || 0]
    if (!known) return stable ? this.#retry("lost") : this.#failed()
    const [cause, then] = known
    if (then === "retry") return this.#retry(cause, after)
    if (then !== "renew") return this.#end(then === "stop" ? "stopped" : "refused", cause)
    this.#bad = this.#token
    if (++this.#refusals > mostRefusals) return this.#end("refused", cause)
    this.#refusals > 1 ? this.#retry(cause) : void this.#connect()
  }

  /** A transport has failed and nobody said why. What worked before gets a second try, else the next one is tried at once. */
  #failed(): void {
    const { phase, transport } = this.status
    const cause = phase === "connected" ? "lost" : "unreachable"
    if (transport === this.#good?.name && ++this.#strikes < 2) return this.#retry(cause)
    this.#tried.add(transport!)
    this.#strikes = 0
    if (this.#transports.some((t) => !this.#tried.has(t.name))) return void this.#connect()
    this.#tried.clear()
    this.#retry(cause)
  }

  #retry(cause: Cause, after?: number): void {
    this.#reset()
    this.#hinted = !!after
    const wait = after || jitter(++this.#attempt)
    this.#set({ phase: "waiting", cause, transport: undefined, retryAt: Date.now() + wait })
    this.#retryTimer = setTimeout(() => void this.#connect(), wait)
  }

  /** Drops a dead connection and comes back at once. */
  #again(cause: Cause): void {
    this.#reset()
    this.#set({ phase: "waiting", cause, retryAt: Date.now() })
    void this.#connect()
  }

  #end(phase: Phase, cause: Cause): void {
    this.#reset()
    this.#set({ phase, cause })
  }

  /** Ends the connection, its rival and all timers; from now on another run counts. */
  #reset(run = ++this.#last): number {
    for (const timer of [this.#retryTimer, this.#probeTimer, this.#climbTimer, this.#syncTimer]) clearTimeout(timer)
    this.#drop()
    this.#probeTimer = undefined
    this.#hinted = false
    this.#run = run
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    const pings = this.#pings.splice(0)
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
    for (const answered of pings) answered(false)
    for (const answered of calls) answered()
    return this.#run
  }

  #set(status: Status): void {
    this.status = status
    this.#hooks.status(status)
  }
}
