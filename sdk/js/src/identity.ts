import { HeraldError, post } from "./api.ts"
import type { Options, Profile, Registration, Store } from "./types.ts"

/** Who this device is: its token, from the application or by registering. */
export class Identity {
  #options: Options
  #url: string
  #store: Store
  #fetch: typeof fetch
  #token = ""
  #asking?: Promise<string>
  #extra: Profile = {}
  registrationId: string | undefined

  constructor(options: Options, url: string, store: Store, f: typeof fetch) {
    this.#options = options
    this.#url = url
    this.#store = store
    this.#fetch = f
  }

  /** The last token, if there was one. */
  get current(): string {
    return this.#token
  }

  /** Gives a token other than `bad`, one that was refused. Who asks meanwhile gets the same. */
  async token(bad = ""): Promise<string> {
    if (this.#token && this.#token !== bad) return this.#token
    this.#asking ??= this.#ask(bad).finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #ask(bad: string): Promise<string> {
    const { getToken } = this.#options
    if (!getToken) return (await this.register({}, bad)).token
    return (this.#token = await getToken(bad ? "refused" : "missing"))
  }

  /** Registers, unless the store has what the same registration answered. */
  async register(profile: Profile = {}, bad = ""): Promise<Registration> {
    const { appKey, installation: fixed } = this.#options
    if (!appKey) throw new TypeError("register() needs appKey")
    Object.assign(this.#extra, profile)
    const installation = fixed ?? (await this.#store.update("installation", (old) => old ?? secret()))
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    const language = globalThis.navigator?.language
    const body = {
      app_key: appKey,
      installation,
      platform: typeof document === "object" ? "web" : "other",
      ...(language && { language }),
      ...(timeZone && { time_zone: timeZone }),
      ...this.#options.profile,
      ...this.#extra,
    }
    const said = JSON.stringify(body)
    const kept = read(await this.#store.get("device"))
    // Another tab may have registered again in the meantime.
    if (kept?.said === said && !(bad && kept.token === bad)) return this.#is(kept)
    const answer = await post(this.#fetch, `${this.#url}v1/devices`, "", body)
    const now = { registrationId: String(answer.registration_id), token: String(answer.token), said }
    await this.#store.update("device", () => JSON.stringify(now))
    return this.#is(now)
  }

  /** Takes what `welcome` says: who this is, and perhaps a newer token. */
  async welcome(registrationId?: string, token?: string): Promise<void> {
    this.registrationId = registrationId ?? this.registrationId
    if (!token) return
    const old = this.#token
    this.#token = token
    if (!this.#options.getToken) {
      await this.#store.update("device", (text) => {
        const kept = read(text)
        return kept?.token === old ? JSON.stringify({ ...kept, token }) : text
      })
    }
  }

  #is({ registrationId, token }: Registration): Registration {
    this.registrationId = registrationId
    this.#token = token
    return { registrationId, token }
  }
}

function read(text: string | undefined): (Registration & { said: string }) | undefined {
  try {
    return text && JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Draws an installation. getRandomValues, unlike randomUUID, is there without TLS too. */
function secret(): string {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** Whether a failure to get a token may pass. Of an application's own errors that is assumed. */
export const passing = (error: unknown): boolean => !(error instanceof HeraldError) || error.passing
