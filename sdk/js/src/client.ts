import { HeraldError, post } from "./api.ts"
import { Identity, passing } from "./identity.ts"
import { Outbox, type Receipt } from "./outbox.ts"
import { Session, type Wake } from "./session.ts"
import { Seen, bound, browserStore, memoryStore, within } from "./store.ts"
import { Tabs, haveTabs } from "./tabs.ts"
import { Topics, type Wanted } from "./topics.ts"
import type { Events, Frame, Message, Options, PresenceHandler, Profile, Registration, State, TopicHandler, Transport, WebPushOptions } from "./types.ts"
import { deputyKey, subscribePush } from "./webpush.ts"

/** IDs that this page has shown, or is showing. */
const mostShown = 5000

/** Characters of JSON that surely fit a frame of 16 KiB. */
const surelyAFrame = 5000

/** What tabs say to each other. */
interface Said {
  frame?: Frame
  transport?: string
  state?: State
  ask?: "state" | "connect" | "topics" | Wake
  /** What a tab wants. */
  tab?: string
  topics?: Wanted
  /** What the server does not let any tab have. */
  refused?: { topics: string[]; error: Record<string, unknown> }
}

/** One device. Nothing happens before connect() or register(). */
export class Client {
  #options: Options
  #url: string
  #name: string
  #fetch: typeof fetch
  #identity: Identity
  #session: Session
  #outbox: Outbox
  #seen: Seen
  #tabs: Tabs | undefined
  #tab = String(Math.random())
  #topics: Topics
  #listeners: { [E in keyof Events]: Set<Events[E]> }
  #shown = new Map<string, "busy" | "done">()
  #waiting: [() => void, (error: Error) => void][] = []
  #state: State = { phase: "idle", leader: false }
  #open = false
  #leads = false
  #unlisten: AbortController | undefined

