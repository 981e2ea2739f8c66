// The part of the SDK for a service worker: it shows what comes by Web Push, and
// says what became of it.
import { call } from "./api.ts"
import { bound, browserStore, knownIDs } from "./store.ts"
import type { Deputy } from "./webpush.ts"
import { bytes, deputyKey } from "./webpush.ts"
import type { Frame, Notification, Store } from "./types.ts"

/** A message as it comes by Web Push: the frame `message` of docs/protocol.md. */
export interface PushedMessage extends Frame {
  id: string
  notification?: Notification
  data?: unknown
  collapse_key?: string
}

/** What to show: the parameters of showNotification. */
export interface Shown {
  title: string
  options?: NotificationOptions
}

export interface WorkerOptions {
  /** Picture beside the text. */
  icon?: string
  /** Small picture of one colour, for the status bar of Android. */
  badge?: string
  /** Says what to show, in place of the message's own notification; undefined for nothing. */
  show?: (message: PushedMessage, usual: Shown | undefined) => Shown | undefined | Promise<Shown | undefined>
}

/** What the SDK uses of a service worker. */
interface Worker {
  registration: any
  clients: any
  navigator: any
  addEventListener(event: string, listener: (event: any) => void): void
}

/** Where a click leads, and what it reports. */
interface Kept {
  id: string
  click?: string
  actions: Record<string, string | undefined>
}

interface Receipt {
  id: string
  event: string
}

/** Listens for push messages and clicks. To be called while the worker's script is first run. */
export function serve(options: WorkerOptions = {}, worker = globalThis as unknown as Worker, store: Store = browserStore(), f: typeof fetch = (...args) => fetch(...args)): void {
  const device = new Device(store, deputyKey(worker.registration.scope), f)
  worker.addEventListener("push", (event) => {
    const message = read(event.data)
    if (message) event.waitUntil(show(message, options, worker, device))
  })
  worker.addEventListener("notificationclick", (event) => {
    const kept = event.notification.data?.herald as Kept | undefined
    if (!kept) return // not one of ours
    event.notification.close()
    const target = kept.actions[event.action] ?? kept.click
    event.waitUntil(Promise.all([open(target, worker), device.report({ id: kept.id, event: "clicked" })]))
  })
  worker.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(device.renew(worker, event.newSubscription)))
}

function read(data: { json(): unknown } | null): PushedMessage | undefined {
  try {
    const frame = data?.json() as PushedMessage | undefined
    return frame?.type === "message" && typeof frame.id === "string" ? frame : undefined
  } catch {
    return undefined // of another sender
  }
}

async function show(message: PushedMessage, options: WorkerOptions, worker: Worker, device: Device): Promise<void> {
  // The page has it, and somebody looks at the page.
  if ((await device.seen(message.id)) && (await windows(worker)).some((w: any) => w.visibilityState === "visible")) return
  const usual = usually(message, options)
  const shown = options.show ? await options.show(message, usual) : usual
  const number = message.notification?.badge
  if (typeof number === "number") await (number ? worker.navigator?.setAppBadge?.(number) : worker.navigator?.clearAppBadge?.())?.catch?.(() => {})
  if (!shown) {
    // What nobody has handled comes again when the page connects.
    if (options.show) await device.report({ id: message.id, event: "received" })
    return
  }
  const tag = shown.options?.tag ?? message.collapse_key ?? message.id
  const older = await worker.registration.getNotifications({ tag })
  await worker.registration.showNotification(shown.title, {
    ...shown.options,
    tag,
    // The same message, once more, makes no sound.
    renotify: older.some((n: any) => n.data?.herald?.id !== message.id),
    data: { app: shown.options?.data, herald: keep(message) },
  })
  await device.report({ id: message.id, event: "displayed" })
}

/** What the message itself says is to be shown. */
function usually({ notification: n }: PushedMessage, { icon, badge }: WorkerOptions): Shown | undefined {
  if (!n || (!n.title && !n.body)) return undefined
  const actions = (n.actions as { id: string; title: string }[] | undefined)?.map(({ id, title }) => ({ action: id, title }))
  const options = { body: n.body, icon, badge, image: n.image, actions } as NotificationOptions
  return n.title ? { title: n.title, options } : { title: n.body!, options: { ...options, body: undefined } }
}

