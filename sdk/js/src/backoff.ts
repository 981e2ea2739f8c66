import type { Cause } from "./types.ts"

/**
 * Gives the wait before an attempt (1, 2, ...) in milliseconds: random between
 * 1 s and a bound that doubles up to 30 s, so that many do not return at once.
 */
export function jitter(attempt: number, random = Math.random): number {
  const bound = Math.min(30, 2 ** Math.min(attempt, 5))
  return Math.round(1000 + random() * (bound - 1) * 1000)
}

/** What to do after a close code of docs/protocol.md. Others say nothing of the cause. */
export const afterClose: Record<number, [Cause, "retry" | "renew" | "stop" | "refuse"]> = {
  4001: ["token", "renew"],
  4003: ["forbidden", "refuse"],
  4008: ["heartbeat", "retry"],
  4009: ["replaced", "stop"],
  4010: ["slow", "retry"],
  4012: ["draining", "retry"],
  4013: ["protocol", "refuse"],
  4029: ["crowded", "retry"],
}

/** The close code that says what a status of HTTP says. */
export const codeOfStatus: Record<number, number> = { 401: 4001, 403: 4003, 429: 4029, 503: 4029 }
