// Small helpers for the document. Text from outside only ever becomes a text
// node or an attribute value, never markup.

export const byId = (id) => document.getElementById(id)

// h makes an element. Properties that begin with "on" are listeners, "text" is
// the text content, a value of null, undefined or false leaves the attribute out.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue
    if (name === "text") element.textContent = value
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

// webAddress gives the address if it is one that a page may open or load.
export function webAddress(text, protocols = ["https:", "http:"]) {
  try {
    const url = new URL(text)
    return protocols.includes(url.protocol) ? url.href : null
  } catch {
    return null
  }
}

// copyText puts text on the clipboard; where the page is not a secure context
// (plain http on a local network) it falls back to the selection.
export async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const range = document.createRange()
    range.selectNodeContents(element)
    const selection = getSelection()
    selection.removeAllRanges()
    selection.addRange(range)
    return document.execCommand("copy")
  }
}
