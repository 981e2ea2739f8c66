// The HTTP calls of this page. The page token registers this installation and
// pushes to it; the device token, which the registration answers, does the rest.

// Problem is an answer that refuses (RFC 9457, with code, remedy and field),
// or a request that got no answer at all: then the status is 0.
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(body.detail || body.title || `HTTP ${status}`)
    this.status = status
    this.code = body.code || ""
    this.detail = body.detail || body.title || ""
    this.remedy = body.remedy || ""
    this.field = body.field || ""
    this.retryAfter = retryAfter
  }

  // passing tells whether the same request may well succeed later.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

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

  // renew keeps a newer token of the same device.
  renew(token) {
    if (this.#device) this.#device = { ...this.#device, token }
  }

  forget() {
    this.#device = null
  }

  send(message) {
    const audience = { registration_ids: [this.#device.registration_id] }
    return this.#call("POST", "messages", this.#pageToken, { audience, ...message })
  }

  report(receipts) {
    return this.#call("POST", "receipts", this.#device.token, { receipts })
  }

  trace(id) {
    const device = encodeURIComponent(this.#device.registration_id)
    return this.#call("GET", `messages/${encodeURIComponent(id)}/devices/${device}`, this.#device.token)
  }

  // self asks for this device. It says why a connection failed where the
  // browser does not.
  self() {
    return this.#call("GET", `devices/${encodeURIComponent(this.#device.registration_id)}`, this.#device.token)
  }

  // live gives the address of a transport with the device token in its query:
  // browsers cannot set headers there.
  live(transport) {
    const url = new URL(`../v1/live/${transport === "websocket" ? "ws" : "sse"}`, location.href)
    if (transport === "websocket") url.protocol = url.protocol === "https:" ? "wss:" : "ws:"
    url.hash = ""
    url.search = new URLSearchParams({ access_token: this.#device.token })
    return url.href
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
      throw new Problem(0)
    }
    const answer = await response.json().catch(() => ({}))
    if (!response.ok) throw new Problem(response.status, answer, Number(response.headers.get("Retry-After")) || 0)
    return answer
  }
}
