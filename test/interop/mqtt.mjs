// Clients on npm mqtt: 3.1.1 and 5.0, over TCP, TLS and WebSocket. Each does
// what it is told and prints what it gets; payloads are base64.
import fs from "node:fs"
import mqtt from "mqtt"
import { emit, serve } from "./lines.mjs"

const clients = new Map()

serve({
  // connect answers with what CONNACK said. With c.again the client comes back
  // by itself after a loss, as it does by default.
  connect(c) {
    const old = clients.get(c.client)
    if (old) old.end(true)
    const client = mqtt.connect(c.url, {
      protocolVersion: c.version,
      clientId: c.id,
      username: c.user,
      password: c.password,
      clean: c.clean ?? true,
      keepalive: c.keepalive ?? 60,
      reconnectPeriod: c.again ? 100 : 0,
      connectTimeout: 15000,
      resubscribe: false,
      ca: c.ca ? fs.readFileSync(c.ca) : undefined,
      properties: c.version === 5 ? c.properties : undefined,
      will: c.will && { topic: c.will.topic, payload: Buffer.from(c.will.payload, "base64"), qos: c.will.qos, retain: c.will.retain },
    })
    clients.set(c.client, client)
    client.on("message", (topic, payload, packet) => {
      emit({
        client: c.client,
        event: "publish",
        publish: {
          topic,
          payload: payload.toString("base64"),
          qos: packet.qos,
          retain: packet.retain,
          dup: packet.dup,
          properties: properties(packet.properties),
        },
      })
    })
    client.on("disconnect", (packet) => emit({ client: c.client, event: "goodbye", code: packet.reasonCode }))
    client.on("close", () => emit({ client: c.client, event: "closed" }))
    return new Promise((resolve, reject) => {
      client.on("connect", (packet) => {
        emit({ client: c.client, event: "open" })
        resolve({ present: packet.sessionPresent, properties: packet.properties || {} })
      })
      client.on("error", (error) => {
        emit({ client: c.client, event: "refused", code: error.code | 0, detail: String(error.message) })
        reject(new Error(`${error.code}: ${error.message}`))
      })
    })
  },
  async subscribe(c) {
    const granted = await one(c).subscribeAsync(c.filter, { qos: c.qos, nl: c.nl, rap: c.rap, rh: c.rh, properties: c.properties })
    return granted.map((g) => g.qos)
  },
  async unsubscribe(c) {
    await one(c).unsubscribeAsync(c.filter)
  },
  // publish answers when the server has said that it has it.
  async publish(c) {
    const p = c.properties && { ...c.properties }
    if (p?.correlationData) p.correlationData = Buffer.from(p.correlationData, "base64")
    const answer = await one(c).publishAsync(c.topic, Buffer.from(c.payload, "base64"), { qos: c.qos, retain: c.retain, properties: p })
    return { code: answer?.reasonCode ?? 0 }
  },
  // away says DISCONNECT; cut only closes the connection, as a loss does.
  async away(c) {
    await one(c).endAsync()
  },
  cut(c) {
    one(c).stream.destroy()
  },
  forget(c) {
    clients.get(c.client)?.end(true)
    clients.delete(c.client)
  },
})

function one(c) {
  const client = clients.get(c.client)
  if (!client) throw new Error(`no client ${c.client}`)
  return client
}

// properties makes them plain: bytes are base64, user properties lists.
function properties(p) {
  if (!p) return undefined
  const out = { ...p, user: [] }
  if (p.correlationData) out.correlationData = p.correlationData.toString("base64")
  for (const [name, value] of Object.entries(p.userProperties || {})) {
    for (const v of [value].flat()) out.user.push(name + "=" + v)
  }
  delete out.userProperties
  return out
}
