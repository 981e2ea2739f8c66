// A service centre of another maker: the npm package smpp. It knows one account,
// puts long texts together as a telephone would, and sends receipts, once as a
// text and once in parameters.
import { createRequire } from "node:module"
import { serve } from "./lines.mjs"

const smpp = createRequire(import.meta.url)("smpp")
const account = { system_id: "herald", password: "pa55word" }
const taken = [] // whole messages
const parts = new Map()
let counted = 0
let answered = 0 // receipts
let asked = [] // commands, as they came

function keep(pdu, id) {
  const { udh, message } = pdu.short_message
  const one = { id, text: message, from: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr], to: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr], coding: pdu.data_coding, registered: pdu.registered_delivery, validFor: pdu.validity_period ? pdu.validity_period - Date.now() : 0 }
  if (!udh || !udh.length) return taken.push({ ...one, parts: 1 })
  const [kind, , ref, total, seq] = udh[0]
  if (kind !== 0) throw new Error("the header is of another kind: " + kind)
  const key = ref + "/" + total + "/" + pdu.destination_addr
  const list = parts.get(key) ?? []
  parts.set(key, list)
  list[seq - 1] = one
  if (list.filter(Boolean).length < total) return
  parts.delete(key)
  taken.push({ ...one, id: list.map((p) => p.id).join(","), text: list.map((p) => p.text).join(""), parts: total })
}

function receipt(session, pdu, id) {
  const gone = pdu.destination_addr.endsWith("1")
  const common = { esm_class: 4, source_addr: pdu.destination_addr, destination_addr: pdu.source_addr }
  const done = () => answered++
  if (counted % 2) {
    const stat = gone ? "UNDELIV err:00B" : "DELIVRD err:000"
    session.deliver_sm({ ...common, short_message: `id:${id} sub:001 dlvrd:001 submit date:2611220800 done date:2611220801 stat:${stat} text:` }, done)
  } else {
    session.deliver_sm({ ...common, receipted_message_id: id, message_state: gone ? 5 : 2 }, done)
  }
}

const server = smpp.createServer((session) => {
  let bound = false
  session.on("error", () => session.destroy())
  session.on("pdu", (pdu) => asked.push(pdu.command))
  session.on("bind_transceiver", (pdu) => {
    bound = pdu.system_id === account.system_id && pdu.password === account.password && pdu.interface_version === 0x34
    session.send(pdu.response(bound ? { system_id: "npm" } : { command_status: smpp.ESME_RINVPASWD }))
  })
  session.on("enquire_link", (pdu) => session.send(pdu.response()))
  session.on("unbind", (pdu) => session.send(pdu.response(), undefined, () => session.close()))
  session.on("submit_sm", (pdu) => {
    if (!bound) return session.send(pdu.response({ command_status: smpp.ESME_RINVBNDSTS }))
    if (pdu.destination_addr.endsWith("9")) return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }))
    const id = "npm-" + ++counted
    keep(pdu, id)
    session.send(pdu.response({ message_id: id }))
    if (pdu.registered_delivery) receipt(session, pdu, id)
  })
})

serve(
  {
    // It begins anew each time, on the same port.
    listen: () =>
      new Promise((done, fail) => {
        taken.length = counted = answered = 0
        asked = []
        if (server.listening) return done(server.address().port)
        server.once("error", fail)
        server.listen(0, "127.0.0.1", () => done(server.address().port))
      }),
    taken: () => taken.splice(0),
    asked: () => asked,
    answered: () => answered,
    ask: () => Promise.all(server.sessions.map((s) => new Promise((done) => s.enquire_link((pdu) => done(pdu.command))))),
  },
  () => {
    for (const s of server.sessions) s.destroy()
    server.close()
  },
)
