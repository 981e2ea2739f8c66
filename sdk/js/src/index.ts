import { Client } from "./client.ts"
import { poll } from "./poll.ts"
import { sse } from "./sse.ts"
import type { Options } from "./types.ts"
import { websocket } from "./websocket.ts"

export { HeraldError } from "./api.ts"
export { Client } from "./client.ts"
export { browserStore, memoryStore } from "./store.ts"
export type * from "./types.ts"

/** Makes a client. It does nothing before connect() or register(). */
export const createClient = (options: Options): Client => new Client(options, [websocket, sse, poll])
