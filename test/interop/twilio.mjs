// The npm package of Twilio as judge of which calls Herald takes for Twilio's, and
// as its simulator signs them.
import webhooks from "twilio/lib/webhooks/webhooks.js"
import { serve } from "./lines.mjs"

serve({
  judge({ token, signature, url, params }) {
    return webhooks.validateRequest(token, signature, url, params)
  },
  sign({ token, url, params }) {
    return webhooks.getExpectedTwilioSignature(token, url, params)
  },
})
