package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// stepJobs makes the steps that are due, in one commit. What of a plan cannot be
// read is said, and tried again when the lease of its job has ended.
func (d *Dispatcher) stepJobs(ctx context.Context, jobs []record.Job) error {
	var list []*record.Step
	for _, job := range jobs {
		s, err := d.step(ctx, job)
		if err != nil {
			d.report("making a step of message "+job.Msg.String(), err)
			continue
		}
		if s != nil {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return d.c.Store.StepPlans(ctx, list)
}

// step decides which devices a message is released to now.
func (d *Dispatcher) step(ctx context.Context, job record.Job) (*record.Step, error) {
	m, err := d.c.Store.Message(ctx, job.App, job.Msg)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil, nil // purged with its message
	}
	if err != nil {
		return nil, err
	}
	old, err := d.c.Store.PlanOf(ctx, job.App, job.Msg)
	if err != nil {
		return nil, err
	}
	now := d.c.Now().UTC()
	s := &record.Step{Job: job, Msg: m, Plan: old.Clone()}
	p := s.Plan
	for i, left := 0, p.Share(); i < len(p.Parts) && left > 0; i++ {
		if p.Parts[i].Released >= p.Parts[i].Devices || p.ReadyAt(i, now).After(now) {
			continue
		}
		n, err := d.advance(ctx, s, i, left)
		if err != nil {
			return nil, err
		}
		left -= n
	}
	if len(s.Ranges) > 0 {
		p.Made++
		m.Later = d.later(m)
	}
	p.Next = nextStep(p, job.Due, now)
	return s, nil
}

// nextStep is when a plan goes on: in its pace, from when this step was due, so
// that small delays do not add up; after a long one from now, so that nothing is
// made up for in haste.
func nextStep(p *record.Plan, due, now time.Time) time.Time {
	at := now
	if p.Every > 0 {
		if at = due.Add(p.Every); at.Before(now) {
			at = now.Add(p.Every)
		}
	}
	return p.NextAt(at)
}

// advance adds the next devices of a part to a step, at most so many.
func (d *Dispatcher) advance(ctx context.Context, s *record.Step, part int, most int64) (n int64, err error) {
	x := &s.Plan.Parts[part]
	from := herald.Ordinal(x.From)
	r := record.PlanRange{Part: part, First: from}
	ended := true
	err = d.c.Store.PlanPart(ctx, s.Msg.App, s.Msg.ID, part, from, func(slab *sets.Set) bool {
		some := sets.Minus(slab, sets.Range(x.From))
		ords := some.Ordinals()
		if int64(len(ords)) > most-n {
			ords, ended = ords[:most-n], false
		}
		if len(ords) == 0 {
			return ended
		}
		if n == 0 {
			r.First = ords[0]
		}
		n += int64(len(ords))
		r.Last = ords[len(ords)-1]
		if s.Msg.IsDirect() {
			s.Ords = append(s.Ords, ords...)
		}
		return ended
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		s.Ranges = append(s.Ranges, r)
		x.From, x.Released = uint64(r.Last)+1, x.Released+n
	}
	if ended && x.Released < x.Devices {
		// It says so once: the part counts as done, and who is missing stays
		// pending until the message ends.
		d.c.Log.Error("dispatch: devices of a message that is released in steps are lost from the record", "app", s.Msg.App, "message", s.Msg.ID, "devices", x.Devices-x.Released)
		x.Released = x.Devices
	}
	return n, nil
}

// releasePlan takes a message that will be released in steps into the states.
func (d *Dispatcher) releasePlan(ctx context.Context, r record.Release) error {
	d.c.Ledger.Track(r.Msg)
	if err := d.keepToCaps(ctx, r.Msg); err != nil {
		return err
	}
	d.c.Ledger.Advance(r.Msg.App, r.Pos)
	if r.Msg.State != herald.MessageSending {
		d.c.Ledger.Ended(r.Msg)
		return nil
	}
	d.gone(r.Msg)
	if len(r.Ranges) > 0 { // it is whole: this is its only step as well
		d.c.Ledger.TrackStep(r.Msg, record.PlanStep{Pos: r.Pos, At: r.At, Ranges: r.Ranges})
		return errors.Join(d.rebound(ctx, r.Msg, r.Pos), d.replaceOlder(ctx, r.Msg, nil))
	}
	return nil
}

// releaseStep is release for some devices of a message.
func (d *Dispatcher) releaseStep(ctx context.Context, r record.Release) error {
	m := r.Msg
	d.c.Ledger.Track(m)
	d.c.Ledger.TrackStep(m, record.PlanStep{Pos: r.Pos, At: r.At, Ranges: r.Ranges})
	d.c.Ledger.Advance(m.App, r.Pos)
	if m.State != herald.MessageSending {
		d.c.Ledger.Ended(m)
		return nil
	}
	d.gone(m)
	if err := d.rebound(ctx, m, r.Pos); err != nil {
		return err
	}
	some, err := d.c.Ledger.StepSet(ctx, m, r.Ranges)
	if err != nil {
		return err
	}
	if err := d.replaceOlder(ctx, m, some); err != nil {
		return err
	}
	if m.Held() {
		return nil // it goes to connections when its route says so
	}
	return d.goesOut(ctx, m, r.Pos, some)
}

// releaseStop ends a message for those whom it was not released to.
func (d *Dispatcher) releaseStop(ctx context.Context, r record.Release) error {
	d.c.Ledger.Advance(r.Msg.App, r.Pos)
	if r.Msg.State != herald.MessageSending {
		return nil
	}
	return d.endUnreleased(ctx, r.Msg)
}

// settleStop is Settle for a message that was stopped on the way.
func (d *Dispatcher) settleStop(ctx context.Context, m *record.Message) error {
	p, err := d.c.Store.PlanOf(ctx, m.App, m.ID)
	if err != nil || !p.Stopped {
		return err
	}
	if f := d.follower(m.App); f != nil { // steps before it are no part of it
		if err := f.reach(ctx, p.StopPos); err != nil {
			return err
		}
	}
	return d.endUnreleased(ctx, m)
}

func (d *Dispatcher) endUnreleased(ctx context.Context, m *record.Message) error {
	e := record.Event{Msg: m.ID, State: herald.StateWithdrawn, Set: sets.New(), Via: "server", Detail: "stopped"}
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
	err := d.c.Ledger.UnreleasedIn(ctx, m, func(s *sets.Set) error {
		e.Set.Or(s)
		if parts++; parts == replacedAtOnce {
			return apply()
		}
		return nil
	})
	return errors.Join(err, apply())
}
