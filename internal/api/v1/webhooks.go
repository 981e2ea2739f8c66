package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	webhookFields    = `"id":"wh_4kq2tz7dgy3bn6mrwx5j1c8ahe","url":"https://shop.example/hooks/herald","events":["receipt.*","device.removed"],"state":"good","secrets":1,"last_delivered_at":"2026-11-21T09:30:00Z","waiting":0,"dropped":0,"created_at":"2026-11-01T08:00:00Z","updated_at":"2026-11-01T08:00:00Z"`
	webhookSecret    = `,"secret":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"` //nolint:gosec // an example, of nobody
	deliveryExample  = `{"id":"evt_t5r3m9x2c7k4d8w6n1q0v5b2zj","state":"delivered","events":37,"replay":false,"created_at":"2026-11-21T09:30:00Z","attempts":1,"tried_at":"2026-11-21T09:30:00Z","status":200,"duration_ms":48}`
	webhookReadNote  = " Needs the scope `webhooks:read`."
	webhookWriteNote = " Needs the scope `webhooks:write`."
)

type webhookInput struct {
	ID string `path:"id" minLength:"1" maxLength:"64" doc:"ID of the webhook, as POST /v1/webhooks answered." example:"wh_4kq2tz7dgy3bn6mrwx5j1c8ahe"`
}

type webhookDeliveriesInput struct {
	ID     string   `path:"id" minLength:"1" maxLength:"64" doc:"ID of the webhook." example:"wh_4kq2tz7dgy3bn6mrwx5j1c8ahe"`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Deliveries on a page."`
}

// addWebhooks adds the operations on webhooks.
func (a *API) addWebhooks() {
	register(a, operation{
		id: "createWebhook", method: "POST", path: "/v1/webhooks", tag: "Webhooks", summary: "Make a webhook", status: http.StatusCreated, write: true,
		description: "Has the server call an address of yours with what happens from now on: receipts, devices, ends of messages. Requests follow Standard Webhooks 1.0: verify `webhook-signature` with the secret, which is only shown in this answer. " +
			"One request bears up to 100 events and is made within a second or two; it is answered with any 2xx. Others are repeated for 3 days, with the same `webhook-id`. An app has at most 20 webhooks." + webhookWriteNote,
		body: api.WebhookRequest{}, example: `{"url":"https://shop.example/hooks/herald","events":["receipt.*","device.removed"]}`, answer: `{` + webhookFields + webhookSecret + `}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.WebhookAnswer], error) {
		req, err := decode[api.WebhookRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Webhooks.Create(ctx, x.p, req))
	})
	register(a, operation{
		id: "listWebhooks", method: "GET", path: "/v1/webhooks", tag: "Webhooks", summary: "List webhooks",
		description: "Shows the webhooks of the app and how they stand." + webhookReadNote, answer: `{"webhooks":[{` + webhookFields + `}]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.WebhookList], error) {
		return answer(a.service.Webhooks.List(ctx, x.p))
	})
	register(a, operation{
		id: "getWebhook", method: "GET", path: "/v1/webhooks/{id}", tag: "Webhooks", summary: "Show a webhook",
		description: "Shows a webhook and how it stands." + webhookReadNote, answer: `{` + webhookFields + `}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*reply[api.WebhookView], error) {
		return answer(a.service.Webhooks.Get(ctx, x.p, in.ID))
	})
	register(a, operation{
		id: "updateWebhook", method: "PATCH", path: "/v1/webhooks/{id}", tag: "Webhooks", summary: "Change a webhook", write: true,
		description: "Members that are absent stay as they are. `disabled: false` lets a webhook that was disabled go on where it stopped, as far as events are kept: 7 days, and 256 MiB for an app." + webhookWriteNote,
		body:        api.WebhookUpdate{}, example: `{"events":["*"]}`, answer: `{` + webhookFields + `}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*reply[api.WebhookView], error) {
		req, err := decode[api.WebhookUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Webhooks.Update(ctx, x.p, in.ID, req))
	})
	register(a, operation{
		id: "deleteWebhook", method: "DELETE", path: "/v1/webhooks/{id}", tag: "Webhooks", summary: "Delete a webhook", write: true,
		description: "Deletes a webhook with its deliveries. A request that is under way is not called back." + webhookWriteNote, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*none, error) {
		return gone(a.service.Webhooks.Delete(ctx, x.p, in.ID))
	})
	a.addWebhookWork()
}

func (a *API) addWebhookWork() {
	register(a, operation{
		id: "rotateWebhook", method: "POST", path: "/v1/webhooks/{id}/rotate", tag: "Webhooks", summary: "Give a webhook a new secret", write: true,
		description: "The secret before goes on signing beside the new one for `overlap` seconds, so that no request fails to verify meanwhile: requests bear both signatures." + webhookWriteNote,
		body:        api.WebhookRotation{}, example: `{"overlap":86400}`, answer: `{` + webhookFields + webhookSecret + `}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*reply[api.WebhookAnswer], error) {
		req, err := decode[api.WebhookRotation](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Webhooks.Rotate(ctx, x.p, in.ID, req))
	})
	register(a, operation{
		id: "testWebhook", method: "POST", path: "/v1/webhooks/{id}/test", tag: "Webhooks", summary: "Send a test event", write: true,
		description: "Sends an event of type `webhook.test` at once, also to a webhook that is disabled, and answers with what came of it. It is not repeated." + webhookWriteNote,
		answer:      deliveryExample, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*reply[api.DeliveryOfWebhook], error) {
		return answer(a.service.Webhooks.Test(ctx, x.p, in.ID))
	})
	register(a, operation{
		id: "listWebhookDeliveries", method: "GET", path: "/v1/webhooks/{id}/deliveries", tag: "Webhooks", summary: "List deliveries",
		description: "Shows the requests that were made to a webhook, newest first, with the last attempt of each." + webhookReadNote,
		answer:      `{"deliveries":[` + deliveryExample + `]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *webhookDeliveriesInput) (*reply[api.WebhookDeliveries], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Webhooks.Deliveries(ctx, x.p, in.ID, in.Cursor, limit))
	})
	register(a, operation{
		id: "replayWebhook", method: "POST", path: "/v1/webhooks/{id}/replay", tag: "Webhooks", summary: "Send again", status: http.StatusAccepted, write: true,
		description: "Sends one delivery once more, or everything since a time, as far as events are kept. A receiver that remembers IDs has to let go of those." + webhookWriteNote,
		body:        api.WebhookReplay{}, example: `{"since":"2026-11-21T08:00:00Z"}`, answer: `{` + webhookFields + `}`, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *webhookInput) (*reply[api.WebhookView], error) {
		req, err := decode[api.WebhookReplay](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Webhooks.Replay(ctx, x.p, in.ID, req))
	})
}
