// Which language the page speaks: the reader's choice, or else the browser's.

import en from "./words.en.js"
import zh from "./words.zh.js"

const words = { en, zh }
const tags = { en: "en", zh: "zh-CN" }
const key = "herald.language"

let language = choose()

function choose() {
  let kept = null
  try {
    kept = localStorage.getItem(key)
  } catch {
    // Storage is switched off.
  }
  if (words[kept]) return kept
  const wanted = (navigator.languages || [navigator.language]).map((l) => l.toLowerCase().split("-")[0])
  return wanted.find((l) => words[l]) || "en"
}

export const current = () => language

export function setLanguage(l) {
  language = l
  try {
    localStorage.setItem(key, l)
  } catch {
    // Then the choice lasts as long as the page.
  }
}

// t gives the text of a key with {names} filled in.
export function t(name, values = {}) {
  const text = words[language][name] ?? words.en[name] ?? name
  return text.replace(/\{(\w+)\}/g, (whole, v) => (v in values ? String(values[v]) : whole))
}

// translated gives the text of a key only if this language has it: for what the
// server says in English already.
export const translated = (name) => words[language][name]

// apply writes the texts of all marked elements below a root.
export function apply(root = document) {
  document.documentElement.lang = tags[language]
  document.title = t("page.document")
  for (const e of root.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t)
  for (const e of root.querySelectorAll("[data-t-label]")) e.setAttribute("aria-label", t(e.dataset.tLabel))
}

// region is the reader's own variety of the language, for the form of times.
const region = () => (navigator.languages || []).find((l) => l.toLowerCase().split("-")[0] === language) || tags[language]

// clock gives the time of day of a moment, with the date unless it is today.
export function clock(moment) {
  const date = new Date(moment)
  if (Number.isNaN(date.getTime())) return ""
  const today = date.toDateString() === new Date().toDateString()
  const form = today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "medium" }
  return new Intl.DateTimeFormat(region(), form).format(date)
}

// exact gives a moment with milliseconds, for traces.
export function exact(moment) {
  const date = new Date(moment)
  if (Number.isNaN(date.getTime())) return ""
  return new Intl.DateTimeFormat(region(), {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
  }).format(date)
}
