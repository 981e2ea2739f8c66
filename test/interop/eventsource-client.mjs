// Clients on npm eventsource. It comes back by itself with Last-Event-ID; after
// being away on purpose the last ID goes into the address.
import { EventSource } from "eventsource"
import { address, emit, serve } from "./lines.mjs"

const clients = new Map() // name -> { source, cursor }

serve({
  connect(c) {
    const state = clients.get(c.client) || {}
    clients.set(c.client, state)
    const source = new EventSource(address(c.url, "/v1/live/sse", c.token, state.cursor))
    state.source = source
    source.onopen = () => emit({ client: c.client, event: "open" })
    source.onerror = (e) => {
      if (e.data === undefined) emit({ client: c.client, event: "closed", code: e.code || 0, reason: e.message || "" })
    }
    for (const name of ["message", "welcome", "withdraw", "ping", "reconnect"]) {
      source.addEventListener(name, (e) => {
        if (e.lastEventId) state.cursor = e.lastEventId
        emit({ client: c.client, event: "frame", frame: JSON.parse(e.data) })
      })
    }
  },
  away({ client }) {
    clients.get(client).source.close()
    emit({ client, event: "closed", code: 0, reason: "away" })
  },
  forget({ client }) {
    clients.get(client)?.source.close()
    clients.delete(client)
  },
})
