// Web Push: what a page does for it. The other half is in worker.ts.
import type { WebPushOptions } from "./types.ts"

/** What the service worker is told of the device, in the browser's store under the key of its scope. */
export interface Deputy {
  /** Address of the server, with a slash at its end. */
  url: string
  /** What the keys of this device in the store begin with. */
  prefix: string
  registrationId: string
  /** What counts if the store has no token of this device. */
  token: string
  /** The VAPID key that the subscription was made with. */
  publicKey: string
}

export const deputyKey = (scope: string) => `worker|${scope}`

/** Subscribes, with the key that is asked for. To be called on a click: browsers ask the user only then. */
export async function subscribePush({ serviceWorker, publicKey }: WebPushOptions): Promise<[string, PushSubscription]> {
  if (!globalThis.navigator?.serviceWorker || !globalThis.PushManager || !globalThis.Notification) throw new Error("this browser has no Web Push here")
  if ((await Notification.requestPermission()) !== "granted") throw new Error("the user does not permit notifications")
  const registration = typeof serviceWorker === "object" ? serviceWorker : await navigator.serviceWorker.register(serviceWorker)
  await activated(registration)
  const applicationServerKey = bytes(publicKey)
  const old = await registration.pushManager.getSubscription()
  // One that was made with another key cannot be kept, and would be in the way.
  if (old && !same(old.options.applicationServerKey, applicationServerKey)) await old.unsubscribe()
  return [registration.scope, await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey })]
}

/** Waits until a worker runs: without one there is no subscription. */
async function activated(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.active ? undefined : (registration.installing ?? registration.waiting)
  await new Promise<void>((resolve, reject) => {
    const look = () => {
      if (registration.active || !worker) resolve()
      else if (worker.state === "redundant") reject(new Error("the service worker cannot be installed"))
    }
    worker?.addEventListener("statechange", look)
    look()
  })
}

export const bytes = (base64url: string) => Uint8Array.from(atob(base64url.replace(/-/g, "+").replace(/_/g, "/").replace(/=/g, "")), (c) => c.charCodeAt(0))

const same = (a: ArrayBuffer | null, b: Uint8Array) => !!a && String(new Uint8Array(a)) === String(b)
