// Calls of the HTTP API.

/** An answer that refuses (RFC 9457), or, with status 0, no answer at all. */
export class HeraldError extends Error {
  readonly status: number
  readonly code: string
  /** What to do about it. */
  readonly remedy: string
  readonly field: string
  /** Milliseconds the server asked to wait; 0 if it did not. */
  readonly retryAfter: number

  constructor(status: number, body: Record<string, unknown> = {}, retryAfter = 0) {
    super(String(body.detail || body.title || (status ? `HTTP ${status}` : "the server cannot be reached")))
    this.name = "HeraldError"
    this.status = status
    this.code = String(body.code ?? "")
    this.remedy = String(body.remedy ?? "")
    this.field = String(body.field ?? "")
    this.retryAfter = retryAfter
  }

  /** Whether the same call may well succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/** Gives what Retry-After asks for, in milliseconds. */
export const retryAfter = (response: Response): number => Number(response.headers.get("Retry-After")) * 1000 || 0

/** Posts JSON and gives the answer; whatever goes wrong is a HeraldError. */
export async function post(f: typeof fetch, url: string, token: string, body: unknown, keepalive = false): Promise<Record<string, unknown>> {
  let response: Response
  try {
    response = await f(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      keepalive,
      signal: keepalive ? null : AbortSignal.timeout(15_000),
    })
  } catch {
    throw new HeraldError(0)
  }
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) throw new HeraldError(response.status, answer, retryAfter(response))
  return answer
}
