// The room: a topic that every page of this app is subscribed to, with who is
// here and what was said.

import { byId, h } from "./dom.js"
import { clock, t } from "./i18n.js"

const keep = 20

export class Room {
  topic = "demo/room"
  devices = 0
  #publish
  #said = []

  constructor() {
    byId("room-form").addEventListener("submit", (event) => {
      event.preventDefault()
      this.#say()
    })
  }

  set publish(publish) {
    this.#publish = publish
  }

  present = (devices) => {
    this.devices = devices
    this.render()
  }

  heard = ({ data, time, from }) => {
    const text = typeof data === "string" ? data : typeof data?.text === "string" ? data.text : JSON.stringify(data)
    this.#said.push({ text: text.slice(0, 500), time, from })
    this.#said.splice(0, this.#said.length - keep)
    this.render()
  }

  render() {
    byId("room-count").textContent = this.devices === 0 ? "" : t(this.devices === 1 ? "room.here.one" : "room.here.many", { n: this.devices })
    byId("room-empty").hidden = this.#said.length > 0
    byId("room-said").replaceChildren(...this.#said.map(({ text, time, from }) => h("li", {},
      h("span", { class: "muted" }, h("time", { datetime: time, text: clock(time) }), " ", from ? h("code", { text: from.slice(-6) }) : t("room.server")),
      h("span", { text }))))
  }

  async #say() {
    const input = byId("room-text")
    const text = input.value.trim()
    if (!text) return input.focus()
    const result = byId("room-result")
    try {
      await this.#publish({ text })
      input.value = ""
      result.replaceChildren()
      delete result.dataset.kind
    } catch (error) {
      result.dataset.kind = "refused"
      result.replaceChildren(
        h("p", { class: "result-title", text: t("send.refused") }),
        h("p", { text: error.message }),
        ...(error.remedy ? [h("p", { text: error.remedy })] : []))
    }
  }
}
