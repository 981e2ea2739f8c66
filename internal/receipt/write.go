package receipt

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// maxRun is how many cells one batch may change: what is pinned together stays
// small, and a message to everybody ends slab by slab.
const maxRun = 1024

// lockedCells is how many cells are changed before who asks gets a turn.
const lockedCells = 64

// piece is an event of a direct message, or what an event means for one cell.
type piece struct {
	e     record.Event
	facts *facts // of a direct message
	group *group // else
	at    *entry // its cell, pinned
	n     int    // which of the events reported it is of
}

// run is what becomes one batch of the log.
type run struct {
	pieces []piece
	cells  int
}

// write makes events durable, then applies them. While the store is away it
// tries again every second, until the ledger is closed. The error is also of
// messages that could not be read; their events are left out.
func (b *book) write(events []record.Event) error {
	ctx := b.ledger.ctx
	var errs []error
	r := run{pieces: b.spare[:0]}
	if cap(r.pieces) == 0 {
		r.pieces = make([]piece, 0, len(events))
	}
	var gone *sets.Set // as of now; most batches need it once, or not at all
	var pinned []*entry
	defer func() { b.ledger.cache.unpin(pinned...) }()
	for n, e := range events {
		if n%eventsAtOnce == eventsAtOnce-1 {
			runtime.Gosched()
		}
		if n%maxRun == 0 {
			b.ledger.cache.unpin(pinned...)
			pinned = b.prefetch(ctx, events[n:min(n+maxRun, len(events))])
		}
		if b.applyVolatile(e) {
			continue
		}
		f, err := b.ledger.messages.about(ctx, b.app, e.Msg)
		if err == nil && f.steps && b.unsent(f, &e) {
			err = b.releasedOnly(ctx, &e)
		}
		if err == nil && !f.group {
			if e.State != record.ToldState || f.endPos != 0 { // else there is no notice to acknowledge
				b.mu.RLock()
				r.pieces = b.newsOf(f, e, r.pieces)
				b.mu.RUnlock()
			}
			continue
		}
		if err == nil {
			if gone == nil {
				gone = b.ledger.deadAt(b.app, math.MaxInt64)
			}
			err = b.news(ctx, &r, n, e, gone, &errs)
		}
		if err != nil && herald.CodeOf(err) != herald.CodeNotFound {
			b.ledger.log.Error("receipt: an event is dropped, at least in part, because its message could not be read", "app", b.app, "message", e.Msg, "error", err)
			errs = append(errs, err)
		}
	}
	errs = append(errs, b.commit(ctx, &r))
	return errors.Join(errs...)
}

// news adds to a run what of an event of a group message changes something. A
// run that is full is committed on the way.
func (b *book) news(ctx context.Context, r *run, n int, e record.Event, gone *sets.Set, errs *[]error) error {
	g, err := b.group(ctx, e.Msg)
	if err != nil {
		return err
	}
	if e.State == record.ToldState && b.message(g).EndPos == 0 {
		return nil
	}
	if g.planned {
		if err := b.releasedOnly(ctx, &e); err != nil {
			return err
		}
	}
	if sets.Common(e.Set, gone) > 0 {
		// A session may live a moment longer than its device.
		e.Set = sets.Minus(e.Set, b.ledger.deadAt(b.app, g.evalPos))
	}
	var damaged error
	for slab, part := range g.parts(e.Set) {
		at, err := b.pinFor(ctx, g, slab, part)
		if errors.Is(err, record.ErrDamaged) {
			damaged = errors.Join(damaged, err)
			continue // the other cells take it
		}
		if err != nil {
			return errors.Join(damaged, err)
		}
		p := piece{e: e, group: g, at: at, n: n}
		p.e.Set = part
		r.cells++
		b.mu.RLock()
		more := p.news()
		b.mu.RUnlock()
		for range len(more) - 1 {
			b.ledger.cache.pinAgain(at)
		}
		if len(more) == 0 {
			b.ledger.cache.unpin(at)
		}
		r.pieces = append(r.pieces, more...)
		if r.cells >= maxRun {
			*errs = append(*errs, b.commit(ctx, r))
		}
	}
	return damaged
}

