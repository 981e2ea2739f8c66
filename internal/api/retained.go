package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
)

// RetainedStore keeps for each topic the last publication that asked for it.
type RetainedStore interface {
	// Keep keeps an entry in place of the one of its topic; one without content
	// takes that away. then is called once that is durable.
	Keep(app herald.AppKey, e *record.TopicEntry, then func(error))
	// Match calls f with the entries that a filter selects, until it says no.
	Match(ctx context.Context, app herald.AppKey, filter herald.TopicFilter, f func(*record.TopicEntry) bool) error
	// List gives the entries whose topics begin with prefix and come after one, in
	// byte order, at most limit.
	List(ctx context.Context, app herald.AppKey, prefix string, after herald.Topic, limit int) ([]*record.TopicEntry, error)
	// Forget drops what is in memory of an app, because the record was changed.
	Forget(app herald.AppKey)
}

// RetainedView is a retained publication.
type RetainedView struct {
	Topic       herald.Topic          `json:"topic"`
	From        herald.RegistrationID `json:"from,omitempty" doc:"The device that published it; absent if a back end did."`
	PublishedAt time.Time             `json:"published_at" doc:"When it was published."`
	ExpiresAt   time.Time             `json:"expires_at,omitzero" doc:"When it is not kept any more; absent if it stays."`
	QoS         int                   `json:"qos" doc:"With which it was published."`
	Data        json.RawMessage       `json:"data,omitempty" doc:"A JSON value; a payload that was published as other text is a string."`
	Base64      []byte                `json:"base64,omitempty" doc:"In place of data, if the payload is not text: its bytes in base64."`
	ContentType string                `json:"content_type,omitempty" doc:"What kind of content it is, as its publisher said."`
	Properties  map[string]string     `json:"properties,omitempty" doc:"User properties of a client over MQTT; of several with one name the last."`
}

// RetainedPage is one page of retained publications, in byte order of their
// topics.
type RetainedPage struct {
	Retained   []RetainedView `json:"retained" doc:"In byte order of their topics."`
	NextCursor string         `json:"next_cursor,omitempty"`
}

func retainedView(e *record.TopicEntry) RetainedView {
	v := RetainedView{Topic: e.Topic, From: e.From, PublishedAt: e.Time.UTC(), QoS: int(e.QoS), Data: e.Data}
	if !e.Expires.IsZero() {
		v.ExpiresAt = e.Expires.UTC()
	}
	if e.Payload != nil {
		v.Data, v.Base64 = live.PayloadJSON(e.Payload)
	}
	if e.Props != nil {
		v.ContentType = e.Props.ContentType
		for _, u := range e.Props.User {
			if v.Properties == nil {
				v.Properties = map[string]string{}
			}
			v.Properties[u.Name] = u.Value
		}
	}
	return v
}

// ListRetained shows what is kept of topics.
func (s *Topics) ListRetained(ctx context.Context, p Principal, prefix, cursor string, limit int) (RetainedPage, error) {
	if err := p.may(ScopeRead); err != nil {
		return RetainedPage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return RetainedPage{}, err
	}
	if len(prefix) > herald.MaxTopicBytes {
		return RetainedPage{}, herald.Invalid("prefix", "Shorten it.", "%d bytes are more than %d", len(prefix), herald.MaxTopicBytes)
	}
	list, err := s.c.Retained.List(ctx, p.App, prefix, herald.Topic(cursor), limit+1)
	if err != nil {
		return RetainedPage{}, err
	}
	page := RetainedPage{Retained: []RetainedView{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = string(list[limit-1].Topic)
	}
	for _, e := range list {
		page.Retained = append(page.Retained, retainedView(e))
	}
	return page, nil
}

// Retained shows what is kept of a topic.
func (s *Topics) Retained(ctx context.Context, p Principal, t herald.Topic) (RetainedView, error) {
	if err := p.may(ScopeRead); err != nil {
		return RetainedView{}, err
	}
	return s.retained(ctx, p.App, t)
}

func (s *Topics) retained(ctx context.Context, app herald.AppKey, t herald.Topic) (v RetainedView, err error) {
	if err := herald.ValidTopic("topic", string(t)); err != nil {
		return v, err
	}
	there := false
	err = s.c.Retained.Match(ctx, app, herald.TopicFilter(t), func(e *record.TopicEntry) bool {
		v, there = retainedView(e), true
		return false
	})
	if err == nil && !there {
		err = herald.Errorf(herald.CodeNotFound, "GET /v1/retained lists what is kept.", "nothing is kept of the topic %.260q", string(t))
	}
	return v, err
}

// DeleteRetained takes away what is kept of a topic; not_found if nothing is.
func (s *Topics) DeleteRetained(ctx context.Context, p Principal, t herald.Topic) error {
	if err := p.may(ScopeSend); err != nil {
		return err
	}
	if _, err := s.retained(ctx, p.App, t); err != nil {
		return err
	}
	done := make(chan error, 1)
	s.c.Retained.Keep(p.App, &record.TopicEntry{Topic: t}, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
