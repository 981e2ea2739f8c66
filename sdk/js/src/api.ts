// Calls of the HTTP API.

/** An answer that refuses (RFC 9457), or, with status 0, no answer at all or a refusal by a frame. */
export class HeraldError extends Error {
  readonly status: number
  readonly code: string
  /** What to do about it. */
  readonly remedy: string
  readonly field: string
  /** Milliseconds the server asked to wait; 0 if it did not. */
  readonly retryAfter: number

  constructor(status: number, { detail, title, code = "", remedy = "", field = "" }: Record<string, any> = {}, retryAfter = 0) {
    super(detail || title || (status ? `HTTP ${status}` : "the server cannot be reached"))
    this.name = "HeraldError"
    this.status = status
    this.code = code
    this.remedy = remedy
    this.field = field
    this.retryAfter = retryAfter
  }

  /** Whether the same call may well succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/** Calls with a token, if there is one; whatever goes wrong is a HeraldError. */
export async function call(f: typeof fetch, url: string, token: string, init: RequestInit): Promise<Response> {
  const response = await f(url, {
    ...init,
    headers: { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) },
    cache: "no-store",
    credentials: "omit",
  }).catch(() => {
    throw new HeraldError(0)
  })
  if (response.ok) return response
  const after = Number(response.headers.get("Retry-After")) * 1000 || 0
  throw new HeraldError(response.status, (await response.json().catch(() => {})) ?? {}, after)
}

/** Posts JSON, or sends it by another method, and gives the answer. */
export async function post(f: typeof fetch, url: string, token: string, body: unknown, keepalive = false, method = "POST"): Promise<Record<string, unknown>> {
  const response = await call(f, url, token, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    keepalive,
    signal: keepalive ? null : AbortSignal.timeout(15_000),
  })
  return response.json().catch(() => ({}))
}
