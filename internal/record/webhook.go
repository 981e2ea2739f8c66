package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Webhook is an endpoint of an app server that is told of events. What it is
// told is read from the webhook log of its app, from Sent on.
type Webhook struct {
	App         herald.AppKey `json:"-"`
	ID          string        `json:"-"`
	URL         string        `json:"url"`
	Description string        `json:"description,omitempty"`
	Events      []string      `json:"events"` // types, or "receipt.*"
	// Secrets are sealed; see internal/webhook. The first one is the newest.
	Secrets  []WebhookSecret `json:"secrets"`
	Disabled bool            `json:"disabled,omitempty"`
	Reason   string          `json:"reason,omitempty"` // why it is disabled
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
	// Sent is up to where the log has been sent.
	Sent WebhookPos `json:"sent"`
	// Failing is since when every attempt failed, Failures how many did; zero
	// after one that did not. RetryAt is when the next may be made.
	Failing  time.Time `json:"failing,omitzero"`
	Failures int       `json:"failures,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	LastGood time.Time `json:"last_good,omitzero"`
	// Dropped counts events of the app that left the log before they were sent,
	// whether or not this endpoint is told of their type.
	Dropped int64 `json:"dropped,omitempty"`

	// What follows is read with the row, and not written with it.

	Fence   int64  `json:"-"` // grows with each lease and each change of settings
	LogEnd  uint64 `json:"-"` // of the app's webhook log: its last row
	Waiting int    `json:"-"` // deliveries that are open
}

// Place is what its sealed secrets are bound to.
func (w *Webhook) Place() string { return "webhook " + string(w.App) + " " + w.ID }

// WebhookSecret is a secret that signs, until a time or (zero) for good.
type WebhookSecret struct {
	Sealed []byte    `json:"sealed"`
	Until  time.Time `json:"until,omitzero"`
}

// WebhookPos is a place in the webhook log of an app: behind the rows up to N,
// and behind the first I events of row N+1.
type WebhookPos struct {
	N uint64 `json:"n"`
	I int64  `json:"i"`
}

// Before reports whether a place comes before another.
func (p WebhookPos) Before(q WebhookPos) bool { return p.N < q.N || p.N == q.N && p.I < q.I }

// WebhookEntry is one row of the webhook log: what one commit of the record has
// to tell, of one kind.
type WebhookEntry struct {
	N       uint64
	Epoch   int64
	At      time.Time
	Events  []Event         // of deliveries
	Devices []WebhookDevice // else
	Ends    []WebhookEnd    // else
}

// WebhookDevice is what happened to a device.
type WebhookDevice struct {
	Kind  string         `json:"k"` // registered, removed, bound, unbound
	Ord   herald.Ordinal `json:"o"`
	Alias herald.Alias   `json:"a,omitempty"`
	// ID is only kept of a device that was removed; of others it is looked up.
	ID herald.RegistrationID `json:"id,omitempty"`
}

// WebhookEnd is the end of a message.
type WebhookEnd struct {
	Msg   herald.MessageID    `json:"m"`
	State herald.MessageState `json:"s"`
}

// WebhookDelivery is a request to an endpoint, with its last attempt. It is
// written before the first one, so that what a webhook ID stands for never
// changes.
type WebhookDelivery struct {
	App  herald.AppKey `json:"-"`
	Hook string        `json:"-"`
	Seq  int64         `json:"-"` // grows with each delivery of an endpoint
	ID   string        `json:"-"` // the webhook-id
	Open bool          `json:"-"` // to be attempted
	// From and To are what it takes of the log; both zero for a test.
	From   WebhookPos `json:"from"`
	To     WebhookPos `json:"to"`
	Replay bool       `json:"replay,omitempty"` // To moves nothing
	// Shard says which of the events between the two it bears, of Shards
	// requests that are made at once (0: it bears all). Shard Shards is what is
	// about no device, and is made after the others.
	Shard  int       `json:"shard,omitempty"`
	Shards int       `json:"shards,omitempty"`
	Events int       `json:"events"`
	At     time.Time `json:"at"` // when it was made
	// What follows is of the last attempt.
	Attempts int           `json:"attempts,omitempty"`
	Tried    time.Time     `json:"tried,omitzero"`
	Status   int           `json:"status,omitempty"` // 0: no answer
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
	Excerpt  string        `json:"excerpt,omitempty"` // of the answer
}

// DeviceName is how users know a device.
type DeviceName struct {
	ID       herald.RegistrationID
	Alias    herald.Alias
	Platform herald.Platform
}
