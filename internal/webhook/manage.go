package webhook

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/signed"
)

// Limits of what an owner may set.
const (
	maxDescription = 256
	maxSecrets     = 5
	// MaxOverlap is how long an old secret may go on signing beside a new one.
	MaxOverlap = 7 * 24 * time.Hour
)

// Spec is what an owner says of a webhook; nil leaves a part as it is.
type Spec struct {
	URL         *string
	Description *string
	Events      *[]string
	Disabled    *bool
	// Secret is only looked at when a webhook is made; nil makes one.
	Secret *string
}

func (s *Sender) check(q Spec) error {
	if q.URL != nil {
		if _, err := s.c.Egress.Check(*q.URL); err != nil {
			return err
		}
	}
	if q.Description != nil && len(*q.Description) > maxDescription {
		return herald.Invalid("description", "Shorten it.", "is longer than %d bytes", maxDescription)
	}
	if q.Events != nil {
		if len(*q.Events) == 0 || len(*q.Events) > len(herald.WebhookEvents) {
			return herald.Invalid("events", `Name some, or ["*"] for all.`, "names no events, or too many")
		}
		return checkEvents(*q.Events)
	}
	return nil
}

// Create makes a webhook and gives it with its secret, which is not shown again.
func (s *Sender) Create(ctx context.Context, app herald.AppKey, q Spec) (w record.Webhook, secret string, err error) {
	if q.URL == nil {
		return w, "", herald.Invalid("url", "Give the address that is to be called.", "is missing")
	}
	if q.Events == nil {
		q.Events = &[]string{"*"}
	}
	if err := s.check(q); err != nil {
		return w, "", err
	}
	if secret = signed.NewSecret(); q.Secret != nil {
		secret = *q.Secret
	}
	if _, err := signed.ParseSecret(secret); err != nil {
		return w, "", err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	w = record.Webhook{App: app, ID: newID("wh_"), Created: now, Updated: now}
	w.Secrets = []record.WebhookSecret{{Sealed: s.c.Seal.Seal(w.Place(), []byte(secret))}}
	apply(&w, q)
	return w, secret, s.c.Store.CreateWebhook(ctx, w, MaxWebhooks)
}

func apply(w *record.Webhook, q Spec) {
	if q.URL != nil {
		w.URL = *q.URL
	}
	if q.Description != nil {
		w.Description = *q.Description
	}
	if q.Events != nil {
		w.Events = slices.Clone(*q.Events)
	}
	switch {
	case q.Disabled == nil || *q.Disabled == w.Disabled:
	case *q.Disabled:
		w.Disabled, w.Reason = true, "it was disabled by its owner"
	default:
		w.Disabled, w.Reason = false, ""
		w.Failing, w.Failures = time.Time{}, 0
	}
	w.RetryAt = time.Time{} // what was changed may help: it is tried at once
}

// Update changes a webhook. Enabled again, it goes on where it stopped.
func (s *Sender) Update(ctx context.Context, app herald.AppKey, id string, q Spec) (record.Webhook, error) {
	if err := s.check(q); err != nil {
		return record.Webhook{}, err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	if _, err := s.c.Store.UpdateWebhook(ctx, app, id, func(w *record.Webhook) error {
		apply(w, q)
		w.Updated = now
		return nil
	}); err != nil {
		return record.Webhook{}, err
	}
	return s.Get(ctx, app, id)
}

// List lists the webhooks of an app.
func (s *Sender) List(ctx context.Context, app herald.AppKey) ([]record.Webhook, error) {
	return s.c.Store.Webhooks(ctx, app)
}

// Get finds a webhook.
func (s *Sender) Get(ctx context.Context, app herald.AppKey, id string) (record.Webhook, error) {
	list, err := s.c.Store.Webhooks(ctx, app)
	if err != nil {
		return record.Webhook{}, err
	}
	for _, w := range list {
		if w.ID == id {
			return w, nil
		}
	}
	return record.Webhook{}, herald.Errorf(herald.CodeNotFound, "GET /v1/webhooks lists the webhooks of the app.", "there is no such webhook")
}

// Delete deletes a webhook.
func (s *Sender) Delete(ctx context.Context, app herald.AppKey, id string) error {
	return s.c.Store.DeleteWebhook(ctx, app, id)
}

// Rotate gives a webhook a new secret (nil: makes one). The one before goes on
// signing beside it for a time.
func (s *Sender) Rotate(ctx context.Context, app herald.AppKey, id string, given *string, overlap time.Duration) (w record.Webhook, secret string, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return w, "", herald.Invalid("overlap", "Give 0 to 604800 seconds.", "is out of range")
	}
	if secret = signed.NewSecret(); given != nil {
		secret = *given
	}
	if _, err := signed.ParseSecret(secret); err != nil {
		return w, "", err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	at := record.Webhook{App: app, ID: id}
	fresh := record.WebhookSecret{Sealed: s.c.Seal.Seal(at.Place(), []byte(secret))}
	w, err = s.c.Store.UpdateWebhook(ctx, app, id, func(w *record.Webhook) error {
		list := []record.WebhookSecret{fresh}
		for _, k := range w.Secrets {
			if k.Until.IsZero() || k.Until.After(now.Add(overlap)) {
				k.Until = now.Add(overlap)
			}
			if k.Until.After(now) && len(list) < maxSecrets {
				list = append(list, k)
			}
		}
		w.Secrets, w.Updated, w.RetryAt = list, now, time.Time{}
		return nil
	})
	return w, secret, err
}

// Test sends an event of type webhook.test at once, and gives what came of it.
func (s *Sender) Test(ctx context.Context, app herald.AppKey, id string) (record.WebhookDelivery, error) {
	w, err := s.Get(ctx, app, id)
	if err != nil {
		return record.WebhookDelivery{}, err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	d := record.WebhookDelivery{App: app, Hook: id, ID: newID("evt_"), Events: 1, At: now}
	event := herald.WebhookEvent{ID: "test." + d.ID, Type: herald.EventTest, Time: now}
	if _, err := s.attempt(ctx, &w, &d, []herald.WebhookEvent{event}); err != nil {
		return d, err
	}
	return s.add(ctx, d)
}

// add writes down a delivery that is not the next of its webhook.
func (s *Sender) add(ctx context.Context, d record.WebhookDelivery) (record.WebhookDelivery, error) {
	list, err := s.c.Store.AddDeliveries(ctx, []record.WebhookDelivery{d}, 0)
	if err != nil {
		return d, err
	}
	return list[0], nil
}

// Deliveries lists the deliveries of a webhook before a number (0: the newest),
// newest first.
func (s *Sender) Deliveries(ctx context.Context, app herald.AppKey, id string, before int64, limit int) ([]record.WebhookDelivery, error) {
	if _, err := s.Get(ctx, app, id); err != nil {
		return nil, err
	}
	return s.c.Store.Deliveries(ctx, app, id, before, limit)
}

// Replay sends a delivery once more, with the webhook ID that it had.
func (s *Sender) Replay(ctx context.Context, app herald.AppKey, id, delivery string) (record.WebhookDelivery, error) {
	if _, err := s.Get(ctx, app, id); err != nil {
		return record.WebhookDelivery{}, err
	}
	d, err := s.c.Store.Delivery(ctx, app, id, delivery)
	switch {
	case err != nil:
		return d, err
	case d.Open:
		return d, nil // it is on its way
	case d.From == d.To:
		return d, herald.Errorf(herald.CodeConflict, "Send another test.", "a test is not replayed")
	}
	again := record.WebhookDelivery{App: app, Hook: id, ID: d.ID, Open: true, From: d.From, To: d.To, Replay: true, Shard: d.Shard, Shards: d.Shards, Events: d.Events, At: d.At}
	return s.add(ctx, again)
}

// ReplaySince sends a webhook back in the log: what was written down from a time
// on is sent again, in order, and then what follows.
func (s *Sender) ReplaySince(ctx context.Context, app herald.AppKey, id string, since time.Time) (record.Webhook, error) {
	n, err := s.c.Store.WebhookLogAt(ctx, app, since)
	if err != nil {
		return record.Webhook{}, err
	}
	if _, err = s.c.Store.UpdateWebhook(ctx, app, id, func(w *record.Webhook) error {
		if to := (record.WebhookPos{N: n}); to.Before(w.Sent) {
			w.Sent = to
		}
		w.RetryAt = time.Time{}
		return nil
	}); err != nil {
		return record.Webhook{}, err
	}
	return s.Get(ctx, app, id)
}
