// The words of the SDK: what an application gives and gets.

/** What a person sees. It is already that of this platform. */
export interface Notification {
  title?: string
  body?: string
  [member: string]: unknown
}

/** A message, once per ID. */
export interface Message {
  readonly id: string
  /** When it was sent, and until when it is worth showing (RFC 3339, UTC). */
  readonly time: string
  readonly expires: string
  readonly priority: string
  readonly notification?: Notification
  readonly data?: unknown
  readonly collapseKey?: string
  /** False if it was for whoever was connected, and the server has not kept it. */
  readonly kept: boolean
  /** The transport that brought it. */
  readonly transport: string
  /** Acknowledges it. Needed only with `ack: "manual"`. */
  ack(): void
  /** Reports that a person has seen it. */
  displayed(): void
  /** Reports that a person has opened it. */
  clicked(): void
}

/** A message that its sender took back. */
export interface Withdrawal {
  readonly id: string
}

/** What somebody published to a topic. */
export interface Publication {
  readonly topic: string
  /** Absent if there is base64. */
  readonly data?: unknown
  /** What a client over MQTT or an app server published that is not text. */
  readonly base64?: string
  /** What kind of content it is, as its publisher said. */
  readonly content_type?: string
  /** User properties of a client over MQTT. */
  readonly properties?: Readonly<Record<string, string>>
  readonly time: string
  /** Registration ID of the device that did; absent if an app server did. */
  readonly from?: string
}

export type TopicHandler = (publication: Publication) => unknown
/** Is told how many devices are subscribed to a topic. */
export type PresenceHandler = (devices: number, topic: string) => unknown

export type Phase =
  /** Before connect() and after close(). */
  | "idle"
  | "connecting"
  | "connected"
  /** The connection is gone; the next attempt is at `retryAt`. */
  | "waiting"
  /** Another session took this one's place; it comes back when the page is seen again, or by connect(). */
  | "stopped"
  /** The server will not have it; only connect() tries again. */
  | "refused"

export type Cause =
  | "lost" | "unreachable" | "heartbeat" | "slow" | "draining" | "crowded" | "replaced"
  | "token" | "forbidden" | "protocol" | "register"

export interface State {
  readonly phase: Phase
  readonly transport?: string
  readonly cause?: Cause
  /** Milliseconds since 1970. */
  readonly retryAt?: number
  readonly registrationId?: string
  /** Whether this tab holds the connection for all tabs. */
  readonly leader: boolean
}

/** What a device says of itself when it registers. */
export interface Profile {
  platform?: string
  app_version?: string
  language?: string
  time_zone?: string
  alias?: string
  alias_token?: string
  tags?: string[]
  attributes?: Record<string, unknown>
}

/** Where the SDK keeps the installation, the token and known IDs. */
export interface Store {
  get(key: string): Promise<string | undefined>
  /** Replaces a value by what `change` makes of it, in one step; undefined deletes it. It gives the new value. */
  update(key: string, change: (old: string | undefined) => string | undefined): Promise<string | undefined>
}

export interface Frame {
  type: string
  [member: string]: unknown
}

/** Why a connection ended, as far as it is known. */
export interface Loss {
  /** Close code of the protocol. */
  code?: number
  /** HTTP status of a refused request. */
  status?: number
  /** Milliseconds the server asked to wait. */
  after?: number
  /** What went wrong; a HeraldError stands for the status and the wait too. */
  error?: any
}

/** What a transport is given to open a connection. */
export interface Target {
  /** Address of the server, with a slash at its end. */
  url: string
  token: string
  /** Topics to subscribe to, as a part of the address ("&topic=…"). A transport that can send need not. */
  topics: string
  /** For what a transport remembers from one connection to the next. */
  memo: Record<string, string>
  fetch: typeof fetch
  WebSocket: typeof WebSocket | undefined
  /** A frame has come. */
  frame(frame: Frame): void
  /** A sign of life that is not a frame. */
  heard(): void
  /** The connection has ended, by itself. At most once, and not after close(). */
  lost(why: Loss): void
}

export interface Connection {
  /** Sends a frame; false if that is impossible now. A transport that only receives has no send. */
  send?(frame: Frame): boolean
  close(): void
}

/** A way to connect. It calls nothing of its target before open() has returned. */
export interface Transport {
  name: string
  open(target: Target): Connection
}

export interface Events {
  message: (message: Message) => unknown
  withdraw: (withdrawal: Withdrawal) => unknown
  state: (state: State) => void
  error: (error: Error) => void
}

export interface Options {
  /** Address of the Herald server, such as https://push.example.com. */
  url: string | URL
  /** Registers this installation as a device of the app. Give this or getToken. */
  appKey?: string
  /** Gives a device token. Called at first, and when the server has refused the last one. */
  getToken?: (why: "missing" | "refused") => string | Promise<string>
  /** The secret that makes this the same device each time; drawn and stored if absent. */
  installation?: string
  /** What to say of this device when it registers. */
  profile?: Profile
  /** Keeps devices apart that share an origin and an app key, such as two accounts. */
  scope?: string
  /** Default: IndexedDB where there is one, memory elsewhere. */
  store?: Store
  /** Names, or transports of your own. Default: websocket, sse, poll. */
  transports?: (string | Transport)[]
  /** "auto" acknowledges when the handlers of `message` have returned (or their promises are fulfilled). */
  ack?: "auto" | "manual"
  /** One connection for all tabs. Default true. */
  tabs?: boolean
  fetch?: typeof fetch
  WebSocket?: unknown
  onMessage?: Events["message"]
  onWithdraw?: Events["withdraw"]
  onState?: Events["state"]
  onError?: Events["error"]
}

export interface WebPushOptions {
  /** Address of the script of a service worker that calls herald.serve(), or its registration. */
  serviceWorker: string | ServiceWorkerRegistration
  /** The public_key of the app's credential for webpush. */
  publicKey: string
}

/** What a device is known by after it has registered. */
export interface Registration {
  registrationId: string
  token: string
}
