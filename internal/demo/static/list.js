// The list of messages: one card per message, newest first.

import { byId, h, webAddress } from "./dom.js"
import { rank } from "./inbox.js"
import { clock, exact, t, translated } from "./i18n.js"

const cards = new Map() // message ID -> { root, steps, end, trace }

export class List {
  #onShown
  #onClicked
  #onTrace
  #traces = new Map()
  #visible = new Set()
  #observer

  // onShown(id) is called when a card is in view of somebody, onClicked(id)
  // when its message is opened, onTrace(id) when its history is asked for.
  constructor({ onShown, onClicked, onTrace }) {
    this.#onShown = onShown
    this.#onClicked = onClicked
    this.#onTrace = onTrace
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { threshold: 0.4 })
    document.addEventListener("visibilitychange", () => this.#tell())
  }

  render(items) {
    this.#observer.disconnect()
    this.#visible.clear()
    cards.clear()
    byId("messages").replaceChildren()
    for (const item of items) this.add(item)
    this.#count()
  }

  add(item) {
    const card = this.#card(item)
    cards.set(item.id, card)
    byId("messages").prepend(card.root)
    this.update(item)
    this.#observer.observe(card.root)
    this.#count()
  }

  // update shows the state of an item: how far it came, or how it ended.
  update(item) {
    const card = cards.get(item.id)
    if (!card) return
    card.root.dataset.state = item.end || item.state
    card.root.dataset.confirmed = item.confirmed
    for (const [state, step] of Object.entries(card.steps)) {
      const done = rank[item.state] >= rank[state]
      const sure = rank[item.confirmed] >= rank[state]
      step.dataset.done = sure ? "confirmed" : done ? "reported" : "no"
      step.querySelector(".hidden").textContent = ` (${t(sure ? "item.confirmed" : done ? "item.reported" : "item.open")})`
    }
    if (item.end && card.end.hidden) {
      card.end.textContent = t(`item.${item.end}`)
      card.end.hidden = false
      if (item.end === "withdrawn") card.content.replaceChildren()
    }
  }

  // trace keeps and shows what the server said about a message.
  trace(id, trace, problem) {
    if (trace) this.#traces.set(id, trace)
    const card = cards.get(id)
    if (card) this.#fillTrace(card.trace, id, problem)
  }

  #count() {
    const n = cards.size
    byId("empty").hidden = n > 0
    byId("clear").hidden = n === 0
    byId("list-count").textContent = n === 0 ? "" : t(n === 1 ? "list.count.one" : "list.count.many", { n })
  }

  #seen(entries) {
    for (const entry of entries) {
      if (entry.isIntersecting) this.#visible.add(entry.target.dataset.id)
      else this.#visible.delete(entry.target.dataset.id)
    }
    this.#tell()
  }

  #tell() {
    if (document.visibilityState !== "visible") return
    for (const id of this.#visible) this.#onShown(id)
  }

  #card(item) {
    const titleID = `m-${item.id}`
    const content = h("div", { class: "content" })
    if (item.end !== "withdrawn") this.#fillContent(content, item, titleID)
    const steps = {}
    for (const state of Object.keys(rank)) {
      steps[state] = h("li", {}, t(`state.${state}`), h("span", { class: "hidden" }))
    }
    const end = h("p", { class: "end", hidden: true })
    const trace = h("div", { class: "trace-body" })
    const details = h("details", { class: "trace" }, h("summary", { text: t("item.trace") }), trace)
    details.addEventListener("toggle", () => {
      if (!details.open) return
      this.#fillTrace(trace, item.id, null)
      this.#onTrace(item.id)
    })
    const root = h("li", { class: "card message", "data-id": item.id, "data-via": item.via },
      end,
      content,
      h("div", { class: "foot" },
        h("ol", { class: "steps", "aria-label": t("item.progress") }, ...Object.values(steps)),
        h("div", { class: "meta" },
          item.priority === "high" || item.priority === "low" ? h("span", { class: "tag", text: t(`item.priority.${item.priority}`) }) : null,
          item.stored ? null : h("span", { class: "tag", text: t("item.volatile"), title: t("item.volatile.why") }),
          h("span", { text: t("item.via", { transport: t(`transport.${item.via}`) }) }),
          h("time", { datetime: item.time, text: clock(item.time), title: item.time }))),
      details)
    return { root, content, steps, end, trace }
  }

  #fillContent(content, item, titleID) {
    const n = item.notification
    const title = n?.title || (n?.body ? t("item.untitled") : t("item.dataonly"))
    const address = webAddress(n?.click)
    const clicked = () => this.#onClicked(item.id)
    const open = address
      ? h("a", { id: titleID, class: "open", href: address, target: "_blank", rel: "noopener noreferrer", onclick: clicked, text: title })
      : h("button", { id: titleID, class: "open", type: "button", onclick: clicked, text: title })
    content.append(h("h3", { class: n?.title ? null : "untitled" }, open))
    if (n?.body) content.append(h("p", { class: "body", text: n.body }))
    const picture = webAddress(n?.image, ["https:", "data:"])
    if (picture) {
      const image = h("img", { src: picture, alt: "", loading: "lazy", referrerpolicy: "no-referrer" })
      image.addEventListener("error", () => image.replaceWith(h("p", { class: "muted", text: t("item.image", { url: n.image.slice(0, 120) }) })))
      content.append(image)
    } else if (n?.image) {
      content.append(h("p", { class: "muted", text: t("item.image", { url: n.image.slice(0, 120) }) }))
    }
    if (item.data !== undefined && item.data !== null) {
      content.append(h("pre", { class: "data", tabindex: "0", role: "group", "aria-label": t("item.data") },
        h("code", { text: pretty(item.data) })))
    }
  }

  #fillTrace(body, id, problem) {
    const trace = this.#traces.get(id)
    const facts = h("p", { class: "muted" }, `${t("item.trace.id")} `, h("code", { text: id }))
    if (!trace) {
      const text = problem ? t("item.trace.failed", { detail: problem.status ? problem.message : t("send.unreachable") }) : t("item.trace.loading")
      body.replaceChildren(h("p", { class: "muted", text }), facts)
      return
    }
    const steps = (trace.steps || []).map((step) => h("li", {},
      h("time", { datetime: step.time, text: exact(step.time) }),
      h("span", { text: stepText(step) })))
    body.replaceChildren(
      h("p", { class: "summary", text: translated(`trace.state.${trace.state}`) || trace.summary }),
      h("ol", {}, ...steps), facts)
  }
}

// stepText words one step: the server's sentence, or in another language the
// event and the way.
function stepText(step) {
  const own = translated(`trace.event.${step.event}`)
  if (!own) return step.text || step.event
  return step.via ? `${own}（${translated(`trace.via.${step.via}`) || step.via}）` : own
}

// pretty writes data on one line if it is short.
function pretty(data) {
  const line = JSON.stringify(data)
  return line.length <= 64 ? line : JSON.stringify(data, null, 2)
}
