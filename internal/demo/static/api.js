// The HTTP calls of this page beside those of the SDK. The page token registers
// this installation and pushes to it; the device token, which the registration
// answers, does the rest.
// What goes wrong is the SDK's HeraldError, with code, remedy and field.

import { HeraldError } from "../sdk/herald.mjs"

export class Api {
  #pageToken
  #device = null

  constructor(pageToken) {
    this.#pageToken = pageToken
  }

  get device() {
    return this.#device
  }

  async register(profile) {
    this.#device = await this.#call("POST", "devices", this.#pageToken, profile)
    return this.#device
  }

  // installation is the part of the page token that stays the same.
  get installation() {
    return this.#pageToken.split(".").slice(1, 3).join(".")
  }

  send(message) {
    const audience = { registration_ids: [this.#device.registration_id] }
    return this.#call("POST", "messages", this.#pageToken, { audience, ...message })
  }

  trace(id) {
    const device = encodeURIComponent(this.#device.registration_id)
    return this.#call("GET", `messages/${encodeURIComponent(id)}/devices/${device}`, this.#device.token)
  }

  async #call(method, path, token, body) {
    let response
    try {
      response = await fetch(new URL(`../v1/${path}`, location.href), {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          Accept: "application/json",
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(15_000),
      })
    } catch {
      throw new HeraldError(0)
    }
    const answer = await response.json().catch(() => ({}))
    if (!response.ok) throw new HeraldError(response.status, answer, Number(response.headers.get("Retry-After")) * 1000 || 0)
    return answer
  }
}
