package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/internal/problem"
)

// Report is how a message fares: in all, by channel, by platform, over time.
type Report struct {
	MessageID  herald.MessageID    `json:"message_id"`
	State      herald.MessageState `json:"state"`
	AcceptedAt time.Time           `json:"accepted_at"`
	EndedAt    *time.Time          `json:"ended_at,omitempty"`
	// Funnel is nil while the message is scheduled.
	Funnel    *Funnel                        `json:"funnel,omitempty"`
	States    map[herald.DeliveryState]int64 `json:"states,omitempty"`
	Channels  []ChannelReport                `json:"channels"`
	Platforms []PlatformReport               `json:"platforms"`
	// Timeline is nil where no times are kept: for TTL 0, or before it is due.
	Timeline *Timeline `json:"timeline,omitempty"`
}

// Funnel says how many devices came at least so far.
type Funnel struct {
	Target    int64 `json:"target"`
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	Displayed int64 `json:"displayed"`
	Clicked   int64 `json:"clicked"`
	// Unknown counts the devices of which nobody knows whether they came so
	// far.
	Unknown struct {
		Received  int64 `json:"received"`
		Displayed int64 `json:"displayed"`
		Clicked   int64 `json:"clicked"`
	} `json:"unknown"`
	// Rates are parts of the target; nil where nothing is known.
	Rates struct {
		Sent      *float64 `json:"sent"`
		Received  *float64 `json:"received"`
		Displayed *float64 `json:"displayed"`
		Clicked   *float64 `json:"clicked"`
	} `json:"rates"`
}

// ChannelReport is the part of a report that went out one way; of the channel
// "none" are the devices that it was never sent to.
type ChannelReport struct {
	Channel    string           `json:"channel"`
	Devices    int64            `json:"devices"`
	Funnel     *Funnel          `json:"funnel,omitempty"`
	Transports map[string]int64 `json:"transports,omitempty"`
}

// PlatformReport is the part of a report on one platform.
type PlatformReport struct {
	Platform herald.Platform `json:"platform"` // or "unknown"
	Funnel
}

// Timeline is a report over time.
type Timeline struct {
	Bucket  string           `json:"bucket"` // minute, hour or day
	Buckets []TimelineBucket `json:"buckets"`
	Unknown Steps            `json:"unknown"` // at a time that is not recorded
}

// TimelineBucket counts the devices that came so far within a bucket.
type TimelineBucket struct {
	Time time.Time `json:"time"`
	Steps
}

// Steps counts devices by step.
type Steps struct {
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	Displayed int64 `json:"displayed"`
	Clicked   int64 `json:"clicked"`
}

// Delivery is a message on one device.
type Delivery struct {
	// RegistrationID is "" if the device was removed.
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty"`
	Alias          herald.Alias          `json:"alias,omitempty"`
	Platform       herald.Platform       `json:"platform"` // or "unknown"
	State          herald.DeliveryState  `json:"state"`
	Reason         string                `json:"reason"` // why, in words
	Via            string                `json:"via,omitempty"`
	// Times are nil if that has not happened, or its time is not recorded;
	// State says which.
	SentAt      *time.Time `json:"sent_at,omitempty"`
	ReceivedAt  *time.Time `json:"received_at,omitempty"`
	DisplayedAt *time.Time `json:"displayed_at,omitempty"`
	ClickedAt   *time.Time `json:"clicked_at,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
}

// DeliveryPage is one page of deliveries.
type DeliveryPage struct {
	Deliveries []Delivery `json:"deliveries"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

// DeliveryQuery selects deliveries; the zero value means all.
type DeliveryQuery struct {
	State    herald.DeliveryState
	Platform herald.Platform
	Cursor   string
	Limit    int // of a page; 0 means the server's default
}

// DeviceTimeline is one page of what happened to a device, newest first.
type DeviceTimeline struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	SeenAt         time.Time             `json:"seen_at"`
	KeptSince      time.Time             `json:"kept_since"` // what ended before is forgotten
	Items          []TimelineItem        `json:"items"`
	NextCursor     string                `json:"next_cursor,omitempty"`
}

// TimelineItem is one thing that happened to a device: a message for it, or
// its registration.
type TimelineItem struct {
	Time      time.Time            `json:"time"`
	Kind      string               `json:"kind"` // message or registered
	MessageID herald.MessageID     `json:"message_id,omitzero"`
	Title     string               `json:"title,omitempty"`
	State     herald.DeliveryState `json:"state,omitempty"`
	Text      string               `json:"text"`
	Steps     []TraceStep          `json:"steps,omitempty"`
}

// Format is how an export is written.
type Format string

