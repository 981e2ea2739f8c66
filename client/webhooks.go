package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Webhook is an address that the server calls with what happens.
type Webhook struct {
	ID          string   `json:"id"`
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events"`
	State       string   `json:"state"`            // good, failing, disabled
	Reason      string   `json:"reason,omitempty"` // why it is disabled
	Secrets     int      `json:"secrets"`          // that sign now
	// Failures is how many attempts failed in a row, FailingSince when the first
	// of them was, RetryAt when the next one will be.
	Failures        int        `json:"failures,omitempty"`
	FailingSince    *time.Time `json:"failing_since,omitempty"`
	RetryAt         *time.Time `json:"retry_at,omitempty"`
	LastDeliveredAt *time.Time `json:"last_delivered_at,omitempty"`
	Waiting         int64      `json:"waiting"` // entries of the log that it has not been sent
	Dropped         int64      `json:"dropped"` // events that were deleted before it was sent them
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
	// Secret is only there in the answers of CreateWebhook and RotateWebhook.
	Secret string `json:"secret,omitempty"`
}

// WebhookSpec is what is to be a webhook.
type WebhookSpec struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events,omitempty"` // types or families; none means all
	Secret      string   `json:"secret,omitempty"` // empty: the server makes one
}

// WebhookUpdate changes a webhook. What is nil stays as it is.
type WebhookUpdate struct {
	URL         *string   `json:"url,omitempty"`
	Description *string   `json:"description,omitempty"`
	Events      *[]string `json:"events,omitempty"`
	Disabled    *bool     `json:"disabled,omitempty"`
}

// WebhookDelivery is a request to a webhook, with its last attempt.
type WebhookDelivery struct {
	ID         string     `json:"id"`    // the webhook-id
	State      string     `json:"state"` // waiting, delivered, failed
	Events     int        `json:"events"`
	Replay     bool       `json:"replay"`
	CreatedAt  time.Time  `json:"created_at"`
	Attempts   int        `json:"attempts"`
	TriedAt    *time.Time `json:"tried_at,omitempty"`
	Status     int        `json:"status,omitempty"` // 0: there was no answer
	DurationMS int64      `json:"duration_ms"`
	Error      string     `json:"error,omitempty"`
	Response   string     `json:"response,omitempty"` // the beginning of the answer
}

// WebhookDeliveryPage is one page of deliveries, newest first.
type WebhookDeliveryPage struct {
	Deliveries []WebhookDelivery `json:"deliveries"`
	NextCursor string            `json:"next_cursor,omitempty"`
}

func webhookPath(id, rest string) string { return "/v1/webhooks/" + url.PathEscape(id) + rest }

// CreateWebhook has the server call an address with what happens from now on.
// Keep the Secret of the answer: it verifies what comes, see [VerifyWebhook].
func (c *Client) CreateWebhook(ctx context.Context, w WebhookSpec) (Webhook, error) {
	var out Webhook
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/webhooks", body: w, into: &out, single: true})
	return out, err
}

// Webhooks lists the webhooks of the app.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	var out struct {
		Webhooks []Webhook `json:"webhooks"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/webhooks", into: &out})
	return out.Webhooks, err
}

// Webhook shows a webhook.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	var out Webhook
	err := c.do(ctx, call{method: http.MethodGet, path: webhookPath(id, ""), into: &out})
	return out, err
}

// UpdateWebhook changes a webhook. Enabled again, it goes on where it stopped.
func (c *Client) UpdateWebhook(ctx context.Context, id string, u WebhookUpdate) (Webhook, error) {
	var out Webhook
	err := c.do(ctx, call{method: http.MethodPatch, path: webhookPath(id, ""), body: u, into: &out})
	return out, err
}

// DeleteWebhook deletes a webhook.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: webhookPath(id, "")})
}

// RotateWebhook gives a webhook a new secret, which is in the answer. The one
// before goes on signing beside it for a time of up to 7 days.
func (c *Client) RotateWebhook(ctx context.Context, id string, overlap time.Duration) (Webhook, error) {
	body := struct {
		Overlap int64 `json:"overlap"`
	}{int64(overlap / time.Second)}
	var out Webhook
	err := c.do(ctx, call{method: http.MethodPost, path: webhookPath(id, "/rotate"), body: body, into: &out, single: true})
	return out, err
}

// TestWebhook sends a test event at once and tells what came of it.
func (c *Client) TestWebhook(ctx context.Context, id string) (WebhookDelivery, error) {
	var out WebhookDelivery
	err := c.do(ctx, call{method: http.MethodPost, path: webhookPath(id, "/test"), into: &out, single: true})
	return out, err
}

// WebhookDeliveries lists the requests to a webhook, newest first.
func (c *Client) WebhookDeliveries(ctx context.Context, id, cursor string, limit int) (WebhookDeliveryPage, error) {
	var out WebhookDeliveryPage
	err := c.do(ctx, call{method: http.MethodGet, path: webhookPath(id, "/deliveries"), query: page(cursor, limit), into: &out})
	return out, err
}

// ReplayDelivery sends a delivery once more, with the webhook-id that it had.
func (c *Client) ReplayDelivery(ctx context.Context, id, delivery string) (Webhook, error) {
	body := struct {
		Delivery string `json:"delivery"`
	}{delivery}
	return c.replay(ctx, id, body)
}

// ReplayWebhook sends everything from a time on once more, in order.
func (c *Client) ReplayWebhook(ctx context.Context, id string, since time.Time) (Webhook, error) {
	body := struct {
		Since time.Time `json:"since"`
	}{since.UTC()}
	return c.replay(ctx, id, body)
}

func (c *Client) replay(ctx context.Context, id string, body any) (Webhook, error) {
	var out Webhook
	err := c.do(ctx, call{method: http.MethodPost, path: webhookPath(id, "/replay"), body: body, into: &out, single: true})
	return out, err
}