  constructor(options: Options, builtin: Transport[]) {
    this.#options = options
    const set = <L>(listener?: L) => new Set<L>(listener && [listener])
    this.#listeners = { message: set(options.onMessage), withdraw: set(options.onWithdraw), state: set(options.onState), error: set(options.onError) }
    if (!options.appKey && !options.getToken) throw new TypeError("createClient needs appKey or getToken")
    const url = (this.#url = String(options.url).replace(/\/*$/, "/"))
    if (!/^https?:/.test(url)) throw new TypeError("url must begin with http: or https:")
    const name = (this.#name = ["herald", url, options.appKey, options.installation, options.scope].join("|"))
    const store = within(options.store ?? (typeof indexedDB === "object" ? browserStore() : memoryStore()), `${name}|`)
    const f = (this.#fetch = (...args) => (options.fetch ?? fetch)(...args))
    this.#seen = new Seen(store)
    this.#identity = new Identity(options, url, store, f)
    this.#outbox = new Outbox((batch) => this.#report(batch))
    const transports = (options.transports ?? builtin).map((t) => {
      const known = typeof t === "string" ? builtin.find((b) => b.name === t) : t
      if (!known) throw new TypeError(`there is no transport ${String(t)}`)
      return known
    })
    if (!transports.length) throw new TypeError("transports must not be empty")
    const WebSocket = (options.WebSocket ?? globalThis.WebSocket) as typeof globalThis.WebSocket | undefined
    this.#session = new Session(transports, { url, fetch: f, WebSocket, store }, {
      token: (bad) => this.#identity.token(bad),
      welcome: (frame) => this.#welcomed(frame),
      frame: (frame, transport) => this.#take(frame, transport),
      topics: () => this.#topics.wanted(),
      refused: (topics, error) => this.#refuse(topics, error),
      status: (status) => this.#set({ ...status, registrationId: this.#identity.registrationId, leader: this.#leads }),
      error: (error) => this.#error(error),
    })
    if ((options.tabs ?? true) && haveTabs()) this.#tabs = new Tabs(name, () => void this.#lead(), (said) => this.#hear(said as Said))
    this.#topics = new Topics(() => this.#subscribed(), (call) => void this.#call([call]))
  }

  get state(): State {
    return this.#state
  }

  /** Adds a listener, and gives the function that removes it. */
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void {
    this.#listeners[event].add(listener)
    return () => void this.#listeners[event].delete(listener)
  }

  /**
   * Connects, and stays connected until close(). The promise is fulfilled at the first
   * connection and rejected if the server refuses; it need not be awaited.
   */
  connect(): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      if (this.#state.phase === "connected") resolve()
      else this.#waiting.push([resolve, reject])
    })
    done.catch(() => {}) // whoever does not wait learns it from the state
    if (!this.#open) this.#begin()
    else if (!this.#leads) this.#tabs?.say({ ask: "connect" })
    else if (this.#state.phase !== "connected") this.#session.start()
    return done
  }

  /** Disconnects. The promise is fulfilled when the last receipts are on their way. */
  async close(): Promise<void> {
    this.#unlisten?.abort()
    await this.#leave(false)
  }

  /** Registers, or says something new of this device, such as `{ alias_token }`. connect() does it by itself if need be. */
  register(profile?: Profile): Promise<Registration> {
    return this.#identity.register(profile)
  }

  /**
   * Subscribes to Web Push, and has messages sent there while this device is not connected. It
   * asks the user, so call it on a click; and at each start once that was allowed.
   */
  async enableWebPush(options: WebPushOptions): Promise<PushSubscription> {
    const [scope, subscription] = await subscribePush(options)
    const registrationId = this.#options.appKey ? (await this.register()).registrationId : this.#state.registrationId
    if (!registrationId) throw new Error("with getToken, connect first")
    await this.#authorized(`devices/${registrationId}`, { addresses: [{ vendor: "webpush", token: JSON.stringify(subscription) }] }, false, "PATCH")
    const deputy = { url: this.#url, prefix: `${this.#name}|`, registrationId, token: this.#identity.current, publicKey: options.publicKey }
    await browserStore().update(deputyKey(scope), () => JSON.stringify(deputy))
    return subscription
  }

  ack(...ids: string[]): void {
    this.#add("received", ids)
  }

  displayed(...ids: string[]): void {
    this.#add("displayed", ids)
  }

  clicked(...ids: string[]): void {
    this.#add("clicked", ids)
  }

  /**
   * Has a handler called with what is published to a topic from now on, and gives the
   * function that ends it. Who asks for presence is told how many devices are subscribed.
   */
  subscribe(topic: string, handler: TopicHandler, { presence }: { presence?: PresenceHandler } = {}): () => void {
    return this.#topics.add(topic, handler, presence)
  }

  /** Publishes any JSON value to who is subscribed to a topic now; rejected with a HeraldError if that is refused. */
  async publish(topic: string, data: unknown): Promise<void> {
    const body = { topic, data }
    const small = JSON.stringify(body).length < surelyAFrame
    const asked = small && this.#session.request({ type: "publish", ...body })
    if (!asked) return void (await this.#authorized("publish", body))
    const answer = await asked
    if (answer?.type !== "published") throw new HeraldError(0, answer)
  }

  #add(event: Receipt["event"], ids: string[]): void {
    for (const id of ids) if (!/^\d{1,19}$/.test(id)) throw new TypeError(`${id} is not a message ID`)
    for (const id of ids) this.#outbox.add(id, event)
  }

  #begin(): void {
    this.#open = true
    void this.#outbox.flush()
    if (typeof document === "object") this.#listen()
    if (!this.#tabs) return void this.#lead()
    this.#set({ phase: "connecting", leader: false })
    this.#tabs.start()
    this.#tabs.say({ ask: "state" })
    this.#subscribed()
  }

  #listen(): void {
    this.#unlisten?.abort()
    const { signal } = (this.#unlisten = new AbortController())
    const wake = (why: Wake) => (this.#leads ? this.#session.wake(why) : this.#tabs?.say({ ask: why }))
    document.addEventListener("visibilitychange", () => document.hidden || wake("visible"), { signal })
    addEventListener("online", () => wake("online"), { signal })
    // A page that is kept for "back" must not hold the connection of all tabs.
    addEventListener("pagehide", () => void this.#leave(true), { signal })
    addEventListener("pageshow", (event) => event.persisted && !this.#open && this.#begin(), { signal })
  }

  async #lead(): Promise<void> {
    this.#leads = true
    this.#topics.alone()
    this.#tabs?.say({ ask: "topics" })
    await this.#seen.load().catch((error) => this.#error(error))
    if (this.#leads) this.#session.start()
  }

  async #leave(hiding: boolean): Promise<void> {
    if (!this.#open) return
    this.#open = this.#leads = false
    const rest = this.#outbox.rest()
    this.#outbox.stop()
    this.#session.stop()
    this.#tabs?.say({ tab: this.#tab, topics: new Map() })
    const sent = rest.length > 0 && this.#post(rest, hiding)
    this.#tabs?.stop()
    this.#settle(new Error("closed"))
    if (!sent) return
    await this.#remember(rest)
    if (await sent) this.#outbox.done(rest)
  }

  #hear({ frame, transport, state, ask, tab, topics, refused }: Said): void {
    if (this.#leads) {
      if (topics) {
        for (const known of this.#topics.tab(tab!, topics)) this.#tabs!.say({ frame: known })
        this.#session.sync()
      }
      if (ask === "state") this.#tabs!.say({ state: this.#state })
      else if (ask === "connect") this.#state.phase === "connected" || this.#session.start()
      else if (ask && ask !== "topics") this.#session.wake(ask)
      return
    }
    if (ask === "topics") this.#subscribed()
    if (state) this.#set({ ...state, leader: false })
    if (refused) this.#refuse(refused.topics, new HeraldError(0, refused.error))
    if (frame) this.#show(frame, transport!)
  }

  /** This tab wants other topics than before. */
  #subscribed(): void {
    if (this.#leads) this.#session.sync()
    else this.#tabs?.say({ tab: this.#tab, topics: this.#topics.here() })
  }

  #refuse(topics: string[], error: HeraldError): void {
    if (this.#leads) this.#tabs?.say({ refused: { topics, error: { ...error, detail: error.message } } })
    if (this.#topics.drop(topics)) this.#error(error)
  }

  #welcomed(frame: Frame): void {
    this.#identity.welcome(frame.registration_id as string | undefined, frame.token as string | undefined).catch((error) => this.#error(error))
    void this.#outbox.flush()
  }

  #take(frame: Frame, transport: string): void {
    if (frame.type === "error") return this.#error(new HeraldError(0, frame))
    if (!["message", "withdraw", "topic", "presence"].includes(frame.type)) return
    if (frame.type === "message" && this.#seen.has(String(frame.id))) return this.#add("received", [String(frame.id)])
    this.#tabs?.say({ frame, transport })
    this.#show(frame, transport)
  }

  /** Shows something in this tab, once. The leader answers for all tabs. */
  #show(frame: Frame, transport: string): void {
    if (!frame.id) return this.#topics.take(frame)
    const id = String(frame.id)
    const message = frame.type === "message"
    const key = message ? id : `w${id}`
    const answer = () => {
      if (!this.#leads) return
      if (!message) this.#add("withdrawn", [id])
      else if (this.#options.ack !== "manual") this.#add("received", [id])
    }
    const before = this.#shown.get(key)
    if (before) return before === "done" ? answer() : undefined
    this.#shown.set(key, "busy")
    bound(this.#shown, mostShown)
    const handled = message ? this.#emit("message", this.#message(frame, transport)) : this.#emit("withdraw", { id })
    void handled.then((ok) => {
      // What no handler took is not acknowledged, and comes again.
      if (!ok) return this.#shown.delete(key)
      this.#shown.set(key, "done")
      answer()
    })
  }

  #message(frame: Frame, transport: string): Message {
    const { id, time, expires, priority, notification, data, collapse_key: collapseKey, cursor } = frame as Record<string, any>
    return {
      id: String(id), time, expires, priority, notification, data, collapseKey, kept: cursor !== undefined, transport,
      ack: () => this.ack(id),
      displayed: () => this.displayed(id),
      clicked: () => this.clicked(id),
    }
  }

  #emit<E extends keyof Events>(event: E, value: Parameters<Events[E]>[0]): Promise<boolean> {
    const calls = [...this.#listeners[event]].map((listener) => () => (listener as (value: unknown) => unknown)(value))
    return this.#call(calls, event === "error" ? console.error : undefined)
  }

  /** Calls in order and tells whether there was a call and all have done their work. */
  async #call(calls: (() => unknown)[], failed = (error: unknown) => this.#error(error)): Promise<boolean> {
    // An async function makes a rejected promise of what is thrown.
    const results = await Promise.allSettled(calls.map(async (call) => call()))
    for (const result of results) result.status === "rejected" && failed(result.reason)
    return calls.length > 0 && results.every((result) => result.status === "fulfilled")
  }

  #error(error: unknown): void {
    if (!this.#listeners.error.size) console.warn("herald:", error)
    else void this.#emit("error", error instanceof Error ? error : new Error(String(error)))
  }

  #remember(batch: Receipt[]): Promise<void> {
    return this.#seen.remember(batch.map((receipt) => receipt.id)).catch((error) => this.#error(error))
  }

  async #report(batch: Receipt[]): Promise<boolean> {
    await this.#remember(batch)
    const frames = (["received", "displayed", "clicked", "withdrawn"] as const).flatMap((event): Frame[] => {
      const ids = batch.filter((receipt) => receipt.event === event).map((receipt) => receipt.id)
      if (!ids.length) return []
      return [event === "received" ? { type: "ack", ids } : { type: "event", event, ids }]
    })
    // An acknowledgement that is lost is asked for again; a click is not.
    return this.#session.send(frames, frames.some((frame) => frame.type === "event")) ?? this.#post(batch, false)
  }

  async #post(receipts: Receipt[], keepalive: boolean): Promise<boolean> {
    try {
      await this.#authorized("receipts", { receipts }, keepalive)
      return true
    } catch (error) {
      if (passing(error)) return false
      this.#error(error)
      return true // it would be refused again
    }
  }

  /** Calls the API as this device; a token that is refused is replaced, once. */
  async #authorized(path: string, body: unknown, keepalive?: boolean, method?: string): Promise<void> {
    const call = (token: string) => post(this.#fetch, `${this.#url}v1/${path}`, token, body, keepalive, method)
    const token = this.#identity.current || (await this.#identity.token())
    await call(token).catch(async (error) => {
      if (error.status !== 401) throw error
      await call(await this.#identity.token(token))
    })
  }

  #set(state: State): void {
    this.#state = state
    if (this.#leads) this.#tabs?.say({ state })
    if (state.phase === "connected") this.#settle()
    else if (state.phase === "refused") this.#settle(new Error(`refused: ${state.cause}`))
    void this.#emit("state", state)
  }

  #settle(error?: Error): void {
    for (const [resolve, reject] of this.#waiting.splice(0)) error ? reject(error) : resolve()
  }
}
