import type { Store } from "./types.ts"

/** Keeps values as long as the process lives. */
export function memoryStore(): Store {
  const values = new Map<string, string>()
  return {
    get: async (key) => values.get(key),
    async update(key, change) {
      const value = change(values.get(key))
      value === undefined ? values.delete(key) : values.set(key, value)
      return value
    },
  }
}

/**
 * Keeps values in IndexedDB, where an update is one transaction and therefore
 * safe between tabs. Where the browser refuses, values live as long as the page.
 */
export function browserStore(): Store {
  const spare = memoryStore()
  let opened: Promise<IDBDatabase> | undefined
  const open = () =>
    (opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("herald-push", 1)
      request.onupgradeneeded = () => request.result.createObjectStore("values")
      request.onerror = request.onblocked = () => reject(request.error)
      request.onsuccess = () => {
        const db = request.result
        db.onclose = () => (opened = undefined)
        db.onversionchange = () => (db.close(), (opened = undefined))
        resolve(db)
      }
    }))
  const run = async (key: string, change?: (old: string | undefined) => string | undefined): Promise<string | undefined> => {
    try {
      const db = await open()
      return await new Promise((resolve, reject) => {
        const transaction = db.transaction("values", change ? "readwrite" : "readonly")
        const values = transaction.objectStore("values")
        const request = values.get(key)
        let value: string | undefined
        request.onsuccess = () => {
          value = request.result
          if (!change) return
          value = change(value)
          value === undefined ? values.delete(key) : values.put(value, key)
        }
        transaction.oncomplete = () => resolve(value)
        transaction.onerror = transaction.onabort = () => reject(transaction.error)
      })
    } catch {
      return change ? spare.update(key, change) : spare.get(key)
    }
  }
  return { get: (key) => run(key), update: run }
}

/** Gives a store whose keys begin with a prefix. */
export function within(store: Store, prefix: string): Store {
  return {
    get: (key) => store.get(prefix + key),
    update: (key, change) => store.update(prefix + key, change),
  }
}

/** How many IDs are known: the server asks for the last few hundred. */
export const knownIDs = 500

/** The IDs of messages that this device is done with, across restarts. */
export class Seen {
  #store: Store
  #ids = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  async load(): Promise<void> {
    for (const id of parse(await this.#store.get("seen"))) this.#ids.add(id)
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  async remember(ids: string[]): Promise<void> {
    if (ids.every((id) => this.#ids.has(id))) return
    for (const id of ids) this.#ids.add(id)
    bound(this.#ids, knownIDs)
    await this.#store.update("seen", (old) => [...new Set([...parse(old), ...ids])].slice(-knownIDs).join())
  }
}

const parse = (list: string | undefined) => (list ? list.split(",") : [])

/** Drops the oldest keys beyond a number. */
export function bound(keys: { size: number; keys(): Iterable<string>; delete(key: string): boolean }, most: number): void {
  for (const key of keys.keys()) {
    if (keys.size <= most) return
    keys.delete(key)
  }
}