// message gives the message of a group as it is now.
func (b *book) message(g *group) *record.Message {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return g.msg
}

// news leaves of an event in one cell what changes something: as the same
// state, or as unconfirmed. book.mu is held.
func (p piece) news() (out []piece) {
	if p.at.cell == nil {
		return p.newsOfFew()
	}
	c, e := p.at.cell, &p.e
	e.Set = sets.Intersect(e.Set, c.target)
	e.Set.AndNot(c.has(e.State))
	add := func(e record.Event) {
		if !e.Set.Empty() {
			p := p
			p.e = e
			out = append(out, p)
		}
	}
	if ends(e.State) {
		e.Set.AndNot(over(c))
		add(unconfirmed(c, e))
	} else if e.State != record.ToldState {
		e.Set.AndNot(closed(c, p.group.msg, *e))
	}
	add(*e)
	return out
}

// events gives the events of a run as they are logged: those of one message in
// several cells are one again.
func (r *run) events() []record.Event {
	type kind struct {
		n     int
		state herald.DeliveryState
	}
	at := map[kind]int{}
	own := map[kind]bool{}
	out := make([]record.Event, 0, len(r.pieces))
	for _, p := range r.pieces {
		if p.group == nil {
			out = append(out, p.e)
			continue
		}
		k := kind{p.n, p.e.State}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, p.e)
			continue
		}
		if !own[k] {
			own[k], out[i].Set = true, out[i].Set.Clone()
		}
		out[i].Set.Or(p.e.Set)
	}
	return out
}

// commit writes a run to the log, applies it, and empties it.
func (b *book) commit(ctx context.Context, r *run) error {
	if len(r.pieces) == 0 {
		r.cells = 0
		return nil
	}
	defer func() {
		var pinned []*entry
		for _, p := range r.pieces {
			if p.at != nil {
				pinned = append(pinned, p.at)
			}
		}
		b.ledger.cache.unpin(pinned...)
		clear(r.pieces)
		*r = run{pieces: r.pieces[:0]}
		if b.spare = nil; cap(r.pieces) <= maxSpare {
			b.spare = r.pieces
		}
	}()
	stored := r.events()
	var n uint64
	for {
		var err error
		if n, err = b.ledger.store.AppendReceipts(ctx, b.app, stored); err == nil {
			break
		}
		b.ledger.log.Error("receipt: events were not written; trying again", "app", b.app, "events", len(stored), "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(time.Second):
		}
	}
	faults.Point("receipts_logged")
	b.applyRun(r, record.Batch{N: n, Events: stored})
	if b.ledger.cache.crowded() {
		// What is not folded cannot leave memory: nobody goes on before it is.
		if err := b.fold(ctx, true); err != nil && ctx.Err() == nil {
			b.ledger.log.Error("receipt: receipts were not folded; trying again", "app", b.app, "error", err)
		}
	}
	return nil
}

// applyRun takes durable events into the states. Their history can be asked for
// first, so that no state is without one.
func (b *book) applyRun(r *run, batch record.Batch) {
	b.applying.Lock()
	defer b.applying.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, batch)
	b.unfolded += len(batch.Events)
	cells := 0
	for _, p := range r.pieces {
		if p.group == nil {
			b.applyDirect(p.facts, p.e)
			continue
		}
		if cells++; cells%lockedCells == 0 {
			b.mu.Unlock()
			b.mu.Lock()
		}
		b.applyTo(p.group, p.at, p.e)
	}
}

