package mqtt_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// ledger is an honest topic log in memory: what is asked of it waits until commit
// makes it durable, in order. A crash forgets what waits.
type ledger struct {
	mu       sync.Mutex // guards what follows
	pos      herald.Pos
	entries  []record.TopicEntry
	sessions map[string]*record.TopicSessionState // of the only app, by client
	waits    []func() (then func())
	manual   bool // commits only when commit is called
	running  bool
	fail     error // of reads and commits
	reads    int
}

func newLedger() *ledger { return &ledger{sessions: map[string]*record.TopicSessionState{}} }

var (
	_ live.TopicLog      = (*ledger)(nil)
	_ live.TopicSessions = (*ledger)(nil)
)

// queue has something become durable; l.mu is held.
func (l *ledger) queue(f func() (then func())) {
	l.waits = append(l.waits, f)
	if !l.manual && !l.running {
		l.running = true
		go l.commit()
	}
}

// commit makes what waits durable, and what is asked meanwhile.
func (l *ledger) commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waits) > 0 {
		f := l.waits[0]
		l.waits = l.waits[1:]
		then := f()
		l.mu.Unlock()
		then()
		l.mu.Lock()
	}
	l.running = false
}

// step makes the next of what waits durable, and tells who waits for it, unless
// the server ends at that moment.
func (l *ledger) step(tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waits) == 0 {
		return
	}
	f := l.waits[0]
	l.waits = l.waits[1:]
	then := f()
	l.mu.Unlock()
	if tell {
		then()
	}
	l.mu.Lock()
}

// crash forgets what waits, and gives what is durable to another process.
func (l *ledger) crash() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := newLedger()
	out.pos, out.entries, out.manual = l.pos, slices.Clone(l.entries), l.manual
	for name, s := range l.sessions {
		c := *s
		c.Released, c.Done, c.In, c.Subs = slices.Clone(s.Released), slices.Clone(s.Done), slices.Clone(s.In), slices.Clone(s.Subs)
		out.sessions[name] = &c
	}
	l.waits = nil
	return out
}

func (l *ledger) Wanted(_ herald.AppKey, t herald.Topic) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted(t)
}

func (l *ledger) wanted(t herald.Topic) bool {
	for _, s := range l.sessions {
		for _, sub := range s.Subs {
			if _, f := herald.SplitShare(sub.Filter); sub.QoS > 0 && f.Selects(t) {
				return true
			}
		}
	}
	return false
}

func (l *ledger) Append(_ herald.AppKey, e *record.TopicEntry, then func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue(func() func() {
		if err := l.fail; err != nil {
			return func() { then(err) }
		}
		if s := l.sessions[e.Client]; s != nil && e.In != 0 {
			s.In = append(s.In, e.In)
		}
		if l.wanted(e.Topic) {
			l.pos++
			e.Pos = l.pos
			l.share(e)
			l.entries = append(l.entries, *e)
		}
		return func() { then(nil) }
	})
}

// share chooses a session of each shared group that has none.
func (l *ledger) share(e *record.TopicEntry) {
	for _, name := range slices.Sorted(maps.Keys(l.sessions)) {
		for _, sub := range l.sessions[name].Subs {
			group, f := herald.SplitShare(sub.Filter)
			taken := slices.ContainsFunc(e.Shares, func(s record.TopicShare) bool { return s.Group == group && s.Filter == string(f) })
			if group != "" && f.Selects(e.Topic) && !taken {
				e.Shares = append(e.Shares, record.TopicShare{Group: group, Filter: string(f), Client: name})
			}
		}
	}
}

func (l *ledger) Pending(herald.AppKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waits) > 0 || l.running
}

func (l *ledger) Shared(herald.AppKey, string, string) string { return "" }

func (l *ledger) Subscribers(context.Context, herald.AppKey, herald.Topic) (*sets.Set, error) {
	return sets.New(), nil
}

func (l *ledger) Open(_ context.Context, s record.TopicSession) (record.TopicSessionState, bool, error) {
	done := make(chan record.TopicSessionState, 1)
	present := false
	l.mu.Lock()
	l.waits = append(l.waits, func() func() {
		old := l.sessions[s.Client]
		if s.Clean {
			delete(l.sessions, s.Client)
			old = nil
		}
		present = old != nil
		if old == nil && s.Expiry == 0 {
			return func() { done <- record.TopicSessionState{TopicSession: s} }
		}
		if old == nil {
			old = &record.TopicSessionState{Read: l.pos, Unsent: l.pos + 1}
			l.sessions[s.Client] = old
		}
		old.TopicSession = s
		state := *old
		old.Unsent = 0
		old.Ends = time.Time{}
		return func() { done <- state }
	})
	l.mu.Unlock()
	l.commit()
	return <-done, present, nil
}

