import type { HeraldError } from "./api.ts"
import type { Frame, PresenceHandler, TopicHandler } from "./types.ts"

/** Topics that somebody wants, each with whether its presence is wanted too. */
export type Wanted = Map<string, boolean>

interface Listener {
  handler: TopicHandler
  presence: PresenceHandler | undefined
}

/** Who listens to which topic: in this tab, and in those that it connects for. */
export class Topics {
  #here = new Map<string, Set<Listener>>()
  #tabs = new Map<string, Wanted>()
  #presence = new Map<string, Frame>()
  #changed: () => void
  #run: (call: () => unknown) => void

  /** `changed` is told when this tab wants something else, `run` calls a listener. */
  constructor(changed: () => void, run: (call: () => unknown) => void) {
    this.#changed = changed
    this.#run = run
  }

  add(topic: string, handler: TopicHandler, presence: PresenceHandler | undefined): () => void {
    const listener = { handler, presence }
    const listeners = this.#here.get(topic) ?? new Set()
    this.#here.set(topic, listeners.add(listener))
    this.#changed()
    const known = this.#presence.get(topic)
    if (known && presence) this.#run(() => presence(known.devices as number, topic))
    return () => {
      if (!listeners.delete(listener)) return
      if (!listeners.size && this.#here.get(topic) === listeners) this.#here.delete(topic)
      this.#changed()
    }
  }

  /** What this tab wants. */
  here(): Wanted {
    return new Map([...this.#here].map(([topic, all]) => [topic, [...all].some((listener) => listener.presence)]))
  }

  /** What all tabs want. */
  wanted(): Wanted {
    const all = this.here()
    for (const tab of this.#tabs.values()) for (const [topic, presence] of tab) all.set(topic, presence || !!all.get(topic))
    for (const topic of this.#presence.keys()) all.get(topic) || this.#presence.delete(topic)
    return all
  }

  /** Forgets the other tabs, which have to say again what they want. */
  alone(): void {
    this.#tabs.clear()
  }

  /** Another tab wants these, and nothing else; gives what is known of them. */
  tab(name: string, wanted: Wanted): Frame[] {
    this.#tabs.set(name, wanted)
    return [...this.#presence.values()].filter((frame) => wanted.get(frame.topic as string))
  }

  /** The server refuses these; tells whether this tab wanted one. */
  drop(topics: string[]): boolean {
    for (const tab of this.#tabs.values()) for (const topic of topics) tab.delete(topic)
    return topics.filter((topic) => this.#here.delete(topic)).length > 0
  }

  take(frame: Frame): void {
    const topic = frame.topic as string
    const presence = frame.type === "presence"
    if (presence) this.#presence.set(topic, frame)
    for (const [wanted, all] of [...this.#here]) {
      if (selects(wanted.split("/"), topic.split("/"))) {
        for (const listener of [...all]) this.#run(() => (presence ? listener.presence?.(frame.devices as number, topic) : listener.handler(frame as never)))
      }
    }
  }
}

/** Tells whether a filter, such as chat/+ or news/#, selects a topic; both by their levels. */
const selects = ([want, ...wanted]: string[], [have, ...rest]: string[]): boolean =>
  want === "#" || (have == null ? want == null : (want === have || want === "+") && selects(wanted, rest))

/** The topics as part of an address. */
export const query = (wanted: Wanted): string =>
  [...wanted.keys()].map((topic) => `&topic=${encodeURIComponent(topic)}`).join("") + ([...wanted.values()].includes(true) ? "&presence=1" : "")

/** Which of these an error means, that names the first 60 characters of one. */
export const named = (wanted: Wanted, error: HeraldError): string[] =>
  [...wanted.keys()].filter((topic) => error.message.includes(JSON.stringify([...topic].slice(0, 60).join(""))))
