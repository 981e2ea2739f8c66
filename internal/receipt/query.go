package receipt

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// maxVolatile is how many messages with TTL 0 an app can ask for afterwards;
// older ones are forgotten before herald.VolatileTTL.
const maxVolatile = 10_000

// Track takes a message that was released now into the states that are held
// in memory.
func (l *Ledger) Track(m *record.Message) {
	l.messages.Put(m)
	// One that has ended is in memory already, or its states are read from the
	// record when they are asked for: they are not empty.
	if m.IsDirect() || !m.Ended.IsZero() {
		return
	}
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(newGroup(m))
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

// TrackVolatile takes a message with TTL 0. Its states are held for
// herald.VolatileTTL in memory and are never written.
func (l *Ledger) TrackVolatile(m *record.Message) {
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.volatile[m.ID] = newGroup(m)
	b.recent = append(b.recent, m.ID)
	oldest := l.now().Add(-herald.VolatileTTL)
	for len(b.recent) > maxVolatile || len(b.recent) > 1 && b.recent[0].Time().Before(oldest) {
		delete(b.volatile, b.recent[0])
		b.recent = b.recent[1:]
	}
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
func (l *Ledger) Groups(app herald.AppKey) (n int) {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, g := range b.groups {
		if g.ended.IsZero() {
			n++
		}
	}
	return n
}

// Ended tells the ledger that a message has ended as a whole: it waits for
// nobody any more. m is the message as it is now.
func (l *Ledger) Ended(m *record.Message) {
	l.messages.Put(m)
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.byID[m.ID]; g != nil {
		g.msg, g.ended = m, m.Ended
	}
	known := slices.ContainsFunc(b.notices, func(n *record.Message) bool { return n.ID == m.ID })
	if m.EndPos > 0 && !known {
		b.notices = append(b.notices, m)
	}
}

// view gives the states of a message to f, reading those of an old group
// message from the record.
func (l *Ledger) view(ctx context.Context, m *record.Message, f func(states)) error {
	b := l.book(m.App)
	b.mu.RLock()
	s := b.statesOf(m)
	if s != nil {
		f(s)
	}
	b.mu.RUnlock()
	if s != nil {
		return nil
	}
	g, err := l.loadGroup(ctx, m.App, m)
	if err == nil {
		f(g)
	}
	return err
}

// Counts counts a message.
func (l *Ledger) Counts(ctx context.Context, m *record.Message) (c herald.Counts, err error) {
	err = l.view(ctx, m, func(s states) { c = count(s, m.Target) })
	return c, err
}

// State is where one device of a message's target stands; "" if the device is
// not in the target.
func (l *Ledger) State(ctx context.Context, m *record.Message, o herald.Ordinal) (state herald.DeliveryState, err error) {
	if !l.book(m.App).target(m).Contains(o) {
		return "", nil
	}
	err = l.view(ctx, m, func(s states) { state = stateOf(s, o) })
	return state, err
}

// Sent gives the devices that a message was sent to.
func (l *Ledger) Sent(ctx context.Context, m *record.Message) (out *sets.Set, err error) {
	err = l.view(ctx, m, func(s states) { out = s.has(herald.StateSent).Clone() })
	return out, err
}

// Pending gives the devices for which a message still waits: released, and
// neither received nor ended.
func (l *Ledger) Pending(ctx context.Context, m *record.Message) (out *sets.Set, err error) {
	out = l.book(m.App).target(m)
	err = l.view(ctx, m, func(s states) { out.AndNot(over(s)) })
	return out, err
}

// WaitingEntries leaves of a device's entries those that are neither received
// nor ended.
func (l *Ledger) WaitingEntries(app herald.AppKey, entries []record.Entry) []record.Entry {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.DeleteFunc(entries, func(e record.Entry) bool { return b.direct.mask(e.N).done() })
}

// WaitingGroups lists, in log order, the group messages released after a
// position that wait for a device.
func (l *Ledger) WaitingGroups(app herald.AppKey, o herald.Ordinal, after herald.Pos) (out []*record.Message) {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, g := range b.groups {
		if g.msg.Pos > after && g.ended.IsZero() && g.msg.Group.Contains(o) && waits(g, o) {
			out = append(out, g.msg)
		}
	}
	return out
}

func waits(s states, o herald.Ordinal) bool {
	if s.has(herald.StateReceived).Contains(o) {
		return false
	}
	for _, end := range herald.Ends {
		if s.has(end).Contains(o) {
			return false
		}
	}
	return true
}

// Notices lists, in log order, the withdrawn messages whose notice has a
// position after the given one and concerns a device: it was sent the message
// and has not acknowledged the notice.
func (l *Ledger) Notices(app herald.AppKey, o herald.Ordinal, after herald.Pos) (out []*record.Message) {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	oldest := l.now().Add(-herald.LateReceipts)
	for _, m := range b.notices {
		if m.EndPos <= after || m.Ended.Before(oldest) {
			continue
		}
		if m.IsDirect() {
			n, ok := number(m, o)
			if ok && b.direct.mask(n)&(bitSent|bitTold) == bitSent {
				out = append(out, m)
			}
		} else if g := b.byID[m.ID]; g != nil && g.states[herald.StateSent].Contains(o) && !g.states[record.ToldState].Contains(o) {
			out = append(out, m)
		}
	}
	return out
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
