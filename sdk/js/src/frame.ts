import type { Target } from "./types.ts"

/** Hands a frame on. What is not one is a sign of life all the same. */
export function parse(text: unknown, target: Target): void {
  let frame
  try {
    frame = JSON.parse(text as string)
  } catch {
    // The next frame is not the worse for it.
  }
  if (typeof frame?.type === "string") target.frame(frame)
  else target.heard()
}
