// What has arrived: one item per message ID, newest first. It is kept in
// sessionStorage, so that a reload of the tab still shows what the device has
// acknowledged and the server will not send again.

const keep = 100

// rank orders the states of a delivery on its good way.
export const rank = { received: 1, displayed: 2, clicked: 3 }

export class Inbox {
  #key
  #items = new Map()

  constructor(registrationID) {
    this.device = registrationID
    this.#key = `herald.inbox.${registrationID}`
    try {
      for (const item of JSON.parse(sessionStorage.getItem(this.#key)) || []) this.#items.set(item.id, item)
    } catch {
      // Storage is switched off, or holds what an older page wrote.
    }
  }

  // all lists the items in the order of arrival.
  all() {
    return [...this.#items.values()]
  }

  get(id) {
    return this.#items.get(id)
  }

  // add takes a message of the SDK; null if it is known already.
  add(message) {
    const { id, transport: via, time, priority, notification, data, collapseKey, kept } = message
    if (this.#items.has(id)) return null
    const item = {
      id,
      via,
      time,
      arrived: new Date().toISOString(),
      priority,
      notification: notification || null,
      data,
      collapseKey: collapseKey || "",
      stored: kept,
      state: "received",
      confirmed: "",
      end: "",
    }
    this.#items.set(id, item)
    for (const old of this.#items.keys()) {
      if (this.#items.size <= keep) break
      this.#items.delete(old)
    }
    this.#save()
    return item
  }

  // replacedBy marks and gives the older items with the same collapse key; a
  // message without one has its ID in its place.
  replacedBy(item) {
    if (!item.collapseKey) return []
    const older = this.all().filter((o) => o !== item && (o.collapseKey || o.id) === item.collapseKey && !o.end)
    for (const old of older) old.end = "replaced"
    this.#save()
    return older
  }

  // advance moves an item forward; false if it was there already.
  advance(id, state) {
    const item = this.#items.get(id)
    if (!item || item.end === "withdrawn" || rank[item.state] >= rank[state]) return false
    item.state = state
    this.#save()
    return true
  }

  // withdraw takes the content away and keeps the fact.
  withdraw(id) {
    const item = this.#items.get(String(id))
    if (!item || item.end === "withdrawn") return null
    Object.assign(item, { end: "withdrawn", notification: null, data: undefined })
    this.#save()
    return item
  }

  // confirm notes what the server knows about an item.
  confirm(id, state) {
    const item = this.#items.get(id)
    if (!item || !rank[state] || rank[item.confirmed] >= rank[state]) return
    item.confirmed = state
    this.#save()
  }

  clear() {
    this.#items.clear()
    this.#save()
  }

  #save() {
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(this.all()))
    } catch {
      // Full or switched off: the list then lasts as long as the page.
    }
  }
}
