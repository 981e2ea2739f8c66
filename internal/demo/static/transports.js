// The two ways to connect, behind one shape: { name, send, close }. A transport
// calls on.frame with each frame of the protocol and on.lost once, when the
// connection is gone; after close it calls nothing any more.

export function openWebSocket(url, on) {
  const socket = new WebSocket(url, ["herald.v1"])
  socket.onmessage = (event) => deliver(event.data, on)
  socket.onclose = (event) => on.lost(event.code)
  return {
    name: "websocket",
    send(frame) {
      if (socket.readyState !== WebSocket.OPEN) return false
      socket.send(JSON.stringify(frame))
      return true
    },
    close() {
      socket.onmessage = socket.onclose = null
      socket.close()
    },
  }
}

const named = ["welcome", "message", "withdraw", "ping", "pong", "reconnect"]

export function openEventSource(url, on) {
  const source = new EventSource(url)
  let closed = false
  for (const name of named) source.addEventListener(name, (event) => closed || deliver(event.data, on))
  // A frame of type "error" and a lost connection are events of the same name;
  // only the frame has data.
  source.addEventListener("error", (event) => {
    if (closed) return
    if (event instanceof MessageEvent) return deliver(event.data, on)
    // The browser would come back by itself, out of sight. This page does it
    // instead, so that it can say when.
    closed = true
    source.close()
    on.lost(0)
  })
  return {
    name: "sse",
    send: () => false,
    close() {
      closed = true
      source.close()
    },
  }
}

function deliver(text, on) {
  let frame
  try {
    frame = JSON.parse(text)
  } catch {
    return
  }
  if (frame !== null && typeof frame === "object") on.frame(frame)
}