func (l *ledger) Change(_ herald.AppKey, client string, c record.TopicSessionChange, then func(error)) {
	if then == nil {
		then = func(error) {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue(func() func() {
		if err := l.fail; err != nil {
			return func() { then(err) }
		}
		if s := l.sessions[client]; s != nil {
			l.change(s, &c)
		}
		return func() { then(nil) }
	})
}

func (l *ledger) change(s *record.TopicSessionState, c *record.TopicSessionChange) {
	for _, f := range c.Unsubscribe {
		s.Subs = slices.DeleteFunc(s.Subs, func(t record.TopicSub) bool { return t.Filter == f })
	}
	for _, sub := range c.Subscribe {
		sub.Since = l.pos
		if i := slices.IndexFunc(s.Subs, func(t record.TopicSub) bool { return t.Filter == sub.Filter }); i >= 0 {
			sub.Since = s.Subs[i].Since
			s.Subs[i] = sub
			continue
		}
		s.Subs = append(s.Subs, sub)
	}
	s.In = append(s.In, c.In...)
	s.In = slices.DeleteFunc(s.In, func(id uint16) bool { return slices.Contains(c.InDone, id) })
	s.Released = append(s.Released, c.Released...)
	s.Released = slices.DeleteFunc(s.Released, func(p herald.Pos) bool { return slices.Contains(c.Done, p) })
	s.Done = append(s.Done, c.Done...)
	s.Read, s.Unsent = max(s.Read, c.Read), max(s.Unsent, c.Unsent)
}

func (l *ledger) Read(_ context.Context, _ herald.AppKey, client string, after herald.Pos, limit int) ([]record.TopicEntry, herald.Pos, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.fail != nil {
		return nil, 0, false, l.fail
	}
	s := l.sessions[client]
	if s == nil {
		return nil, l.pos, false, nil
	}
	var list []record.TopicEntry
	for _, e := range l.entries {
		gone := !e.Expires.IsZero() && !time.Now().Before(e.Expires)
		if e.Pos <= after || gone || slices.Contains(s.Done, e.Pos) || slices.Contains(s.Released, e.Pos) {
			continue
		}
		if e.Filters = l.filters(s, client, &e); len(e.Filters) == 0 {
			continue
		}
		if len(list) == limit {
			return list, list[len(list)-1].Pos, true, nil
		}
		list = append(list, e)
	}
	return list, l.pos, false, nil
}

// filters gives those of a session that ask for an entry.
func (l *ledger) filters(s *record.TopicSessionState, client string, e *record.TopicEntry) (out []string) {
	for _, sub := range s.Subs {
		group, f := herald.SplitShare(sub.Filter)
		if sub.QoS == 0 || e.Pos <= sub.Since || !f.Selects(e.Topic) {
			continue
		}
		mine := slices.Contains(e.Shares, record.TopicShare{Group: group, Filter: string(f), Client: client})
		if group == "" || mine {
			out = append(out, sub.Filter)
		}
	}
	return out
}

func (l *ledger) Away(_ context.Context, _ herald.AppKey, client string, at time.Time) error {
	l.mu.Lock()
	l.waits = append(l.waits, func() func() {
		if s := l.sessions[client]; s != nil {
			s.Ends = at.Add(time.Duration(s.Expiry) * time.Second)
		}
		return func() {}
	})
	l.mu.Unlock()
	l.commit()
	return nil
}

func (l *ledger) End(_ context.Context, _ herald.AppKey, client string) error {
	l.mu.Lock()
	l.waits = append(l.waits, func() func() { delete(l.sessions, client); return func() {} })
	l.mu.Unlock()
	l.commit()
	return nil
}

// state gives what is durable of a session.
func (l *ledger) state(client string) (s record.TopicSessionState, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.sessions[client]; p != nil {
		return *p, true
	}
	return s, false
}

// kept is a live.Retained in memory.
type kept struct {
	mu sync.Mutex
	of map[herald.Topic]*record.TopicEntry
}

func (k *kept) Keep(_ herald.AppKey, e *record.TopicEntry, then func(error)) {
	k.mu.Lock()
	if k.of == nil {
		k.of = map[herald.Topic]*record.TopicEntry{}
	}
	if k.of[e.Topic] = e; len(e.Payload) == 0 && len(e.Data) == 0 {
		delete(k.of, e.Topic)
	}
	k.mu.Unlock()
	then(nil)
}

func (k *kept) Match(_ context.Context, _ herald.AppKey, filter herald.TopicFilter, f func(*record.TopicEntry) bool) error {
	k.mu.Lock()
	var list []*record.TopicEntry
	for _, name := range slices.Sorted(maps.Keys(k.of)) {
		if filter.Selects(name) {
			list = append(list, k.of[name])
		}
	}
	k.mu.Unlock()
	for _, e := range list {
		if !f(e) {
			break
		}
	}
	return nil
}