// replayBatch takes events of an earlier run's log into the states.
func (b *book) replayBatch(ctx context.Context, events []record.Event) error {
	pinned := b.prefetch(ctx, events)
	defer func() { b.ledger.cache.unpin(pinned...) }()
	for _, e := range events {
		if err := b.replay(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// replay takes one of them.
func (b *book) replay(ctx context.Context, e record.Event) error {
	f, err := b.ledger.messages.about(ctx, b.app, e.Msg)
	if err == nil && !f.group {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.applyDirect(f, e)
		return nil
	}
	var g *group
	if err == nil {
		g, err = b.group(ctx, e.Msg)
	}
	if err == nil {
		for slab, part := range g.parts(e.Set) {
			var at *entry
			if at, err = b.pinFor(ctx, g, slab, part); err != nil {
				break
			}
			e.Set = part
			b.mu.Lock()
			b.applyTo(g, at, e)
			b.mu.Unlock()
			b.ledger.cache.unpin(at)
		}
	}
	if unreadable(err) {
		return nil
	}
	return err
}

// unreadable reports whether a message is not there, because it was purged, or
// cannot be had any more, because it is damaged, which the store says to who
// asks for it. Nothing can be counted for it, and the log goes on without.
func unreadable(err error) bool {
	return herald.CodeOf(err) == herald.CodeNotFound || errors.Is(err, record.ErrDamaged)
}

// applyTo moves the devices of an event in one cell forward. Where each of them
// stands decides what the event means for it; b.mu is held. at is nil for a
// volatile message.
func (b *book) applyTo(g *group, at *entry, e record.Event) {
	c := g.cell
	if at != nil {
		if c = at.cell; c == nil {
			b.applyToFew(g, at, e)
			return
		}
	}
	changed := mask(0)
	set := e.Set.Clone()
	grow := func(state herald.DeliveryState, by *sets.Set) {
		by = sets.Minus(by, c.has(state))
		if by.Empty() {
			return
		}
		if !b.loading {
			b.ledger.observe(state, by.Len())
		}
		c.put(state, by)
		changed |= bit(state)
	}
	switch e.State {
	case record.ToldState:
		grow(e.State, set)
	case herald.StateSent, herald.StateReceived, herald.StateDisplayed, herald.StateClicked:
		set.AndNot(closed(c, g.msg, e))
		for _, p := range herald.Progress {
			grow(p, set)
			if p == e.State {
				break
			}
		}
	default:
		set.AndNot(over(c))
		u := unconfirmed(c, &record.Event{State: e.State, Set: set})
		grow(herald.StateUnconfirmed, u.Set)
		grow(e.State, set)
	}
	if changed == 0 || at == nil {
		return
	}
	b.ledger.tallied.forget(g, at.key.slab)
	if c.dirty == 0 {
		b.ledger.cache.pinAgain(at)
		b.dirty[at.key] = at
	}
	c.dirty |= changed
	b.ledger.cache.grown(at)
}

// closed gives the devices on which a step of the good way changes nothing,
// because the delivery has ended there. What was sent and not acknowledged in
// time may still be received.
func closed(s states, m *record.Message, e record.Event) *sets.Set {
	out := sets.New()
	for _, end := range herald.Ends {
		if end != herald.StateUnconfirmed {
			out.Or(s.has(end))
		} else if e.State == herald.StateSent || late(m, e) {
			out.Or(sets.Minus(s.has(end), s.has(herald.StateReceived)))
		}
	}
	return out
}

// late reports whether an event comes more than herald.LateReceipts after the
// end of its message.
func late(m *record.Message, e record.Event) bool {
	return !m.Ended.IsZero() && e.Time.Sub(m.Ended) > herald.LateReceipts
}

func ends(s herald.DeliveryState) bool { return bit(s)&bitsEnds != 0 }

// unconfirmed takes out of an end those devices that were sent the message and
// have not acknowledged it: nobody knows whether they have it.
func unconfirmed(s states, e *record.Event) record.Event {
	u := *e
	u.State, u.Detail, u.Set = herald.StateUnconfirmed, string(e.State), sets.New()
	switch e.State {
	case herald.StateExpired, herald.StateWithdrawn, herald.StateReplaced:
		if faults.Planted("ends_twice") {
			break
		}
		u.Set = sets.Intersect(e.Set, s.has(herald.StateSent))
		e.Set.AndNot(u.Set)
	}
	return u
}
