package receipt

import (
	"context"
	"errors"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// endedAtOnce is how many cells of a message End ends in one event.
const endedAtOnce = 16

// PendingIn walks the devices for which a message still waits (released, and
// neither received nor ended), part by part, each of one slab or of a message
// to few devices. What is damaged is left out, and said in the end. With among it asks only for devices of that set, and reads
// nothing of slabs where it has none.
func (l *Ledger) PendingIn(ctx context.Context, m *record.Message, among *sets.Set, each func(*sets.Set) error) error {
	if among != nil && among.Empty() {
		return nil
	}
	dead := l.deadAt(m.App, m.EvalPos)
	return l.walk(ctx, m, among, func(s states, target *sets.Set) *sets.Set {
		out := sets.Minus(target, over(s))
		out.AndNot(dead)
		return out
	}, each)
}

// SentIn walks the devices that a message was sent to, as PendingIn does.
func (l *Ledger) SentIn(ctx context.Context, m *record.Message, among *sets.Set, each func(*sets.Set) error) error {
	return l.walk(ctx, m, among, func(s states, _ *sets.Set) *sets.Set { return s.has(herald.StateSent).Clone() }, each)
}

// ShortOf walks, as PendingIn does, the devices for which a message has not
// ended and that have not come as far as a state: sent, received, displayed or
// clicked.
func (l *Ledger) ShortOf(ctx context.Context, m *record.Message, state herald.DeliveryState, among *sets.Set, each func(*sets.Set) error) error {
	if among != nil && among.Empty() {
		return nil
	}
	dead := l.deadAt(m.App, m.EvalPos)
	return l.walk(ctx, m, among, func(s states, target *sets.Set) *sets.Set {
		out := sets.Minus(target, s.has(state))
		if state == herald.StateSent {
			out.AndNot(s.has(herald.StateReceived)) // a receipt may come without it
		}
		for _, end := range herald.Ends {
			out.AndNot(s.has(end))
		}
		out.AndNot(dead)
		return out
	}, each)
}

// Target gives all devices of a message, in one set.
func (l *Ledger) Target(ctx context.Context, m *record.Message) (*sets.Set, error) {
	return gather(func(each func(*sets.Set) error) error {
		return l.walk(ctx, m, nil, func(_ states, target *sets.Set) *sets.Set { return target.Clone() }, each)
	})
}

// NotRejected gives the devices of a message that were not refused it, in one
// set.
func (l *Ledger) NotRejected(ctx context.Context, m *record.Message) (*sets.Set, error) {
	return gather(func(each func(*sets.Set) error) error {
		return l.walk(ctx, m, nil, func(s states, target *sets.Set) *sets.Set { return sets.Minus(target, s.has(herald.StateRejected)) }, each)
	})
}

// Pending gives all devices for which a message still waits, in one set.
func (l *Ledger) Pending(ctx context.Context, m *record.Message) (*sets.Set, error) {
	return gather(func(each func(*sets.Set) error) error { return l.PendingIn(ctx, m, nil, each) })
}

// Sent gives all devices that a message was sent to, in one set.
func (l *Ledger) Sent(ctx context.Context, m *record.Message) (*sets.Set, error) {
	return gather(func(each func(*sets.Set) error) error { return l.SentIn(ctx, m, nil, each) })
}

func gather(walk func(func(*sets.Set) error) error) (*sets.Set, error) {
	out := sets.New()
	err := walk(func(s *sets.Set) error { out.Or(s); return nil })
	return out, err
}

// walk asks a question of each cell of a message, and gives the answers that
// are not empty.
func (l *Ledger) walk(ctx context.Context, m *record.Message, among *sets.Set, ask func(s states, target *sets.Set) *sets.Set, each func(*sets.Set) error) error {
	b := l.book(m.App)
	answer := func(s states, target *sets.Set) error {
		b.mu.RLock()
		out := ask(s, target)
		b.mu.RUnlock()
		if among != nil {
			out.And(among)
		}
		if out.Empty() {
			return nil
		}
		return each(out)
	}
	if m.IsDirect() {
		return answer(directStates{b.direct, m}, sets.New(m.Direct...))
	}
	g, err := b.look(ctx, m)
	if err != nil {
		return err
	}
	if g.isVolatile() {
		b.mu.RLock()
		c := g.volatileCell()
		b.mu.RUnlock()
		return answer(c, c.target)
	}
	slabs, err := b.targetSlabs(ctx, g)
	if err != nil {
		return err
	}
	// A cell that is damaged must not keep the message from the others.
	var damaged error
	for _, slab := range slabs {
		if among != nil && !g.whole && !among.Reaches(slab) {
			continue
		}
		c, err := b.cellOf(ctx, g, slab)
		if errors.Is(err, record.ErrDamaged) {
			damaged = errors.Join(damaged, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := answer(c, c.target); err != nil {
			return err
		}
	}
	return damaged
}

// End ends the deliveries of a whole message, some slabs at a time. Those that
// were never sent get the state; those that were sent and not acknowledged
// become unconfirmed.
func (l *Ledger) End(ctx context.Context, app herald.AppKey, m *record.Message, state herald.DeliveryState) error {
	// A queued report decides what a device's delivery becomes.
	if err := l.Settled(ctx, app); err != nil {
		return err
	}
	waiting, parts := sets.New(), 0
	flush := func() error {
		e := record.Event{Msg: m.ID, State: state, Set: waiting, Time: l.now(), Via: "server"}
		waiting, parts = sets.New(), 0
		if e.Set.Empty() {
			return nil
		}
		return l.Apply(ctx, app, e)
	}
	err := l.PendingIn(ctx, m, nil, func(s *sets.Set) error {
		waiting.Or(s)
		if parts++; parts < endedAtOnce {
			return nil
		}
		return flush()
	})
	return errors.Join(err, flush())
}
