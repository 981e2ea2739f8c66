package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/herald-push/herald"
)

// Published is the answer to a publication.
type Published struct {
	Topic herald.Topic `json:"topic"`
	// Devices is how many were subscribed, and so were handed it.
	Devices int64 `json:"devices"`
}

// TopicCount says how many are subscribed to a topic now.
type TopicCount struct {
	Topic    herald.Topic `json:"topic"`
	Devices  int64        `json:"devices"`
	Sessions int64        `json:"sessions"` // a device may have several
}

// TopicPage is one page of topics, in byte order.
type TopicPage struct {
	Topics     []TopicCount `json:"topics"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// Publish hands data, any JSON value of at most 16 KiB, to who is subscribed to
// a topic now. It is not stored and has no receipts; what must arrive is a
// message whose audience is the topic.
//
// A call whose answer is lost is not repeated: it may have been published.
func (c *Client) Publish(ctx context.Context, t herald.Topic, data json.RawMessage) (Published, error) {
	body := struct {
		Topic herald.Topic    `json:"topic"`
		Data  json.RawMessage `json:"data"`
	}{t, data}
	var out Published
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/publish", body: body, into: &out, single: true})
	return out, err
}

// Topics lists the topics that begin with prefix, which may be empty, and that
// somebody is subscribed to now.
func (c *Client) Topics(ctx context.Context, prefix, cursor string, limit int) (TopicPage, error) {
	v := page(cursor, limit)
	setUnlessEmpty(v, "prefix", prefix)
	return c.topics(ctx, v)
}

// TopicCounts counts the subscribers of some topics, at most 100, in their
// order; nobody is 0.
func (c *Client) TopicCounts(ctx context.Context, topics ...herald.Topic) ([]TopicCount, error) {
	if len(topics) == 0 {
		return nil, nil // the call without names would list all
	}
	v := url.Values{}
	for _, t := range topics {
		v.Add("topic", string(t))
	}
	out, err := c.topics(ctx, v)
	return out.Topics, err
}

func (c *Client) topics(ctx context.Context, v url.Values) (TopicPage, error) {
	var out TopicPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/topics", query: v, into: &out})
	return out, err
}
