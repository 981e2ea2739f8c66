// A judge of the simulator of Apple: the npm package @parse/node-apn is a provider
// of another maker. It is told what came of one notification for one device.
import apn from "@parse/node-apn"
import { serve } from "./lines.mjs"

serve({
  async send({ url, ca, token, device, notification }) {
    const { hostname, port } = new URL(url)
    const provider = new apn.Provider({
      token,
      address: hostname,
      port: Number(port),
      production: false,
      ...(ca && { ca }),
      requestTimeout: 120_000, // its five seconds are too few for a busy machine
    })
    // It takes 201 and 204 for 200 too; which one it was, only its log says.
    let status = 0
    const log = (line) => {
      const ended = /^Request ended with status (\d+)/.exec(line)
      if (ended) status = Number(ended[1])
    }
    log.enabled = true
    provider.client.setLogger(log)
    try {
      const { sent, failed } = await provider.send(new apn.Notification(notification), device)
      const [told] = [...sent, ...failed]
      return {
        status,
        sent: sent.length,
        failed: failed.length,
        device: told.device,
        id: told["apns-id"],
        reason: told.response?.reason,
        timestamp: told.response?.timestamp,
        error: told.error && String(told.error.message),
      }
    } finally {
      provider.shutdown()
    }
  },
})