// The formats of exports.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Report tells how a message fares. bucket is the step of its timeline:
// "minute", "hour", "day", or "" for one that suits.
func (c *Client) Report(ctx context.Context, id herald.MessageID, bucket string) (Report, error) {
	v := url.Values{}
	setUnlessEmpty(v, "bucket", bucket)
	var out Report
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/messages/" + id.String() + "/report", query: v, into: &out})
	return out, err
}

// Deliveries lists one page of the devices of a message.
func (c *Client) Deliveries(ctx context.Context, id herald.MessageID, q DeliveryQuery) (DeliveryPage, error) {
	v := q.values()
	for name, values := range page(q.Cursor, q.Limit) {
		v[name] = values
	}
	var out DeliveryPage
	err := c.do(ctx, call{method: http.MethodGet, path: deliveriesPath(id), query: v, into: &out})
	return out, err
}

// EachDelivery walks all devices of a message, in one request. A list that
// breaks off ends with an error.
func (c *Client) EachDelivery(ctx context.Context, id herald.MessageID, q DeliveryQuery) iter.Seq2[Delivery, error] {
	return each[Delivery](ctx, c, deliveriesPath(id), q.values())
}

// ExportDeliveries writes all devices of a message, as CSV or NDJSON. After an
// error what was written is not the whole.
func (c *Client) ExportDeliveries(ctx context.Context, id herald.MessageID, q DeliveryQuery, f Format, to io.Writer) error {
	return c.export(ctx, deliveriesPath(id), q.values(), f, to)
}

// EachMessage walks all messages, newest first, with their counts.
func (c *Client) EachMessage(ctx context.Context, q MessageQuery) iter.Seq2[MessageView, error] {
	v := url.Values{}
	setUnlessEmpty(v, "state", string(q.State))
	return each[MessageView](ctx, c, "/v1/messages", v)
}

// EachDevice walks all devices that a query selects.
func (c *Client) EachDevice(ctx context.Context, q DeviceQuery) iter.Seq2[Device, error] {
	q.Limit = 0
	return each[Device](ctx, c, "/v1/devices", q.values())
}

// DeviceTimeline shows what happened to a device, newest first.
func (c *Client) DeviceTimeline(ctx context.Context, id herald.RegistrationID, cursor string, limit int) (DeviceTimeline, error) {
	var out DeviceTimeline
	err := c.do(ctx, call{method: http.MethodGet, path: devicePath(id) + "/timeline", query: page(cursor, limit), into: &out})
	return out, err
}

func (q DeliveryQuery) values() url.Values {
	v := url.Values{}
	setUnlessEmpty(v, "state", string(q.State))
	setUnlessEmpty(v, "platform", string(q.Platform))
	setUnlessEmpty(v, "cursor", q.Cursor)
	return v
}

func deliveriesPath(id herald.MessageID) string { return "/v1/messages/" + id.String() + "/deliveries" }

// patient is the HTTP client without its time-out: an export, or the upload of a
// list, takes as long as it takes. Its context bounds it.
func (c *Client) patient() *http.Client {
	patient := *c.o.HTTPClient
	patient.Timeout = 0
	return &patient
}

// stream asks for an export. It is tried once: who reads it decides whether to
// begin again.
func (c *Client) stream(ctx context.Context, path string, q url.Values, f Format) (io.ReadCloser, error) {
	q.Set("format", string(f))
	address := c.base + path + "?" + q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("client: GET %s: %w", path, err)
	}
	req.Header.Set("Authorization", c.cred.header)
	req.Header.Set("User-Agent", c.o.UserAgent)
	resp, err := c.patient().Do(req)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err
		}
		return nil, fmt.Errorf("client: GET %s: %w: %w", address, ErrUnreachable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("client: GET %s: %w: %w", address, ErrUnreachable, err)
	}
	return nil, problem.Read(resp, text, time.Now())
}

func (c *Client) export(ctx context.Context, path string, q url.Values, f Format, to io.Writer) error {
	body, err := c.stream(ctx, path, q, f)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(to, body); err != nil {
		return fmt.Errorf("client: GET %s: the export broke off: %w", path, err)
	}
	return nil
}

// maxLineBytes bounds one object of an export.
const maxLineBytes = 1 << 20

// each walks the objects of an export.
func each[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		body, err := c.stream(ctx, path, q, NDJSON)
		if err != nil {
			yield(none, err)
			return
		}
		defer body.Close()
		lines := bufio.NewScanner(body)
		lines.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
		for lines.Scan() {
			var v T
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				// The last line of a stream that broke off is not whole.
				if broken := lines.Err(); broken != nil {
					err = broken
				}
				yield(none, fmt.Errorf("client: GET %s: the export broke off: %w", path, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(none, fmt.Errorf("client: GET %s: the export broke off: %w", path, err))
		}
	}
}
