// For a script tag: the exports of index.ts as window.herald.
import { Client, HeraldError, browserStore, createClient, memoryStore } from "./index.ts"

Object.assign(globalThis, { herald: { Client, HeraldError, browserStore, createClient, memoryStore } })
