import type { Transport } from "./types.ts"
import { parse } from "./frame.ts"

/** RFC 6455. The token goes into the first frame, so that no address has it. */
export const websocket: Transport = {
  name: "websocket",
  open(target) {
    if (!target.WebSocket) throw new Error("there is no WebSocket here")
    const socket = new target.WebSocket(`${target.url.replace(/^http/, "ws")}v1/live/ws`, ["herald.v1"])
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: target.token }))
    socket.onmessage = (event) => parse(event.data, target)
    socket.onclose = (event) => target.lost({ code: event.code })
    socket.onerror = () => {} // close follows; clients for Node throw if nobody listens
    return {
      send(frame) {
        if (socket.readyState !== 1) return false
        socket.send(JSON.stringify(frame))
        return true
      },
      close() {
        socket.onopen = socket.onmessage = socket.onclose = null
        socket.close(1000)
      },
    }
  },
}
