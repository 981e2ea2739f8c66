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
	// Spread releases the message over a time, in steps; nil: to all at once.
	Spread *herald.Spread
	// SendAtLocal is when to send by the clock of each device: of it only what
	// a clock shows counts, not the time zone. The zero time means now.
	SendAtLocal time.Time
	// QuietHours is "respect" or "ignore"; "": what the app does by default.
	QuietHours string
	// RequireTarget refuses the message if its audience is empty.
	RequireTarget bool
	// Template makes the content, in the place of Notification.
	Template *TemplateUse
	// Category is what kind of message it is for the app; frequency caps and
	// reports go by it.
	Category string
	// Replaces is an older message that this one overrides: it ends as replaced
	// wherever it was not received, and devices that show it show this one in
	// its place. 0 for none.
	Replaces herald.MessageID
	// PlatformData is in the place of Data on the platforms that it names.
	PlatformData map[herald.Platform]json.RawMessage
	// Vendors is what vendors are told beside the content.
	Vendors herald.VendorOptions
	// Route is by which ways the message goes to people: a saved route by its
	// name, or steps. nil: the default of the app.
	Route *herald.RouteUse
	// Debug keeps what is said with vendors about the message.
	Debug bool
	// Digest has messages with the same key become one; nil: it goes by itself.
	Digest *herald.Digest
	// IdempotencyKey makes the call repeatable for 24 hours, also by another
	// process. Default: a random one for each call of Send.
	IdempotencyKey string
}

// TTL is the pointer that [Message] wants.
func TTL(d time.Duration) *time.Duration { return &d }

// MarshalJSON writes the body of POST /v1/messages.
func (m Message) MarshalJSON() ([]byte, error) {
	w := struct {
		Audience      herald.Audience                     `json:"audience"`
		Notification  *herald.Notification                `json:"notification,omitempty"`
		Data          json.RawMessage                     `json:"data,omitempty"`
		TTL           *int64                              `json:"ttl,omitempty"`
		Priority      herald.Priority                     `json:"priority,omitempty"`
		CollapseKey   string                              `json:"collapse_key,omitempty"`
		OrderingKey   string                              `json:"ordering_key,omitempty"`
		SendAt        time.Time                           `json:"send_at,omitzero"`
		RequireTarget bool                                `json:"require_target,omitempty"`
		Spread        *herald.Spread                      `json:"spread,omitempty"`
		SendAtLocal   string                              `json:"send_at_local,omitempty"`
		QuietHours    string                              `json:"quiet_hours,omitempty"`
		Template      *TemplateUse                        `json:"template,omitempty"`
		Category      string                              `json:"category,omitempty"`
		Replaces      herald.MessageID                    `json:"replaces,omitempty"`
		PlatformData  map[herald.Platform]json.RawMessage `json:"platform_data,omitempty"`
		Vendors       herald.VendorOptions                `json:"vendors,omitempty"`
		Route         *herald.RouteUse                    `json:"route,omitempty"`
		Debug         bool                                `json:"debug,omitempty"`
		Digest        *herald.Digest                      `json:"digest,omitempty"`
	}{Audience: m.Audience, Notification: m.Notification, Data: m.Data, Priority: m.Priority, CollapseKey: m.CollapseKey,
		OrderingKey: m.OrderingKey, SendAt: m.SendAt, RequireTarget: m.RequireTarget, Template: m.Template, Category: m.Category, Replaces: m.Replaces,
		Spread: m.Spread, QuietHours: m.QuietHours, PlatformData: m.PlatformData, Vendors: m.Vendors,
		Route: m.Route, Debug: m.Debug, Digest: m.Digest}
	if !m.SendAtLocal.IsZero() {
		w.SendAtLocal = m.SendAtLocal.Format(herald.LocalTime)
	}
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
	// Awaiting says that another key has to approve it before it is sent.
	Awaiting bool `json:"awaiting_approval,omitempty"`
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
	Category     string               `json:"category,omitempty"`
	Replaces     herald.MessageID     `json:"replaces,omitempty"` // 0 if it overrides none
	Approval     *Approval            `json:"approval,omitempty"` // nil unless a second key has to approve it, or had to
	Template     *TemplateSource      `json:"template,omitempty"` // nil if it was made from none
	Stored       bool                 `json:"stored"`
	AcceptedAt   time.Time            `json:"accepted_at"`
	SendAt       *time.Time           `json:"send_at,omitempty"`
	ExpiresAt    time.Time            `json:"expires_at"`
	EndedAt      *time.Time           `json:"ended_at,omitempty"`
	Unknown      int64                `json:"unknown"`
	// Spread, SendAtLocal and QuietHours are as they were sent.
	Spread      *herald.Spread `json:"spread,omitempty"`
	SendAtLocal string         `json:"send_at_local,omitempty"`
	QuietHours  string         `json:"quiet_hours,omitempty"`
	// Release is nil if the message is released to all at once.
	Release *Release `json:"release,omitempty"`
	Paused  bool     `json:"paused,omitempty"`
	// Counts is nil in lists and while the message is scheduled.
	Counts *herald.Counts `json:"counts,omitempty"`
	// PlatformData and Vendors are as they were sent.
	PlatformData map[herald.Platform]json.RawMessage `json:"platform_data,omitempty"`
	Vendors      herald.VendorOptions                `json:"vendors,omitempty"`
	// Route is nil where neither the message nor its app said anything: live for
	// who is connected, and else the vendor of the device at once.
	Route  *MessageRoute  `json:"route,omitempty"`
	Debug  bool           `json:"debug,omitempty"`
	Digest *herald.Digest `json:"digest,omitempty"`
	// Schedule is the schedule that made the message; nil if none did.
	Schedule *MessageSchedule `json:"schedule,omitempty"`
}

// MessageSchedule says which occurrence of a schedule a message was made for.
type MessageSchedule struct {
	ID         herald.ScheduleID `json:"id"`
	Occurrence time.Time         `json:"occurrence"`
}

// Release says how far the release of a message is that goes out over time.
type Release struct {
	Devices  int64      `json:"devices"`
	Released int64      `json:"released"` // the others are pending
	Steps    int64      `json:"steps"`    // releases that were made
	NextAt   *time.Time `json:"next_at,omitempty"`
	Stopped  bool       `json:"stopped,omitempty"`
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

// PauseMessage keeps a message that goes out over time from going to anybody
// more, until it is resumed.
func (c *Client) PauseMessage(ctx context.Context, id herald.MessageID) (MessageView, error) {
	return c.changeRelease(ctx, id, "pause")
}

// ResumeMessage lets a paused message go on where it was.
func (c *Client) ResumeMessage(ctx context.Context, id herald.MessageID) (MessageView, error) {
	return c.changeRelease(ctx, id, "resume")
}

// StopMessage ends a message for those whom it was not released to. The others
// keep it.
func (c *Client) StopMessage(ctx context.Context, id herald.MessageID) (MessageView, error) {
	return c.changeRelease(ctx, id, "stop")
}

func (c *Client) changeRelease(ctx context.Context, id herald.MessageID, verb string) (MessageView, error) {
	var out MessageView
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/messages/" + id.String() + ":" + verb, into: &out})
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
