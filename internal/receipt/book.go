package receipt

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// maxQueue is how many events may wait for the store. Past it those that devices
// reported are dropped: a lost receipt costs a duplicate, never a message.
const maxQueue = 100_000

// book holds the delivery states of one app.
type book struct {
	ledger *Ledger
	app    herald.AppKey

	queueMu  sync.Mutex // guards what is on its way to the log
	queue    []record.Event
	waiters  []chan error
	flushing bool

	mu       sync.RWMutex // guards the states
	direct   numbers
	groups   []*group // in the order of their releases
	byID     map[herald.MessageID]*group
	notices  []*record.Message // withdrawn, in the order of their notices
	volatile map[herald.MessageID]*group
	recent   []herald.MessageID    // of volatile, oldest first
	tail     []record.Batch        // applied and not folded yet
	unfolded int                   // events in the tail
	dirty    map[chunkKey]struct{} // of group messages; stretches know themselves
	released herald.Pos            // releases up to here are tracked
	loading  bool                  // the log of an earlier run is being read
}

// group holds the states of one group message, or of one volatile message.
type group struct {
	msg    *record.Message
	states map[herald.DeliveryState]*sets.Set
	ended  time.Time // of the message; zero while it lives
}

func newGroup(m *record.Message) *group {
	return &group{msg: m, states: map[herald.DeliveryState]*sets.Set{}, ended: m.Ended}
}

func (g *group) set(s herald.DeliveryState) *sets.Set {
	if g.states[s] == nil {
		g.states[s] = sets.New()
	}
	return g.states[s]
}

type chunkKey struct {
	msg   herald.MessageID
	state herald.DeliveryState
	index uint64
}

func (b *book) enqueue(events []record.Event, done chan error) {
	b.queueMu.Lock()
	defer b.queueMu.Unlock()
	b.queue = append(b.queue, events...)
	if len(b.queue) > maxQueue {
		b.shed()
	}
	if done != nil {
		b.waiters = append(b.waiters, done)
	}
	if !b.flushing {
		b.flushing = true
		b.ledger.wg.Go(b.flush)
	}
}

// shed drops the reports of devices from a queue that the store does not take:
// their messages will be sent again. Ends, and what somebody waits for, stay.
// b.queueMu is held.
func (b *book) shed() {
	if len(b.waiters) > 0 && len(b.queue) < 4*maxQueue {
		return // somebody waits for them, which bounds how many there are
	}
	for _, w := range b.waiters {
		w <- herald.Errorf(herald.CodeStorageUnavailable, "Repeat the call.", "too many receipts wait for the store")
	}
	b.waiters = nil
	before := len(b.queue)
	b.queue = slices.DeleteFunc(b.queue, func(e record.Event) bool { return !ends(e.State) })
	b.ledger.log.Error("receipt: the store does not take events; reports of devices are dropped, and their messages will be sent again",
		"app", b.app, "dropped", before-len(b.queue))
}

// flush writes batches until the queue is empty. What is reported while one
// batch is being written makes the next, so that the batches grow with the
// load and an idle app has no goroutine.
func (b *book) flush() {
	for {
		b.queueMu.Lock()
		events, waiters := b.queue, b.waiters
		b.queue, b.waiters = nil, nil
		if len(events) == 0 && len(waiters) == 0 {
			b.flushing = false
			b.queueMu.Unlock()
			return
		}
		b.queueMu.Unlock()
		err := b.write(merge(events))
		for _, w := range waiters {
			w <- err
		}
	}
}

// write makes events durable, then applies them. While the store is away it
// tries again every second, until the ledger is closed.
func (b *book) write(events []record.Event) error {
	ctx := b.ledger.ctx
	stored, unread := b.news(ctx, events)
	if len(stored) == 0 {
		return unread
	}
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
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := []error{unread}
	for _, e := range stored {
		errs = append(errs, b.apply(ctx, e))
	}
	b.tail = append(b.tail, record.Batch{N: n, Events: stored})
	b.unfolded += len(stored)
	return errors.Join(errs...)
}

// news leaves out what would change nothing, and applies what concerns
// volatile messages, which are not written. The error is of messages that could
// not be read; their events are left out.
func (b *book) news(ctx context.Context, events []record.Event) (out []record.Event, unread error) {
	var dead *sets.Set // as of now; most batches need it once, or not at all
	for _, e := range events {
		if b.applyVolatile(e) {
			continue
		}
		f, err := b.ledger.messages.about(ctx, b.app, e.Msg)
		if err == nil && !f.group {
			if e.State != record.ToldState || f.endPos != 0 { // else there is no notice to acknowledge
				b.mu.RLock()
				out = b.newsOf(f, e, out)
				b.mu.RUnlock()
			}
			continue
		}
		var m *record.Message
		if err == nil {
			if m, err = b.ledger.messages.Message(ctx, b.app, e.Msg); err == nil {
				err = b.remember(ctx, m)
			}
		}
		if err != nil {
			if herald.CodeOf(err) != herald.CodeNotFound {
				b.ledger.log.Error("receipt: an event is dropped, because its message could not be read", "app", b.app, "message", e.Msg, "error", err)
				unread = errors.Join(unread, err)
			}
			continue
		}
		if e.State == record.ToldState && m.EndPos == 0 {
			continue
		}
		e.Set = sets.Intersect(e.Set, m.Group)
		if dead == nil {
			dead = b.ledger.deadAt(b.app, math.MaxInt64)
		}
		if sets.Common(e.Set, dead) > 0 {
			// A session may live a moment longer than its device.
			e.Set.AndNot(b.ledger.deadAt(b.app, m.EvalPos))
		}
		b.mu.RLock()
		if s := b.statesOf(m); s != nil {
			e.Set.AndNot(s.has(e.State))
			if ends(e.State) {
				e.Set.AndNot(over(s))
				out = appendSome(out, unconfirmed(s, &e))
			} else if e.State != record.ToldState {
				e.Set.AndNot(closed(s, m, e))
			}
		}
		b.mu.RUnlock()
		out = appendSome(out, e)
	}
	return out, unread
}

