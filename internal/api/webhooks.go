package api

import (
	"context"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/webhook"
)

// Webhooks manages the endpoints of an app that are told of events.
type Webhooks struct{ c Config }

// WebhookRequest is the body of POST /v1/webhooks.
type WebhookRequest struct {
	URL         string    `json:"url" format:"uri" maxLength:"2048" doc:"The address that is called. It has to be https on port 443 and on the public internet, unless the operator of the server allows more."`
	Description *string   `json:"description,omitempty" maxLength:"256" doc:"A note for people."`
	Events      *[]string `json:"events,omitempty" minItems:"1" maxItems:"13" doc:"Types of events, families such as receipt.*, or * for all, which is the default."`
	Secret      *string   `json:"secret,omitempty" doc:"What is to sign: whsec_ and 24 to 64 bytes in base64. Default: one is made."`
}

// WebhookUpdate is the body of PATCH /v1/webhooks/{id}.
type WebhookUpdate struct {
	URL         *string   `json:"url,omitempty" format:"uri" maxLength:"2048" doc:"Another address."`
	Description *string   `json:"description,omitempty" maxLength:"256" doc:"Another note."`
	Events      *[]string `json:"events,omitempty" minItems:"1" maxItems:"13" doc:"Other types of events."`
	Disabled    *bool     `json:"disabled,omitempty" doc:"True stops sending; false begins again where it stopped, as far as events are kept."`
}

// WebhookView is a webhook as its app sees it.
type WebhookView struct {
	ID              string     `json:"id" doc:"Name of the webhook."`
	URL             string     `json:"url" doc:"The address that is called."`
	Description     string     `json:"description,omitempty" doc:"A note for people."`
	Events          []string   `json:"events" doc:"Types of events that it is told of."`
	State           string     `json:"state" enum:"good,failing,disabled" doc:"failing: the last attempt was not answered 2xx, and it is tried again. disabled: nothing is sent."`
	Reason          string     `json:"reason,omitempty" doc:"Why it is disabled."`
	Secrets         int        `json:"secrets" doc:"How many secrets sign now; 2 while a new one takes over."`
	Failures        int        `json:"failures,omitempty" doc:"Attempts that failed in a row."`
	FailingSince    *time.Time `json:"failing_since,omitempty" doc:"When the first of them was. After 3 days it is disabled."`
	RetryAt         *time.Time `json:"retry_at,omitempty" doc:"When the next attempt is made."`
	LastDeliveredAt *time.Time `json:"last_delivered_at,omitempty" doc:"When the last request was answered 2xx."`
	Waiting         int64      `json:"waiting" doc:"Entries of the log of events that it has not been sent. An entry has the events of one commit."`
	Dropped         int64      `json:"dropped" doc:"Events of the app that were deleted before it could be sent them, of all types."`
	CreatedAt       time.Time  `json:"created_at" doc:"When it was made."`
	UpdatedAt       time.Time  `json:"updated_at" doc:"When it was changed last."`
}

// WebhookAnswer is a webhook with its secret, which is shown once.
type WebhookAnswer struct {
	WebhookView
	Secret string `json:"secret" doc:"Verifies requests. It is not shown again."`
}

// WebhookList is all webhooks of an app.
type WebhookList struct {
	Webhooks []WebhookView `json:"webhooks" doc:"By ID."`
}

// WebhookRotation is the body of POST /v1/webhooks/{id}/rotate.
type WebhookRotation struct {
	Overlap *int64  `json:"overlap,omitempty" minimum:"0" maximum:"604800" default:"86400" doc:"Seconds for which the secret before goes on signing beside the new one."`
	Secret  *string `json:"secret,omitempty" doc:"The new secret: whsec_ and 24 to 64 bytes in base64. Default: one is made."`
}

// WebhookReplay is the body of POST /v1/webhooks/{id}/replay.
type WebhookReplay struct {
	Delivery string     `json:"delivery,omitempty" doc:"ID of the delivery to send once more; it keeps its webhook-id."`
	Since    *time.Time `json:"since,omitempty" doc:"Send again everything from this time on, in order, and then what follows. Requests get new IDs; events keep theirs."`
}