function keep({ id, notification: n }: PushedMessage): Kept {
  const actions = (n?.actions ?? []) as { id: string; click?: string }[]
  return { id, click: n?.click as string | undefined, actions: Object.fromEntries(actions.map((a) => [a.id, a.click])) }
}

const windows = (worker: Worker) => worker.clients.matchAll({ type: "window", includeUncontrolled: true })

/** Opens an address, in the window that has it already if there is one; without an address, any window of the page. */
async function open(click: string | undefined, worker: Worker): Promise<void> {
  const url = new URL(click ?? "", worker.registration.scope).href
  const list = await windows(worker)
  const there = list.find((w: any) => w.url === url) ?? (click ? undefined : list[0])
  // A browser may refuse either, and there is nobody to tell.
  await (there ? there.focus() : worker.clients.openWindow(url)).catch(() => {})
}

/** The device that the page has registered. */
class Device {
  #store: Store
  #key: string
  #fetch: typeof fetch

  constructor(store: Store, key: string, f: typeof fetch) {
    this.#store = store
    this.#key = key
    this.#fetch = f
  }

  async seen(id: string): Promise<boolean> {
    const deputy = await this.#deputy()
    return !!deputy && list(await this.#store.get(`${deputy.prefix}seen`)).includes(id)
  }

  /** Says what became of a message, and what could not be said before. */
  async report(receipt: Receipt): Promise<void> {
    const deputy = await this.#deputy()
    if (!deputy) return
    const key = `${this.#key}|receipts`
    await this.#store.update(`${deputy.prefix}seen`, (old) => [...new Set([...list(old), receipt.id])].slice(-knownIDs).join())
    const text = await this.#store.update(key, (old) => {
      const all = new Map(receipts(old).map((r) => [r.id + r.event, r]))
      all.set(receipt.id + receipt.event, receipt)
      bound(all, knownIDs)
      return JSON.stringify([...all.values()])
    })
    const batch = receipts(text)
    try {
      await this.#call(deputy, "receipts", "POST", { receipts: batch })
    } catch (error) {
      if ((error as { passing?: boolean }).passing ?? true) return // with the next one
    }
    const done = new Set(batch.map((r) => r.id + r.event))
    await this.#store.update(key, (old) => {
      const left = receipts(old).filter((r) => !done.has(r.id + r.event))
      return left.length ? JSON.stringify(left) : undefined
    })
  }

  /** The browser has ended the subscription by itself. */
  async renew(worker: Worker, fresh: PushSubscription | null | undefined): Promise<void> {
    const deputy = await this.#deputy()
    if (!deputy) return
    fresh ??= (await worker.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(deputy.publicKey) })) as PushSubscription
    await this.#call(deputy, `devices/${deputy.registrationId}`, "PATCH", { addresses: [{ vendor: "webpush", token: JSON.stringify(fresh) }] })
  }

  async #deputy(): Promise<Deputy | undefined> {
    return parse(await this.#store.get(this.#key))
  }

  /** Calls the API as the device; a token that is refused is replaced, if the page has registered by itself. */
  async #call(deputy: Deputy, path: string, method: string, body: unknown): Promise<void> {
    const key = `${deputy.prefix}device`
    const device = parse(await this.#store.get(key)) as { token: string; said: string } | undefined
    const send = (to: string, how: string, token: string, text: string) =>
      call(this.#fetch, `${deputy.url}v1/${to}`, token, { method: how, headers: { "Content-Type": "application/json" }, body: text, signal: AbortSignal.timeout(15_000) })
    const text = JSON.stringify(body)
    try {
      await send(path, method, device?.token ?? deputy.token, text)
    } catch (error) {
      if ((error as { status?: number }).status !== 401 || !device?.said) throw error
      const answer = await (await send("devices", "POST", "", device.said)).json()
      await this.#store.update(key, () => JSON.stringify({ registrationId: answer.registration_id, token: answer.token, said: device.said }))
      await send(path, method, answer.token, text)
    }
  }
}

const list = (text: string | undefined) => (text ? text.split(",") : [])
const receipts = (text: string | undefined): Receipt[] => (parse(text) as Receipt[] | undefined) ?? []

function parse(text: string | undefined): any {
  try {
    return text && JSON.parse(text)
  } catch {
    return undefined
  }
}
