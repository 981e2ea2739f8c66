package receipt

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// maxVolatile is how many messages with TTL 0 an app can ask for afterwards, if
// their devices do not take too much memory; older ones are forgotten before
// herald.VolatileTTL.
const maxVolatile = 10_000

// Track takes a message that was released now, as the record gives it, into the
// states that are held in memory.
func (l *Ledger) Track(m *record.Message) {
	l.messages.Put(m)
	l.book(m.App).awaited.add(m.Direct)
	// One that has ended is in memory already, or its states are read from the
	// record when they are asked for: they are not empty.
	if m.IsDirect() || !m.Ended.IsZero() {
		return
	}
	g := l.newGroup(m)
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(g, m)
}

// Advance says that every release up to a position is tracked.
func (l *Ledger) Advance(app herald.AppKey, pos herald.Pos) {
	b := l.book(app)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = max(b.released, pos)
}

// Released is the position up to which releases are tracked, and what waits
// is complete.
func (l *Ledger) Released(app herald.AppKey) herald.Pos {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.released
}

// Volatile finds a message with TTL 0 of the last minutes.
func (l *Ledger) Volatile(app herald.AppKey, id herald.MessageID) (*record.Message, bool) {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	if g := b.volatile[id]; g != nil && l.now().Before(g.msg.Accepted.Add(herald.VolatileTTL)) {
		return g.msg, true
	}
	return nil, false
}

// Groups counts the group messages of an app that have not ended.
func (l *Ledger) Groups(app herald.AppKey) int {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.live
}

// Ended tells the ledger that a message has ended as a whole: it waits for
// nobody any more. m is the message as it is now.
func (l *Ledger) Ended(m *record.Message) {
	l.messages.Put(m)
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.byID[m.ID]; g != nil {
		g.msg = light(m)
		b.over(g)
	}
	m = slim(m)
	known := slices.ContainsFunc(b.notices, func(n *record.Message) bool { return n.ID == m.ID })
	if m.EndPos > 0 && !known {
		b.notices = append(b.notices, m)
	}
}

// Counts counts a message.
func (l *Ledger) Counts(ctx context.Context, m *record.Message) (herald.Counts, error) {
	b := l.book(m.App)
	if m.IsDirect() {
		b.mu.RLock()
		defer b.mu.RUnlock()
		if err := b.direct.intact(m); err != nil {
			return herald.Counts{}, err
		}
		return tallyOf(directStates{b.direct, m}).counts(m.Target), nil
	}
	g, err := b.look(ctx, m)
	if err != nil {
		return herald.Counts{}, err
	}
	t, err := b.tally(ctx, g)
	if err != nil {
		return herald.Counts{}, err
	}
	return t.counts(m.Target), nil
}

// State is where one device of a message's target stands; "" if the device is
// not in the target.
func (l *Ledger) State(ctx context.Context, m *record.Message, o herald.Ordinal) (herald.DeliveryState, error) {
	b := l.book(m.App)
	if m.IsDirect() {
		if _, ok := number(m, o); !ok {
			return "", nil
		}
		b.mu.RLock()
		defer b.mu.RUnlock()
		if err := b.direct.intact(m); err != nil {
			return "", err
		}
		return stateOf(directStates{b.direct, m}, o), nil
	}
	g, err := b.look(ctx, m)
	if err != nil {
		return "", err
	}
	dead := l.deadAt(m.App, m.EvalPos)
	b.mu.RLock()
	_, d := l.cache.here(cellKey{b, g.id, g.slabOf(o)})
	is, ok := d.of(o)
	b.mu.RUnlock()
	switch {
	case ok && (is&bitTarget == 0 || dead.Contains(o)):
		return "", nil
	case ok:
		return is.state(), nil
	}
	c, err := b.cellOf(ctx, g, g.slabOf(o))
	if err != nil {
		return "", err
	}
	if !c.target.Contains(o) || dead.Contains(o) {
		return "", nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return stateOf(c, o), nil
}

// History lists what happened to a message on one device, oldest first.
func (l *Ledger) History(ctx context.Context, m *record.Message, o herald.Ordinal) ([]record.Event, error) {
	at := place{m.ID, uint64(sets.SlabOf(o))}
	if m.IsDirect() {
		n, ok := number(m, o)
		if !ok {
			return nil, nil
		}
		at = place{0, n >> historyBits}
	}
	// The tail is taken first: what is folded meanwhile is in both, and is left
	// out of the segments.
	b := l.book(m.App)
	b.mu.RLock()
	tail := b.tail
	b.mu.RUnlock()
	segments, err := l.store.Segments(ctx, m.App, at.msg, at.index)
	if err != nil {
		return nil, err
	}
	var out []record.Event
	take := func(events []record.Event) {
		for _, e := range events {
			if e.Msg == m.ID && e.Set.Contains(o) {
				e.Set = nil
				out = append(out, e)
			}
		}
	}
	for _, s := range segments {
		if len(tail) > 0 && s.From >= tail[0].N {
			continue
		}
		events, err := record.ParseEvents(s.Batch)
		if err != nil {
			return nil, herald.Errorf(herald.CodeStorageUnavailable, "Check the disk; restore from a backup if this persists.", "the history of the message cannot be read")
		}
		take(events)
	}
	for _, batch := range tail {
		take(batch.Events)
	}
	slices.SortStableFunc(out, func(a, b record.Event) int { return a.Time.Compare(b.Time) })
	return out, nil
}
