package webhook

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
)

// Settings keeps webhooks. A write is durable when it returns nil.
type Settings interface {
	// Webhooks lists the webhooks of an app, or (empty) of all apps, by ID.
	Webhooks(ctx context.Context, app herald.AppKey) ([]record.Webhook, error)
	// CreateWebhook writes a webhook, unless its app has as many as it may
	// (limit_reached). It is told of what happens from then on.
	CreateWebhook(ctx context.Context, w record.Webhook, most int) error
	// UpdateWebhook changes a webhook, and takes it from whoever has leased it.
	// change may be called twice.
	UpdateWebhook(ctx context.Context, app herald.AppKey, id string, change func(*record.Webhook) error) (record.Webhook, error)
	// DeleteWebhook deletes a webhook with its deliveries.
	DeleteWebhook(ctx context.Context, app herald.AppKey, id string) error
	// LeaseWebhook gives a webhook to an owner for a time, unless another one
	// has it (conflict), and raises its fence. An owner may take what it has.
	LeaseWebhook(ctx context.Context, app herald.AppKey, id, owner string, now time.Time, lease time.Duration) (record.Webhook, error)
}

// Log is what webhooks are told from. Its rows are written by others, in the
// commits in which things happen, while the app has webhooks.
type Log interface {
	// WebhookLog walks the rows after one, ascending, at most limit. each must
	// not call the store.
	WebhookLog(ctx context.Context, app herald.AppKey, after uint64, limit int, each func(record.WebhookEntry) error) error
	// WebhookLogAt is the last row written before a time, or the one before the
	// first that there is.
	WebhookLogAt(ctx context.Context, app herald.AppKey, at time.Time) (uint64, error)
	// WebhookDone is up to where messages that are done were looked for, and the
	// last row.
	WebhookDone(ctx context.Context, app herald.AppKey) (done, last uint64, err error)
	// TellDone notes that they were looked for up to a row, and writes a row
	// about those that were done and of which there was none.
	TellDone(ctx context.Context, app herald.AppKey, upto uint64, msgs []herald.MessageID) error
	// DeviceNames finds the names of devices; those that were removed are absent.
	DeviceNames(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]record.DeviceName, error)
}

// Deliveries keeps the requests that are made or to be made.
type Deliveries interface {
	// AddDeliveries writes deliveries of one webhook, in one commit, and gives
	// them with their numbers. With a fence, the webhook must be held with it
	// (else conflict).
	AddDeliveries(ctx context.Context, list []record.WebhookDelivery, fence int64) ([]record.WebhookDelivery, error)
	// MarkDeliveries writes what came of attempts, and changes the webhook in the
	// same commit; it must be held with the fence.
	MarkDeliveries(ctx context.Context, app herald.AppKey, hook string, list []record.WebhookDelivery, fence int64, change func(*record.Webhook)) error
	// OpenDeliveries lists those that are to be attempted, oldest first.
	OpenDeliveries(ctx context.Context, app herald.AppKey, hook string, limit int) ([]record.WebhookDelivery, error)
	// Delivery finds one by its webhook ID, the newest if it was replayed.
	Delivery(ctx context.Context, app herald.AppKey, hook, id string) (record.WebhookDelivery, error)
	// Deliveries lists those before a number (0: all), newest first.
	Deliveries(ctx context.Context, app herald.AppKey, hook string, before int64, limit int) ([]record.WebhookDelivery, error)
}

// Store is all that webhooks need of the record.
type Store interface {
	Settings
	Log
	Deliveries
	// PurgeWebhooks deletes rows of logs that are older than a time, or more
	// than so many bytes of an app; and deliveries that are as old, or more than
	// keep of a webhook. What a webhook had not been sent counts as dropped.
	PurgeWebhooks(ctx context.Context, before time.Time, most int64, keep int) error
}

// Poster makes requests to addresses that users gave; *egress.Client is one.
type Poster interface {
	Check(raw string) (*url.URL, error)
	Post(ctx context.Context, raw string, header http.Header, body []byte) (egress.Answer, error)
}
