// The npm package of Standard Webhooks as judge of what Herald signs. It answers
// what it thinks of a request: "good", or the name of what it complains of.
import { Webhook } from "standardwebhooks"
import { serve } from "./lines.mjs"

serve({
  judge({ secret, headers, body }) {
    try {
      new Webhook(secret).verify(body, headers)
      return "good"
    } catch (e) {
      return e.name
    }
  },
})
