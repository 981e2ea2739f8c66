package retained

import (
	"context"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// page is how many entries are read from the record at once.
const page = 500

// Match calls f with the entries whose topics a filter selects and that have not
// expired, in byte order of the topics, until it reports false. The entries are
// not f's to change.
func (k *Keeper) Match(ctx context.Context, app herald.AppKey, filter herald.TopicFilter, f func(*record.TopicEntry) bool) error {
	now := k.c.Now()
	one := func(e *record.TopicEntry) bool {
		return !filter.Selects(e.Topic) || expired(e, now) || f(e)
	}
	list, have, err := k.all(ctx, app)
	if err != nil {
		return err
	}
	for _, r := range rangesOf(string(filter)) {
		var more bool
		if have {
			more = r.walk(list, one)
		} else {
			more, err = k.read(ctx, app, r, one)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// List gives the entries of an app whose topics begin with a prefix and come
// after one, in byte order, at most limit.
func (k *Keeper) List(ctx context.Context, app herald.AppKey, prefix string, after herald.Topic, limit int) (out []*record.TopicEntry, err error) {
	now := k.c.Now()
	r := span{from: prefix, prefix: prefix, after: after}
	if limit <= 0 {
		return nil, nil
	}
	_, err = k.read(ctx, app, r, func(e *record.TopicEntry) bool {
		if !expired(e, now) {
			out = append(out, e)
		}
		return len(out) < limit
	})
	return out, err
}

// Forget drops what is in memory of an app, because the record was changed.
func (k *Keeper) Forget(app herald.AppKey) { k.cache.forget(app) }

// span is a range of topics: from one on, and behind another, while they begin
// with the prefix.
type span struct {
	from, prefix string
	after        herald.Topic
	single       bool // it ends with from
}

func (r span) ends(t herald.Topic) bool {
	return !strings.HasPrefix(string(t), r.prefix) || r.single && string(t) != r.from
}

// rangesOf gives where the topics are that a filter may select.
func rangesOf(filter string) []span {
	i := strings.IndexAny(filter, "+#")
	if i < 0 {
		return []span{{from: filter, prefix: filter, single: true}}
	}
	prefix := filter[:i]
	if filter[i] == '#' && i > 0 { // "chat/#" selects "chat" too
		parent := prefix[:i-1]
		return []span{{from: parent, prefix: parent, single: true}, {from: prefix, prefix: prefix}}
	}
	return []span{{from: prefix, prefix: prefix}}
}

// walk calls f with the entries of a range, until it reports false.
func (r span) walk(list []*record.TopicEntry, f func(*record.TopicEntry) bool) bool {
	i, _ := find(list, herald.Topic(r.from))
	for _, e := range list[i:] {
		if r.ends(e.Topic) {
			return true
		}
		if !f(e) {
			return false
		}
	}
	return true
}

// read is walk in the record.
func (k *Keeper) read(ctx context.Context, app herald.AppKey, r span, f func(*record.TopicEntry) bool) (more bool, err error) {
	limit := page
	if r.single {
		limit = 1
	}
	for after := r.after; ; {
		list, err := k.c.Store.Retained(ctx, app, herald.Topic(r.from), after, limit)
		if err != nil {
			return false, err
		}
		for i := range list {
			if r.ends(list[i].Topic) {
				return true, nil
			}
			if !f(&list[i]) {
				return false, nil
			}
		}
		if len(list) < limit || r.single {
			return true, nil
		}
		after = list[len(list)-1].Topic
	}
}

// all gives the entries of an app from memory, and reads them into it if they
// are not there and not too many.
func (k *Keeper) all(ctx context.Context, app herald.AppKey) ([]*record.TopicEntry, bool, error) {
	for range 3 {
		list, have, big := k.cache.get(app)
		if have || big {
			return list, have, nil
		}
		changes := k.cache.begin(app)
		var bytes int64
		_, err := k.read(ctx, app, span{}, func(e *record.TopicEntry) bool {
			list = append(list, e)
			bytes += size(e)
			return bytes <= k.c.AppMemory
		})
		if err != nil {
			return nil, false, err
		}
		if k.cache.put(app, list, bytes, bytes > k.c.AppMemory, changes) && bytes <= k.c.AppMemory {
			return list, true, nil
		}
	}
	return nil, false, nil
}
