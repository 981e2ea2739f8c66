// For importScripts in a service worker: the exports of worker.ts as herald.
import { serve } from "./worker.ts"

Object.assign(globalThis, { herald: { serve } })
