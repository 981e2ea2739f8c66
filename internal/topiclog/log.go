package topiclog

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Wanted tells whether a session that persists subscribes to a topic with a QoS
// above 0. Until the filters of the app were read, which the first entry brings
// about, it answers true.
func (l *Log) Wanted(key herald.AppKey, t herald.Topic) bool {
	a := l.app(key)
	if !a.known.Load() {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.filters.wants(t) || a.filters.sharedWants(t)
}

// Append stores an entry if it is wanted. See live.TopicLog.
func (l *Log) Append(key herald.AppKey, e *record.TopicEntry, then func(error)) {
	if e.Pos = 0; e.Time.IsZero() {
		e.Time = l.c.Now()
	}
	it := &item{op: &record.TopicOp{App: key, Entry: e}, app: l.app(key), bytes: itemSize + int64(len(e.Topic)+len(e.Payload)+len(e.Data)), then: then}
	if err := l.putEntry(it); err != nil {
		l.refused.Add(1)
		if then != nil {
			then(err)
		}
	}
}

// Pending tells whether entries of an app are still to be told of.
func (l *Log) Pending(key herald.AppKey) bool {
	a, ok := l.apps.Load(key)
	return ok && a.(*app).pending.Load() > 0
}

// Shared chooses a session of a shared group, away if any is.
func (l *Log) Shared(key herald.AppKey, group, filter string) string {
	a := l.app(key)
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.filters.group("$share/" + group + "/" + filter); g != nil {
		return g.pick()
	}
	return ""
}

// Subscribers gives the devices that subscribe to a topic by a session that
// persists.
func (l *Log) Subscribers(ctx context.Context, key herald.AppKey, t herald.Topic) (*sets.Set, error) {
	a := l.app(key)
	if err := l.ready(ctx, a); err != nil {
		return nil, err
	}
	a.mu.RLock()
	filters := a.filters.matching(t)
	a.mu.RUnlock()
	if len(filters) == 0 {
		return sets.New(), nil
	}
	return l.c.Store.TopicSubscribers(ctx, key, filters)
}

// ready waits until the filters of an app are known.
func (l *Log) ready(ctx context.Context, a *app) error {
	if a.known.Load() {
		return nil
	}
	// An entry that nobody wants brings about that they are read.
	done := make(chan error, 1)
	l.Append(a.key, &record.TopicEntry{}, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// OnTopics is for the store to call when sessions ended with their device.
func (l *Log) OnTopics(key herald.AppKey, moves []record.TopicMove) {
	if a, ok := l.apps.Load(key); ok {
		a.(*app).removed(moves)
	}
}
