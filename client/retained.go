package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// Publication is what is to be published to a topic: one of Data, Text and
// Bytes.
type Publication struct {
	Topic herald.Topic
	Data  json.RawMessage // any JSON value of at most 16 KiB
	Text  *string         // a payload that is text, of at most 32 KiB
	Bytes []byte          // a payload of any bytes, if not nil
	// ContentType says what kind of content it is, for those who receive it.
	ContentType string
	// Retain keeps it for who subscribes later, in place of what was kept of the
	// topic. With an empty Text or no Bytes nothing is kept there any more.
	Retain bool
	// QoS 1 stores it also for sessions over MQTT that persist and subscribe with
	// a QoS above 0.
	QoS int
	// ExpiresIn, in whole seconds, is after which time it is neither delivered nor
	// kept any more; 0: never.
	ExpiresIn time.Duration
}

// publishBody is a Publication as the API takes it.
type publishBody struct {
	Topic       herald.Topic    `json:"topic"`
	Data        json.RawMessage `json:"data,omitempty"`
	Text        *string         `json:"text,omitempty"`
	Base64      *string         `json:"base64,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Retain      bool            `json:"retain,omitempty"`
	QoS         int             `json:"qos,omitempty"`
	ExpiresIn   int64           `json:"expires_in,omitempty"`
}

// Retained is a publication that is kept for who subscribes to its topic later.
type Retained struct {
	Topic       herald.Topic          `json:"topic"`
	From        herald.RegistrationID `json:"from,omitempty"` // the device that published it; "" for a back end
	PublishedAt time.Time             `json:"published_at"`
	ExpiresAt   time.Time             `json:"expires_at,omitzero"` // zero: it stays
	QoS         int                   `json:"qos"`
	Data        json.RawMessage       `json:"data,omitempty"`   // a payload of other text is a JSON string
	Bytes       []byte                `json:"base64,omitempty"` // in place of Data: a payload that is not text
	ContentType string                `json:"content_type,omitempty"`
	Properties  map[string]string     `json:"properties,omitempty"`
}

// RetainedPage is one page of retained publications, in byte order of their
// topics.
type RetainedPage struct {
	Retained   []Retained `json:"retained"`
	NextCursor string     `json:"next_cursor,omitempty"` // "" on the last
}

// PublishWith publishes as Publish does, and says how. When it answers, what was
// to be kept or stored is.
func (c *Client) PublishWith(ctx context.Context, p Publication) (Published, error) {
	body := publishBody{
		Topic: p.Topic, Data: p.Data, Text: p.Text, ContentType: p.ContentType, Retain: p.Retain, QoS: p.QoS,
		ExpiresIn: int64(p.ExpiresIn / time.Second),
	}
	if p.Bytes != nil {
		s := base64.StdEncoding.EncodeToString(p.Bytes)
		body.Base64 = &s
	}
	var out Published
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/publish", body: body, into: &out, single: true})
	return out, err
}

// ListRetained lists retained publications of topics that begin with prefix,
// which may be empty.
func (c *Client) ListRetained(ctx context.Context, prefix, cursor string, limit int) (RetainedPage, error) {
	v := page(cursor, limit)
	setUnlessEmpty(v, "prefix", prefix)
	var out RetainedPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/retained", query: v, into: &out})
	return out, err
}

// Retained shows what is kept of a topic.
func (c *Client) Retained(ctx context.Context, t herald.Topic) (Retained, error) {
	var out Retained
	err := c.do(ctx, call{method: http.MethodGet, path: retainedPath(t), into: &out})
	return out, err
}

// DeleteRetained takes away what is kept of a topic.
func (c *Client) DeleteRetained(ctx context.Context, t herald.Topic) error {
	return c.do(ctx, call{method: http.MethodDelete, path: retainedPath(t)})
}

func retainedPath(t herald.Topic) string { return "/v1/retained/" + url.PathEscape(string(t)) }
