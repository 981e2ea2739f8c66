package topiclog

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// maxFilterBytes is what a filter takes with $share/<group>/ before it.
const maxFilterBytes = 512

// Open opens a session. See live.TopicSessions.
func (l *Log) Open(ctx context.Context, s record.TopicSession) (record.TopicSessionState, bool, error) {
	op := &record.TopicOp{App: s.App, Client: s.Client, Open: &s}
	if err := l.wait(ctx, op); err != nil {
		return record.TopicSessionState{}, false, err
	}
	return *op.State, op.Present, nil
}

// Change changes a session. It never blocks.
func (l *Log) Change(key herald.AppKey, client string, c record.TopicSessionChange, then func(error)) {
	size := int64(itemSize)
	for i := range c.Subscribe {
		size += int64(64 + len(c.Subscribe[i].Filter))
		if n := len(c.Subscribe[i].Filter); n > maxFilterBytes && then != nil {
			then(herald.Invalid("filter", "Shorten it.", "%d bytes are more than %d", n, maxFilterBytes))
			return
		}
	}
	it := &item{op: &record.TopicOp{App: key, Client: client, Change: &c}, app: l.app(key), bytes: size, then: then}
	if !c.Lazy {
		if err := l.put(it); err != nil && then != nil {
			then(err)
		}
		return
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.keepLazy(it)
	}
	l.mu.Unlock()
	if closed && then != nil {
		then(unavailable(errClosed))
	}
}

// Read lists what waits for a session after a position. See live.TopicSessions.
func (l *Log) Read(ctx context.Context, key herald.AppKey, client string, after herald.Pos, limit int) ([]record.TopicEntry, herald.Pos, bool, error) {
	p, err := l.c.Store.TopicEntries(ctx, l.query(key, client, after, limit))
	if err != nil {
		return nil, 0, false, err
	}
	if p.Dropped > 0 {
		l.dropped.Add(p.Dropped)
		it := &item{op: &record.TopicOp{App: key, Client: client, Change: &record.TopicSessionChange{}, Count: p.Dropped, Counted: p.Counted}, app: l.app(key), bytes: itemSize}
		_ = l.put(it) // what is not counted is counted when it is read again
	}
	return p.Entries, p.Upto, p.More, nil
}

func (l *Log) query(key herald.AppKey, client string, after herald.Pos, limit int) record.TopicQuery {
	now := l.c.Now()
	return record.TopicQuery{App: key, Client: client, After: after, Limit: limit, Most: l.c.Waiting, Now: now, Oldest: now.Add(-l.c.TTL)}
}

// Away says that the connection of a session is gone.
func (l *Log) Away(ctx context.Context, key herald.AppKey, client string, at time.Time) error {
	return l.wait(ctx, &record.TopicOp{App: key, Client: client, Away: at})
}

// End ends a session.
func (l *Log) End(ctx context.Context, key herald.AppKey, client string) error {
	return l.wait(ctx, &record.TopicOp{App: key, Client: client, End: true})
}

// List lists sessions by client, for those who look after the server. Those that
// have ended and are not purged yet are left out, so that a page may be short;
// next is where it ended, "" at the end.
func (l *Log) List(ctx context.Context, f record.TopicSessionFilter) (list []record.TopicSessionState, next string, err error) {
	all, err := l.c.Store.TopicSessions(ctx, l.run, f)
	if err != nil {
		return nil, "", err
	}
	if len(all) == f.Limit && len(all) > 0 {
		next = all[len(all)-1].Client
	}
	now := l.c.Now()
	for _, s := range all {
		if s.Ends.IsZero() || s.Ends.After(now) {
			list = append(list, s)
		}
	}
	return list, next, nil
}

// Session gives one session with its subscriptions, and how many entries wait
// for it.
func (l *Log) Session(ctx context.Context, key herald.AppKey, client string) (*record.TopicSessionState, int, error) {
	s, err := l.c.Store.TopicSession(ctx, l.run, key, client)
	if err != nil {
		return nil, 0, err
	}
	n, err := l.c.Store.TopicWaiting(ctx, l.query(key, client, 0, 0))
	return s, n, err
}