// applyVolatile takes an event of a message with TTL 0 into the states, and
// reports whether it is one.
func (b *book) applyVolatile(e record.Event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.volatile[e.Msg]
	if g == nil {
		return false
	}
	e.Set = sets.Intersect(e.Set, b.target(g.msg))
	b.applyTo(g, e)
	return true
}

func appendSome(list []record.Event, e record.Event) []record.Event {
	if e.Set.Empty() {
		return list
	}
	return append(list, e)
}

func ends(s herald.DeliveryState) bool { return slices.Contains(herald.Ends[:], s) }

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

// merge joins events of the same kind, so that ten thousand acknowledgements of
// one message become one event with a set. The first time stands for all.
func merge(events []record.Event) []record.Event {
	type kind struct {
		msg         herald.MessageID
		state       herald.DeliveryState
		via, detail string
	}
	at := make(map[kind]int, len(events))
	out := events[:0]
	var own []bool // whose set is this function's to change
	for _, e := range events {
		k := kind{e.Msg, e.State, e.Via, e.Detail}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			out, own = append(out, e), append(own, false)
			continue
		}
		if !own[i] {
			out[i].Set, own[i] = out[i].Set.Clone(), true
		}
		out[i].Set.Or(e.Set)
	}
	return out
}

// target is who a message is for. Devices that were dead when it was evaluated
// are in the image of a group message, and are left out here.
func (b *book) target(m *record.Message) *sets.Set {
	if m.IsDirect() {
		return sets.New(m.Direct...)
	}
	return sets.Minus(m.Group, b.ledger.deadAt(b.app, m.EvalPos))
}

// apply takes one durable event into the states. b.mu is held.
func (b *book) apply(ctx context.Context, e record.Event) error {
	f, err := b.ledger.messages.about(ctx, b.app, e.Msg)
	var m *record.Message
	if err == nil {
		if !f.group {
			b.applyDirect(f, e)
			return nil
		}
		m, err = b.ledger.messages.Message(ctx, b.app, e.Msg)
	}
	if unreadable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	g := b.byID[m.ID]
	if g == nil {
		if g, err = b.ledger.loadGroup(ctx, b.app, m); err != nil {
			return err
		}
		b.add(g)
	}
	b.applyTo(g, e)
	return nil
}

// unreadable reports whether a message is not there, because it was purged, or
// cannot be had any more, because it is damaged, which the store says to who
// asks for it. Nothing can be counted for it, and the log goes on without.
func unreadable(err error) bool {
	return herald.CodeOf(err) == herald.CodeNotFound || errors.Is(err, record.ErrDamaged)
}

// remember reads the states of an old group message that were forgotten, so
// that what is reported of it can be held against them.
func (b *book) remember(ctx context.Context, m *record.Message) error {
	b.mu.RLock()
	s := b.statesOf(m)
	b.mu.RUnlock()
	if s != nil {
		return nil
	}
	g, err := b.ledger.loadGroup(ctx, b.app, m)
	if err == nil {
		b.mu.Lock()
		b.add(g)
		b.mu.Unlock()
	}
	return err
}

func (b *book) add(g *group) {
	if b.byID[g.msg.ID] != nil {
		return
	}
	b.byID[g.msg.ID] = g
	i, _ := slices.BinarySearchFunc(b.groups, g.msg.Pos, func(g *group, p herald.Pos) int { return int(int64(g.msg.Pos) - int64(p)) })
	b.groups = slices.Insert(b.groups, i, g)
}

// applyTo moves the devices of an event forward. Where each of them stands
// decides what the event means for it; b.mu is held.
func (b *book) applyTo(g *group, e record.Event) {
	m, set := g.msg, e.Set.Clone()
	grow := func(state herald.DeliveryState, by *sets.Set) {
		by = sets.Minus(by, g.has(state))
		if by.Empty() {
			return
		}
		g.set(state).Or(by)
		if !b.loading {
			b.ledger.observe(state, by.Len())
		}
		if _, volatile := b.volatile[m.ID]; !volatile {
			b.markDirty(m, state, by)
		}
	}
	switch e.State {
	case record.ToldState:
		grow(e.State, set)
	case herald.StateSent, herald.StateReceived, herald.StateDisplayed, herald.StateClicked:
		set.AndNot(closed(g, m, e))
		for _, p := range herald.Progress {
			grow(p, set)
			if p == e.State {
				break
			}
		}
	default:
		set.AndNot(over(g))
		u := unconfirmed(g, &record.Event{State: e.State, Set: set})
		grow(herald.StateUnconfirmed, u.Set)
		grow(e.State, set)
	}
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

func (b *book) markDirty(m *record.Message, state herald.DeliveryState, by *sets.Set) {
	for slab := range by.Slabs() {
		b.dirty[chunkKey{m.ID, state, uint64(slab)}] = struct{}{}
	}
}