// DeliveryOfWebhook is a request to a webhook, with its last attempt.
type DeliveryOfWebhook struct {
	ID         string     `json:"id" doc:"The webhook-id of the request."`
	State      string     `json:"state" enum:"waiting,delivered,failed" doc:"waiting: it is to be attempted, or to be attempted again."`
	Events     int        `json:"events" doc:"Events in it."`
	Replay     bool       `json:"replay" doc:"Whether it was sent once more."`
	CreatedAt  time.Time  `json:"created_at" doc:"When it was made; the timestamp in its body."`
	Attempts   int        `json:"attempts" doc:"How often it was attempted. What follows is of the last attempt."`
	TriedAt    *time.Time `json:"tried_at,omitempty" doc:"When that was."`
	Status     int        `json:"status,omitempty" doc:"HTTP status of the answer; absent if there was none."`
	DurationMS int64      `json:"duration_ms" doc:"How long it took, in milliseconds."`
	Error      string     `json:"error,omitempty" doc:"What went wrong."`
	Response   string     `json:"response,omitempty" doc:"The beginning of the answer's body."`
}

// WebhookDeliveries is one page of deliveries, newest first.
type WebhookDeliveries struct {
	Deliveries []DeliveryOfWebhook `json:"deliveries" doc:"Newest first. 10,000 are kept, for 7 days."`
	NextCursor string              `json:"next_cursor,omitempty"`
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Webhooks) view(w *record.Webhook) WebhookView {
	v := WebhookView{
		ID: w.ID, URL: w.URL, Description: w.Description, Events: w.Events, State: "good", Reason: w.Reason,
		Failures: w.Failures, FailingSince: timeOrNil(w.Failing), LastDeliveredAt: timeOrNil(w.LastGood),
		Waiting: max(0, int64(w.LogEnd)-int64(w.Sent.N)), Dropped: w.Dropped, CreatedAt: w.Created, UpdatedAt: w.Updated,
	}
	for _, k := range w.Secrets {
		if k.Until.IsZero() || k.Until.After(s.c.Now()) {
			v.Secrets++
		}
	}
	switch {
	case w.Disabled:
		v.State = "disabled"
	case w.Failures > 0:
		v.State, v.RetryAt = "failing", timeOrNil(w.RetryAt)
	}
	return v
}

func deliveryOf(d *record.WebhookDelivery) DeliveryOfWebhook {
	v := DeliveryOfWebhook{
		ID: d.ID, State: "delivered", Events: d.Events, Replay: d.Replay, CreatedAt: d.At, Attempts: d.Attempts, TriedAt: timeOrNil(d.Tried),
		Status: d.Status, DurationMS: d.Took.Milliseconds(), Error: d.Error, Response: d.Excerpt,
	}
	switch {
	case d.Open:
		v.State = "waiting"
	case d.Error != "":
		v.State = "failed"
	}
	return v
}

// Create makes a webhook.
func (s *Webhooks) Create(ctx context.Context, p Principal, r WebhookRequest) (WebhookAnswer, error) {
	if err := p.may(ScopeHooksWrite); err != nil {
		return WebhookAnswer{}, err
	}
	w, secret, err := s.c.Webhooks.Create(ctx, p.App, webhook.Spec{URL: &r.URL, Description: r.Description, Events: r.Events, Secret: r.Secret})
	return WebhookAnswer{s.view(&w), secret}, err
}

// List shows the webhooks of the app.
func (s *Webhooks) List(ctx context.Context, p Principal) (WebhookList, error) {
	out := WebhookList{Webhooks: []WebhookView{}}
	if err := p.may(ScopeHooksRead); err != nil {
		return out, err
	}
	list, err := s.c.Webhooks.List(ctx, p.App)
	for i := range list {
		out.Webhooks = append(out.Webhooks, s.view(&list[i]))
	}
	return out, err
}

// Get shows a webhook.
func (s *Webhooks) Get(ctx context.Context, p Principal, id string) (WebhookView, error) {
	if err := p.may(ScopeHooksRead); err != nil {
		return WebhookView{}, err
	}
	w, err := s.c.Webhooks.Get(ctx, p.App, id)
	return s.view(&w), err
}

