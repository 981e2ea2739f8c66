// Shows how the connection stands: the pill in the bar, and a notice with the
// reason, the remedy and a countdown while there is none.

import { byId } from "./dom.js"
import { t } from "./i18n.js"

let shown = { phase: "starting" }
let ticking = 0

export function showState(state) {
  shown = state
  const root = document.documentElement
  root.dataset.phase = state.phase
  root.dataset.transport = state.phase === "connected" ? state.transport : ""
  clearInterval(ticking)
  if (state.phase === "waiting") ticking = setInterval(countdown, 250)
  renderState()
}

// renderState writes the current state again, e.g. in another language.
export function renderState() {
  const { phase, transport } = shown
  const text = t(`phase.${phase}`)
  const over = phase === "connected" ? t("phase.over", { phase: text, transport: t(`transport.${transport}`) }) : text
  if (byId("pill-text").textContent !== over) byId("pill-text").textContent = over

  const notice = byId("notice")
  // While an attempt runs the notice stays as it was, so that it does not flicker.
  if (phase === "connecting" && !notice.hidden) {
    byId("countdown").textContent = t("notice.soon")
    return
  }
  notice.hidden = !["waiting", "refused", "nolink"].includes(phase)
  if (notice.hidden) return
  const { cause = "nolink", problem } = shown
  byId("notice-title").textContent = t(`notice.${phase}`)
  byId("notice-reason").textContent = [t(`cause.${cause}`), problem?.message].filter(Boolean).join(" ")
  byId("notice-remedy").textContent = remedy(phase, cause, problem)
  byId("notice-command").hidden = phase !== "nolink"
  byId("connect").hidden = phase === "nolink"
  countdown()
}

function remedy(phase, cause, problem) {
  const own = t(`remedy.${cause}`)
  if (own !== `remedy.${cause}`) return own
  if (problem?.remedy) return problem.remedy
  return phase === "waiting" ? t("notice.kept") : ""
}

function countdown() {
  const left = shown.phase === "waiting" ? Math.max(0, Math.ceil((shown.retryAt - Date.now()) / 1000)) : 0
  byId("countdown").textContent = left > 0 ? t("notice.countdown", { n: left }) : ""
}
