// The form that sends a message to this device, and what the server answered.

import { byId, h } from "./dom.js"
import { t } from "./i18n.js"

// A mistake is something that the form itself notices.
class Mistake extends Error {
  constructor(field, text) {
    super(text)
    this.field = field
  }
}

export function startForm(api) {
  const form = byId("send")
  const button = byId("send-button")
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    if (button.getAttribute("aria-disabled") === "true") return
    for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid")
    button.setAttribute("aria-disabled", "true")
    show("sending", h("p", { class: "muted", text: t("send.sending") }))
    try {
      accepted(await api.send(read(form, api)))
    } catch (error) {
      refused(form, error)
    }
    button.removeAttribute("aria-disabled")
  })
}

function read(form, api) {
  if (!api.device) throw new Mistake("", t("send.notregistered"))
  const value = (name) => form.elements[name].value.trim()
  const message = {}
  const notification = {}
  if (value("title")) notification.title = value("title")
  if (value("body")) notification.body = value("body")
  if (Object.keys(notification).length) message.notification = notification
  if (value("data")) {
    try {
      message.data = JSON.parse(value("data"))
    } catch (error) {
      throw new Mistake("data", t("send.badjson", { detail: error.message }))
    }
  }
  if (!message.notification && message.data === undefined) throw new Mistake("title", t("send.nothing"))
  const ttl = form.elements.ttl
  if (ttl.value !== "" || ttl.validity.badInput) {
    const seconds = Number(ttl.value)
    if (ttl.validity.badInput || !Number.isInteger(seconds) || seconds < 0 || seconds > 2592000) throw new Mistake("ttl", t("send.badttl"))
    message.ttl = seconds
  }
  if (value("priority")) message.priority = value("priority")
  return message
}

function accepted(answer) {
  show("accepted",
    h("p", { class: "result-title", text: t("send.accepted") }),
    h("dl", { class: "facts" },
      h("dt", { text: t("send.id") }), h("dd", {}, h("code", { text: answer.id })),
      h("dt", { text: t("send.target") }), h("dd", { text: String(answer.target ?? "–") }),
      h("dt", { text: t("send.stored") }), h("dd", { text: t(answer.stored ? "send.stored.yes" : "send.stored.no") })))
}

function refused(form, error) {
  if (error instanceof Mistake) {
    const input = form.elements[error.field]
    if (input) {
      input.closest("details.advanced")?.setAttribute("open", "")
      input.setAttribute("aria-invalid", "true")
      input.focus()
    }
    return show("refused", h("p", { class: "result-title", text: t("send.refused") }), h("p", { text: error.message }))
  }
  const detail = error.status ? error.message || t("send.status", { status: error.status }) : t("send.unreachable")
  show("refused",
    h("p", { class: "result-title", text: t("send.refused") }),
    h("p", { text: detail }),
    error.remedy ? h("p", { text: error.remedy }) : null,
    error.field ? h("p", { class: "muted", text: t("send.field", { field: error.field }) }) : null)
}

function show(kind, ...children) {
  const result = byId("send-result")
  result.dataset.kind = kind
  result.replaceChildren(...children.filter((child) => child !== null))
}
