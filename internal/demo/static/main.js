// Puts the page together. The page token stays in the fragment of the address,
// which no browser sends to a server: a reload works, and the link can be
// opened elsewhere.

import { Api } from "./api.js"
import { startForm } from "./compose.js"
import { Connection } from "./connection.js"
import { byId, copyText } from "./dom.js"
import { apply, current, setLanguage, t } from "./i18n.js"
import { Inbox, rank } from "./inbox.js"
import { List } from "./list.js"
import { Room } from "./room.js"
import { renderState, showState } from "./status.js"
import { Traces } from "./traces.js"

const token = location.hash.slice(1)
addEventListener("hashchange", () => location.reload())

let inbox = null
let list = null
let room = null
startLanguages()
startCopying()
byId("composer").open = matchMedia("(min-width: 56rem)").matches
if (/^[\x21-\x7e]{1,4096}$/.test(token)) start(token)
else {
  byId("columns").hidden = true
  showState({ phase: "nolink" })
}

function start(pageToken) {
  const api = new Api(pageToken)
  const traces = new Traces({ api, settled, onTrace })
  let shown = null
  room = new Room()
  list = new List({
    onShown: (id) => advance(id, "displayed"),
    onClicked: (id) => advance(id, "clicked"),
    onTrace: (id) => traces.ask(id, true),
  })
  const connection = new Connection({ api, profile, room, on: { state, message, withdraw } })
  room.publish = connection.publish
  startForm(api)
  byId("connect").addEventListener("click", () => connection.connect())
  byId("transports").addEventListener("change", (event) => connection.choose(event.target.value))
  connection.choose("auto")
  byId("clear").addEventListener("click", () => {
    inbox.clear()
    list.render([])
    byId("messages-title").focus()
  })

  function state(now) {
    if (api.device !== shown) registered((shown = api.device))
    showState(now)
    byId("connections").textContent = String(connection.connections)
    if (now.phase !== "connected") return
    // What a page that was closed had not got rid of is reported again.
    for (const item of inbox.all()) {
      if (settled(item.id)) continue
      report(item.id, item.state)
      traces.ask(item.id)
    }
  }

  function registered(device) {
    byId("device-id").textContent = device.registration_id
    for (const id of ["copy", "copy-stream", "copy-tcp"]) byId(id).disabled = false
    const { origin, hostname } = location
    byId("stream-line").textContent = `curl -sN -H "Authorization: Bearer ${device.token}" ${origin}/v1/live/stream`
    byId("tcp-line").textContent = `{ echo '{"type":"hello","token":"${device.token}"}'; cat; } | nc ${hostname} 7701`
    if (inbox?.device === device.registration_id) return
    inbox = new Inbox(device.registration_id)
    list.render(inbox.all())
  }

  // message is called by the SDK, which acknowledges when it returns.
  function message(m) {
    const item = inbox.add(m)
    if (!item) return
    for (const old of inbox.replacedBy(item)) list.update(old)
    list.add(item)
    traces.ask(item.id)
    byId("announce").textContent = t("list.announce", { title: item.notification?.title || item.notification?.body || t("item.dataonly") })
  }

  function withdraw(id) {
    const item = inbox.withdraw(id)
    if (!item) return
    list.update(item)
    byId("announce").textContent = t("list.announce.withdrawn")
    traces.ask(id)
  }

  function advance(id, reached) {
    if (!inbox.advance(id, reached)) return
    list.update(inbox.get(id))
    report(id, reached)
    traces.ask(id)
  }

  function report(id, reached) {
    if (reached === "clicked") connection.clicked(id)
    else if (reached === "displayed") connection.displayed(id)
    else connection.ack(id)
  }

  function settled(id) {
    const item = inbox.get(id)
    return !item || !!item.end || !item.stored || rank[item.confirmed] >= rank[item.state]
  }

  function onTrace(id, trace, problem) {
    if (trace) inbox.confirm(id, trace.state)
    const item = inbox.get(id)
    if (item) list.update(item)
    list.trace(id, trace, problem)
  }
}

function profile() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
  return { platform: "web", language: navigator.language || "en", ...(timeZone ? { time_zone: timeZone } : {}) }
}

function startLanguages() {
  const buttons = document.querySelectorAll("[data-lang]")
  const mark = () => {
    apply()
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.lang === current()))
  }
  for (const button of buttons) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.lang)
      mark()
      renderState()
      if (inbox) list.render(inbox.all())
      room?.render()
      byId("send-result").replaceChildren()
    })
  }
  mark()
}

function startCopying() {
  for (const [button, source] of [["copy", "device-id"], ["copy-push", "push-line"], ["copy-stream", "stream-line"], ["copy-tcp", "tcp-line"]]) {
    byId(button).addEventListener("click", async () => {
      if (!(await copyText(byId(source).textContent, byId(source)))) return
      byId(button).textContent = t("act.copied")
      byId("announce").textContent = t("act.copied")
      setTimeout(() => (byId(button).textContent = t("act.copy")), 1_500)
    })
  }
}
