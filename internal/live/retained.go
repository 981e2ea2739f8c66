package live

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Retained keeps for each topic the last publication that asked for it, for who
// subscribes later.
type Retained interface {
	// Keep keeps an entry in place of the one that its topic had. With neither
	// Data nor a Payload of at least one byte, the topic has none from then on. It
	// never blocks, and does not change the entry. then is called once that is
	// durable, in the order of the calls of one goroutine; or with why it is not:
	// a *herald.Error. It must not block.
	Keep(app herald.AppKey, e *record.TopicEntry, then func(error))
	// Match calls f with the entries whose topics a filter selects and that have
	// not expired, in byte order of the topics, until it reports false. The
	// entries are not f's to change.
	Match(ctx context.Context, app herald.AppKey, filter herald.TopicFilter, f func(*record.TopicEntry) bool) error
}

// Retained calls f with what is kept of the topics that a filter selects, until
// it reports false. It may read the record.
func (h *Hub) Retained(ctx context.Context, key herald.AppKey, filter herald.TopicFilter, f func(Publication) bool) error {
	if h.opts.Retained == nil {
		return nil
	}
	return h.opts.Retained.Match(ctx, key, filter, func(e *record.TopicEntry) bool {
		p := PublicationOf(e)
		p.Retained, p.Pos = true, 0
		return f(p)
	})
}

// sendRetained sends the session what is kept of topics and filters that it has
// subscribed to: each once. What its queue has no room for is dropped.
func (s *Session) sendRetained(names []herald.Topic) {
	a, _, open := s.joinedApp()
	h := s.codec.hub
	if !open || h.opts.Retained == nil {
		return
	}
	s.Do(func(ctx context.Context) {
		for i, name := range names {
			err := h.Retained(ctx, a.key, herald.TopicFilter(name), func(p Publication) bool {
				if slices.ContainsFunc(names[:i], func(before herald.Topic) bool { return herald.TopicFilter(before).Selects(p.Topic) }) {
					return true
				}
				err := s.conn.Send(s.codec.Publication(p))
				if errors.Is(err, ErrFull) {
					h.dropped.Add(1)
				}
				return !errors.Is(err, ErrClosed)
			})
			if err != nil {
				h.opts.Log.WarnContext(ctx, "what is retained cannot be read", "error", err)
				s.Refuse(herald.Errorf(herald.CodeStorageUnavailable, "Subscribe again later.", "what is kept of topics cannot be read now"), "")
				return
			}
		}
	})
}
