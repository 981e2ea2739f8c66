// Puts the page together. The page token stays in the fragment of the address,
// which no browser sends to a server: a reload works, and the link can be
// opened elsewhere.

import { Api } from "./api.js"
import { startForm } from "./compose.js"
import { byId, copyText } from "./dom.js"
import { apply, current, setLanguage, t } from "./i18n.js"
import { Inbox, rank } from "./inbox.js"
import { List } from "./list.js"
import { Reports } from "./reports.js"
import { Session } from "./session.js"
import { renderState, showState } from "./status.js"

const token = location.hash.slice(1)
addEventListener("hashchange", () => location.reload())

let inbox = null
let list = null
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
  const session = new Session({ api, profile, onState, onFrame })
  const reports = new Reports({ api, session, onTrace })
  list = new List({
    onShown: (id) => advance(id, "displayed"),
    onClicked: (id) => advance(id, "clicked"),
    onTrace: (id) => reports.ask(id, true),
  })
  startForm(api)
  byId("connect").addEventListener("click", () => session.connect())
  byId("transports").addEventListener("change", (event) => session.prefer(event.target.value))
  byId("clear").addEventListener("click", () => {
    inbox.clear()
    list.render([])
    byId("messages-title").focus()
  })
  session.connect()

  function onState(state) {
    if (api.device && byId("device-id").textContent !== api.device.registration_id) registered(api.device.registration_id)
    showState(state)
    if (state.phase !== "connected") return
    // What a lost connection may have swallowed is reported again.
    reports.flush()
    for (const item of inbox.all()) if (!item.end && item.stored && !(rank[item.confirmed] >= rank[item.state])) reports.report(item.id, item.state)
  }

  function registered(id) {
    byId("device-id").textContent = id
    byId("copy").disabled = false
    inbox = new Inbox(id)
    list.render(inbox.all())
  }

  function onFrame(frame, via) {
    if (frame.type === "message") return arrived(frame, via)
    if (frame.type === "withdraw") {
      // Until it hears this the server tells it again at each connection.
      reports.report(String(frame.id), "withdrawn")
      const item = inbox.withdraw(frame.id)
      if (!item) return
      list.update(item)
      byId("announce").textContent = t("list.announce.withdrawn")
      reports.ask(item.id)
    }
    if (frame.type === "error") console.warn("herald:", frame.code, frame.detail, frame.remedy)
  }

  function arrived(frame, via) {
    const item = inbox.add(frame, via)
    // A copy of a known message is acknowledged again, and not shown again.
    if (!item) return reports.report(String(frame.id), inbox.get(String(frame.id)).state)
    reports.report(item.id, "received")
    for (const old of inbox.replacedBy(item)) list.update(old)
    list.add(item)
    byId("announce").textContent = t("list.announce", { title: item.notification?.title || item.notification?.body || t("item.dataonly") })
  }

  function advance(id, state) {
    if (!inbox.advance(id, state)) return
    list.update(inbox.get(id))
    reports.report(id, state)
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
      byId("send-result").replaceChildren()
    })
  }
  mark()
}

function startCopying() {
  for (const [button, source] of [["copy", "device-id"], ["copy-push", "push-line"]]) {
    byId(button).addEventListener("click", async () => {
      if (!(await copyText(byId(source).textContent, byId(source)))) return
      byId(button).textContent = t("act.copied")
      byId("announce").textContent = t("act.copied")
      setTimeout(() => (byId(button).textContent = t("act.copy")), 1_500)
    })
  }
}
