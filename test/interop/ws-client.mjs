// Clients on npm ws. Each acknowledges what it gets and comes back 100 ms after
// a loss, until it is told to go away.
import WebSocket from "ws"
import { address, emit, serve } from "./lines.mjs"

const clients = new Map()

serve({
  connect(c) {
    const state = { wanted: true }
    clients.set(c.client, state)
    open(c, state)
  },
  away({ client }) {
    const state = clients.get(client)
    state.wanted = false
    state.socket.close(1000)
  },
  forget({ client }) {
    const state = clients.get(client)
    clients.delete(client)
    if (!state) return
    state.wanted = false
    state.socket.terminate()
  },
})

function open(c, state) {
  const url = address(c.url, "/v1/live/ws", c.token)
  url.protocol = "ws:"
  // It offers compression by default, and would keep short messages as they are.
  const socket = new WebSocket(url, ["herald.v1"], { perMessageDeflate: { threshold: 0 } })
  state.socket = socket
  socket.on("open", () => emit({ client: c.client, event: "open", protocol: socket.protocol, extensions: socket.extensions }))
  socket.on("message", (data, binary) => {
    const frame = JSON.parse(data.toString())
    emit({ client: c.client, event: "frame", frame, binary })
    if (frame.type === "message") socket.send(JSON.stringify({ type: "ack", ids: [frame.id] }))
    if (frame.type === "ping") socket.send(JSON.stringify({ type: "pong" }))
  })
  socket.on("error", () => {}) // "close" follows
  socket.on("close", (code, reason) => {
    emit({ client: c.client, event: "closed", code, reason: reason.toString() })
    if (state.wanted) setTimeout(() => open(c, state), 100)
  })
}
