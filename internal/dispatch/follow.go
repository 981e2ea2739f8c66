package dispatch

import (
	"context"
	"errors"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// release does what one entry of the log asks. The order matters to sessions
// that are connecting: first the states know the release, then the backlog
// shows it, then it goes out live.
func (d *Dispatcher) release(ctx context.Context, r record.Release) error {
	switch r.Kind {
	case record.ReleaseWithdraw:
		return d.releaseNotice(ctx, r)
	case record.ReleasePlan:
		return d.releasePlan(ctx, r)
	case record.ReleaseStep:
		return d.releaseStep(ctx, r)
	case record.ReleaseStop:
		return d.releaseStop(ctx, r)
	case record.ReleaseLive:
		return d.releaseLive(ctx, r)
	}
	m := r.Msg
	d.c.Ledger.Track(m)
	if err := d.keepToCaps(ctx, m); err != nil {
		return err
	}
	d.c.Ledger.Advance(m.App, r.Pos)
	if m.State != herald.MessageSending {
		d.c.Ledger.Ended(m)
		return nil // it ended before it came to its turn; a notice follows
	}
	d.gone(m)
	if err := errors.Join(d.rebound(ctx, m, r.Pos), d.replaceOlder(ctx, m, nil)); err != nil {
		return err
	}
	return d.goesOut(ctx, m, r.Pos, nil)
}

// goesOut hands a message to those who are here, and whom it waits for, unless it
// has expired; with some to no others than those, a set of the callee's own.
func (d *Dispatcher) goesOut(ctx context.Context, m *record.Message, pos herald.Pos, some *sets.Set) error {
	if !d.c.Now().Before(m.Expires()) {
		return nil // the clock will end it
	}
	switch here := d.here(m.App); {
	case some == nil:
		some = here
	case here != nil:
		some.And(here)
	}
	return d.c.Ledger.PendingIn(ctx, m, some, func(to *sets.Set) error {
		return d.deliver(ctx, record.ReleaseMessage, m, pos, to)
	})
}

// gone ends a message for devices that were removed between the evaluation of
// its audience and now.
func (d *Dispatcher) gone(m *record.Message) {
	app, err := d.c.Registry.App(m.App)
	if err != nil {
		return
	}
	removed := app.RemovedSince(m.EvalPos)
	if len(removed) > 0 {
		dead := sets.New()
		for _, r := range removed {
			dead.Add(r.Ord)
		}
		d.c.Ledger.Report(m.App, record.Event{Msg: m.ID, State: herald.StateDeviceGone, Set: dead, Time: d.c.Now(), Via: "server"})
	}
}

// rebound ends a message by alias for devices whose alias changed between the
// evaluation of its audience and now. A change that is noted after this ends
// the message itself, which is among the released ones by then: see
// offline.Backlog.Rebound. That ends one to many devices also where it is to be
// released later. Of one to few the record is asked, if it was evaluated so long
// ago that not all changes since are in memory; what was released before the start
// has been looked at by that.
func (d *Dispatcher) rebound(ctx context.Context, m *record.Message, pos herald.Pos) error {
	if !m.ByAlias {
		return nil
	}
	app, err := d.c.Registry.App(m.App)
	if err != nil {
		return nil //nolint:nilerr // the app is gone, and its devices with it
	}
	lost, known := app.BoundSince(m.EvalPos, m.Direct)
	if !known && m.IsDirect() && pos > app.Loaded() {
		after, err := d.c.Registry.BoundAfter(ctx, m.App, m.EvalPos)
		if err != nil {
			return err
		}
		lost = sets.Intersect(after, sets.New(m.Direct...))
	}
	if !lost.Empty() {
		d.c.Ledger.Report(m.App, record.Event{Msg: m.ID, State: herald.StateRebound, Set: lost, Time: d.c.Now(), Via: "server"})
	}
	return nil
}

func (d *Dispatcher) releaseNotice(ctx context.Context, r record.Release) error {
	d.c.Ledger.Ended(r.Msg)
	d.c.Ledger.Advance(r.Msg.App, r.Pos)
	for _, o := range d.c.Outlets {
		if rc, ok := o.(Recaller); ok {
			rc.Recall(r.Msg.App, r.Msg.ID)
		}
	}
	if d.c.Routes.Recall != nil {
		d.c.Routes.Recall.Recall(r.Msg.App, r.Msg.ID)
	}
	faults.Point("recalled")
	// What was reported until now is counted before the end is: copies that
	// went out become unconfirmed, and their devices get the notice.
	if err := d.c.Ledger.End(ctx, r.Msg.App, r.Msg, herald.StateWithdrawn); err != nil {
		return err
	}
	return d.c.Ledger.SentIn(ctx, r.Msg, d.here(r.Msg.App), func(to *sets.Set) error {
		return d.deliver(ctx, record.ReleaseWithdraw, r.Msg, r.Pos, to)
	})
}

// replaceOlder is collapse for a message that is released. What goes wrong is said
// and holds up nothing, unless the database cannot be reached.
func (d *Dispatcher) replaceOlder(ctx context.Context, m *record.Message, some *sets.Set) error {
	if m.CollapseKey == "" {
		return nil
	}
	err := d.collapse(ctx, m, some)
	if err == nil || d.c.Store.Lost(err) {
		return err
	}
	d.c.Log.ErrorContext(ctx, "dispatch: older messages with the same collapse key were not replaced", "app", m.App, "message", m.ID, "error", err)
	return nil
}

// collapse replaces older messages with the same collapse key, on the devices
// that the new one is for; of these only on some, unless they are nil. One that
// the new one overrides ends as a whole, also before it is released.
func (d *Dispatcher) collapse(ctx context.Context, m *record.Message, some *sets.Set) error {
	ids, err := d.c.Store.ByCollapseKey(ctx, m.App, m.CollapseKey)
	if err != nil {
		return err
	}
	overrides := overridden(m)
	for _, id := range ids {
		if id == overrides || id == m.ID {
			continue
		}
		old, err := d.c.Ledger.Catalog().Message(ctx, m.App, id)
		if err != nil {
			return err
		}
		if old.Pos == 0 || old.Pos > m.Pos {
			continue
		}
		left, err := d.replace(ctx, old, m, some)
		if err != nil {
			return err
		}
		if !left {
			if err := d.end(ctx, old, herald.MessageReplaced); err != nil {
				return err
			}
		}
	}
	if overrides == 0 {
		return nil
	}
	return d.override(ctx, overrides, m)
}

// overridden is the message that a message overrides; 0 if there is none.
func overridden(m *record.Message) herald.MessageID {
	if m.Facts == nil {
		return 0
	}
	return m.Facts.Replaces
}

// override ends an older message wherever it was not received, for the devices
// that the new one is for and for others. One that has ended stays as it is.
func (d *Dispatcher) override(ctx context.Context, id herald.MessageID, m *record.Message) error {
	old, err := d.c.Store.Message(ctx, m.App, id)
	switch {
	case herald.CodeOf(err) == herald.CodeNotFound:
		return nil // it had TTL 0, or was purged
	case err != nil:
		return err
	case !old.Ended.IsZero():
		return nil
	}
	if old.Pos > 0 {
		if _, err := d.replace(ctx, old, m, nil); err != nil {
			return err
		}
	}
	return d.end(ctx, old, herald.MessageReplaced)
}

// replacedAtOnce is how many parts of an older message are replaced in one
// event.
const replacedAtOnce = 16

// replace ends an older message on the devices that the new one is for, part
// by part, and reports whether it waits for others.
func (d *Dispatcher) replace(ctx context.Context, old, m *record.Message, some *sets.Set) (left bool, err error) {
	e := record.Event{Msg: old.ID, State: herald.StateReplaced, Set: sets.New(), Via: "server", Detail: m.ID.String()}
	parts := 0
	apply := func() error {
		now := e
		e.Set, parts = sets.New(), 0
		if now.Set.Empty() {
			return nil
		}
		now.Time = d.c.Now()
		return d.c.Ledger.Apply(ctx, m.App, now)
	}
	err = d.c.Ledger.PendingIn(ctx, old, nil, func(waiting *sets.Set) error {
		n := int64(0)
		among := waiting
		if some != nil {
			among = sets.Intersect(waiting, some)
		}
		err := d.c.Ledger.PendingIn(ctx, m, among, func(both *sets.Set) error {
			n += both.Len()
			e.Set.Or(both)
			return nil
		})
		left = left || n < waiting.Len()
		if parts++; err == nil && parts == replacedAtOnce {
			err = apply()
		}
		return err
	})
	if err := errors.Join(err, apply()); err != nil {
		return false, err
	}
	return left, nil
}

// end moves a message to an end state, in the record and then in its
// deliveries. A message that has ended otherwise meanwhile is left alone.
func (d *Dispatcher) end(ctx context.Context, m *record.Message, state herald.MessageState) error {
	now := d.c.Now().UTC()
	_, err := d.c.Store.EndMessage(ctx, m.App, m.ID, state, now)
	if code := herald.CodeOf(err); code == herald.CodeConflict || code == herald.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	faults.Point("ended")
	ended := *m // what is shared must not change
	ended.State, ended.Ended = state, now
	d.c.Ledger.Ended(&ended)
	if m.Pos == 0 {
		return nil
	}
	return d.c.Ledger.End(ctx, m.App, &ended, endOf[state])
}
