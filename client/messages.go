package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// Message is a message to send.
type Message struct {
	// Audience says who it is for.
	Audience herald.Audience
	// Notification is the visible part; a message may have only Data.
	Notification *herald.Notification
	// Data is any JSON for the app itself.
	Data json.RawMessage
	// TTL is how long the message may wait, in whole seconds, from the moment
	// it is due. nil means a day; 0 reaches only who is connected now, and is
	// not stored. See [TTL].
	TTL *time.Duration
	// Priority orders what waits for the same device; "" means normal.
	Priority herald.Priority
	// CollapseKey: a newer message with the same key replaces this one where
	// it was not received yet.
	CollapseKey string
	// OrderingKey: messages with the same key arrive in the order in which
	// they were accepted. "" is one order for the app.
	OrderingKey string
	// SendAt is when to send, at most a year ahead; the zero time means now.
	SendAt time.Time
	// RequireTarget refuses the message if its audience is empty.
	RequireTarget bool
	// IdempotencyKey makes the call repeatable for 24 hours, also by another
	// process. Default: a random one for each call of Send.
	IdempotencyKey string
}

// TTL is the pointer that [Message] wants.
func TTL(d time.Duration) *time.Duration { return &d }

// MarshalJSON writes the body of POST /v1/messages.
func (m Message) MarshalJSON() ([]byte, error) {
	w := struct {
		Audience      herald.Audience      `json:"audience"`
		Notification  *herald.Notification `json:"notification,omitempty"`
		Data          json.RawMessage      `json:"data,omitempty"`
		TTL           *int64               `json:"ttl,omitempty"`
		Priority      herald.Priority      `json:"priority,omitempty"`
		CollapseKey   string               `json:"collapse_key,omitempty"`
		OrderingKey   string               `json:"ordering_key,omitempty"`
		SendAt        time.Time            `json:"send_at,omitzero"`
		RequireTarget bool                 `json:"require_target,omitempty"`
	}{Audience: m.Audience, Notification: m.Notification, Data: m.Data, Priority: m.Priority, CollapseKey: m.CollapseKey,
		OrderingKey: m.OrderingKey, SendAt: m.SendAt, RequireTarget: m.RequireTarget}
	if m.TTL != nil {
		// A wait below a second is not "now or never": round up.
		seconds := int64((*m.TTL + time.Second - 1) / time.Second)
		w.TTL = &seconds
	}
	return json.Marshal(w)
}

// Sent is the answer to an accepted message.
type Sent struct {
	ID herald.MessageID `json:"id"`
	// Target is the number of devices in the audience; nil if scheduled.
	Target *int64 `json:"target"`
	// Estimate is, for a scheduled message, what the target would be now.
	Estimate *int64 `json:"estimate,omitempty"`
	// Unknown counts registration IDs and aliases that nobody has.
	Unknown int64 `json:"unknown"`
	// Stored says that the message is on stable storage; false only for TTL 0.
	Stored bool `json:"stored"`
}

// MessageView is a message as its sender sees it.
type MessageView struct {
	ID           herald.MessageID     `json:"id"`
	State        herald.MessageState  `json:"state"`
	Audience     herald.Audience      `json:"audience"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	TTL          int64                `json:"ttl"` // seconds
	Priority     herald.Priority      `json:"priority"`
	CollapseKey  string               `json:"collapse_key,omitempty"`
	OrderingKey  string               `json:"ordering_key,omitempty"`
	Stored       bool                 `json:"stored"`
	AcceptedAt   time.Time            `json:"accepted_at"`
	SendAt       *time.Time           `json:"send_at,omitempty"`
	ExpiresAt    time.Time            `json:"expires_at"`
	EndedAt      *time.Time           `json:"ended_at,omitempty"`
	Unknown      int64                `json:"unknown"`
	// Counts is nil in lists and while the message is scheduled.
	Counts *herald.Counts `json:"counts,omitempty"`
}

// MessagePage is one page of messages, newest first.
type MessagePage struct {
	Messages []MessageView `json:"messages"`
	// NextCursor gets the next page; "" on the last.
	NextCursor string `json:"next_cursor,omitempty"`
}

// MessageQuery selects messages. The zero value means the newest of any state.
type MessageQuery struct {
	State  herald.MessageState
	Cursor string
	Limit  int // 0 means the server's default
}

// Trace is what happened to one message on one device.
type Trace struct {
	MessageID      herald.MessageID      `json:"message_id"`
	RegistrationID herald.RegistrationID `json:"registration_id"`
	// State is "" if the device is not in the message's target.
	State   herald.DeliveryState `json:"state,omitempty"`
	Summary string               `json:"summary"`
	Steps   []TraceStep          `json:"steps"`
}

// TraceStep is one event in a trace.
type TraceStep struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
	Via   string    `json:"via,omitempty"`
	Text  string    `json:"text"`
}

// Estimate says how many devices an audience comes to.
type Estimate struct {
	Devices int64 `json:"devices"`
	Online  int64 `json:"online"` // of these, connected now
	Unknown int64 `json:"unknown"`
}

// Send sends a message. When it returns without error and Stored is true, the
// message survives a crash of the server.
func (c *Client) Send(ctx context.Context, m Message) (Sent, error) {
	key := m.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	var out Sent
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/messages", body: m, key: key, into: &out})
	return out, err
}

// Message shows a message with its counts.
func (c *Client) Message(ctx context.Context, id herald.MessageID) (MessageView, error) {
	var out MessageView
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/messages/" + id.String(), into: &out})
	return out, err
}

// Messages lists messages, newest first.
func (c *Client) Messages(ctx context.Context, q MessageQuery) (MessagePage, error) {
	v := page(q.Cursor, q.Limit)
	setUnlessEmpty(v, "state", string(q.State))
	var out MessagePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/messages", query: v, into: &out})
	return out, err
}

// Withdraw ends a message: nobody is sent it any more, and devices that have
// it are told to remove it.
func (c *Client) Withdraw(ctx context.Context, id herald.MessageID) (MessageView, error) {
	var out MessageView
	err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/messages/" + id.String(), into: &out})
	return out, err
}

// Trace tells what happened to a message on a device, step by step.
func (c *Client) Trace(ctx context.Context, id herald.MessageID, device herald.RegistrationID) (Trace, error) {
	var out Trace
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/messages/" + id.String() + "/devices/" + url.PathEscape(string(device)), into: &out})
	return out, err
}

// Estimate counts an audience without sending.
func (c *Client) Estimate(ctx context.Context, a herald.Audience) (Estimate, error) {
	body := struct {
		Audience herald.Audience `json:"audience"`
	}{a}
	var out Estimate
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/audience/estimate", body: body, into: &out})
	return out, err
}

func page(cursor string, limit int) url.Values {
	v := url.Values{}
	setUnlessEmpty(v, "cursor", cursor)
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	return v
}

func setUnlessEmpty(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}