// Update changes a webhook.
func (s *Webhooks) Update(ctx context.Context, p Principal, id string, r WebhookUpdate) (WebhookView, error) {
	if err := p.may(ScopeHooksWrite); err != nil {
		return WebhookView{}, err
	}
	w, err := s.c.Webhooks.Update(ctx, p.App, id, webhook.Spec{URL: r.URL, Description: r.Description, Events: r.Events, Disabled: r.Disabled})
	return s.view(&w), err
}

// Delete deletes a webhook.
func (s *Webhooks) Delete(ctx context.Context, p Principal, id string) error {
	if err := p.may(ScopeHooksWrite); err != nil {
		return err
	}
	return s.c.Webhooks.Delete(ctx, p.App, id)
}

// defaultOverlap is how long two secrets sign, where nothing is said.
const defaultOverlap = 24 * time.Hour

// Rotate gives a webhook a new secret.
func (s *Webhooks) Rotate(ctx context.Context, p Principal, id string, r WebhookRotation) (WebhookAnswer, error) {
	if err := p.may(ScopeHooksWrite); err != nil {
		return WebhookAnswer{}, err
	}
	overlap := defaultOverlap
	if r.Overlap != nil {
		if *r.Overlap < 0 || *r.Overlap > int64(webhook.MaxOverlap/time.Second) {
			return WebhookAnswer{}, herald.Invalid("overlap", "Give 0 to 604800 seconds.", "%d is out of range", *r.Overlap)
		}
		overlap = time.Duration(*r.Overlap) * time.Second
	}
	_, secret, err := s.c.Webhooks.Rotate(ctx, p.App, id, r.Secret, overlap)
	if err != nil {
		return WebhookAnswer{}, err
	}
	w, err := s.c.Webhooks.Get(ctx, p.App, id)
	return WebhookAnswer{s.view(&w), secret}, err
}

// Test sends a test event at once.
func (s *Webhooks) Test(ctx context.Context, p Principal, id string) (DeliveryOfWebhook, error) {
	if err := p.may(ScopeHooksWrite); err != nil {
		return DeliveryOfWebhook{}, err
	}
	d, err := s.c.Webhooks.Test(ctx, p.App, id)
	return deliveryOf(&d), err
}

// Deliveries lists what was sent to a webhook.
func (s *Webhooks) Deliveries(ctx context.Context, p Principal, id, cursor string, limit int) (WebhookDeliveries, error) {
	out := WebhookDeliveries{Deliveries: []DeliveryOfWebhook{}}
	if err := p.may(ScopeHooksRead); err != nil {
		return out, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return out, err
	}
	before := int64(0)
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before <= 0 {
			return out, herald.Invalid("cursor", "Give the next_cursor of the page before, unchanged.", "%.40q is no cursor of this list", cursor)
		}
	}
	list, err := s.c.Webhooks.Deliveries(ctx, p.App, id, before, limit+1)
	if len(list) > limit {
		list = list[:limit]
		out.NextCursor = strconv.FormatInt(list[limit-1].Seq, 10)
	}
	for i := range list {
		out.Deliveries = append(out.Deliveries, deliveryOf(&list[i]))
	}
	return out, err
}

// Replay sends a delivery, or everything since a time, once more.
func (s *Webhooks) Replay(ctx context.Context, p Principal, id string, r WebhookReplay) (WebhookView, error) {
	if err := p.may(ScopeHooksWrite); err != nil {
		return WebhookView{}, err
	}
	if (r.Delivery == "") == (r.Since == nil) {
		return WebhookView{}, herald.Invalid("delivery", "Give delivery, or since.", "one of delivery and since is needed, and not both")
	}
	if r.Since != nil {
		w, err := s.c.Webhooks.ReplaySince(ctx, p.App, id, *r.Since)
		return s.view(&w), err
	}
	if _, err := s.c.Webhooks.Replay(ctx, p.App, id, r.Delivery); err != nil {
		return WebhookView{}, err
	}
	return s.Get(ctx, Principal{Kind: Master, App: p.App}, id)
}
