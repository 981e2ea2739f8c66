// Judges of Web Push: the npm package http_ece decrypts what Herald encrypts, and
// web-push is an application server of another maker, with keys that it makes.
import crypto from "node:crypto"
import { readFileSync } from "node:fs"
import https from "node:https"
import ece from "http_ece"
import webpush from "web-push"
import { serve } from "./lines.mjs"

serve({
  keys: () => webpush.generateVAPIDKeys(),

  decrypt({ key, auth, body }) {
    const browser = crypto.createECDH("prime256v1")
    browser.setPrivateKey(key, "base64url")
    return ece.decrypt(Buffer.from(body, "base64"), { version: "aes128gcm", privateKey: browser, authSecret: auth }).toString()
  },

  async send({ subscription, text, keys, ca, options }) {
    const agent = new https.Agent({ ca: readFileSync(ca) })
    try {
      const vapidDetails = { subject: "mailto:push@example.com", publicKey: keys.publicKey, privateKey: keys.privateKey }
      const answer = await webpush.sendNotification(JSON.parse(subscription), text, { ...options, vapidDetails, agent })
      return answer.statusCode
    } catch (e) {
      if (e.statusCode) return e.statusCode
      throw e
    } finally {
      agent.destroy()
    }
  },
})
