package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// CreateSchedule takes a schedule, to which it gives an ID. answer gives what a
// repetition with the same idempotency key is told; prior is that, if the call
// is one.
func (d *Dispatcher) CreateSchedule(ctx context.Context, s record.Schedule, i *record.Idempotency, answer func(record.Schedule) []byte) (_ record.Schedule, prior []byte, err error) {
	s.ID, s.Version = d.ids.Next(d.c.Now()), 1
	record.AuditOf(ctx).Note(func(e *record.Audit) { e.Object = s.ID.String() })
	if i != nil {
		i.Answer = answer(s)
	}
	prior, err = d.c.Store.CreateSchedule(ctx, s, d.c.ScheduleLimit, i)
	return s, prior, err
}

// ChangeSchedule changes a schedule. change may be called again, if somebody
// else has changed the schedule meanwhile; the run that it gives, if it gives
// one, is written with the change.
func (d *Dispatcher) ChangeSchedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID, change func(*record.Schedule) (skipped *record.ScheduleRun, err error)) (record.Schedule, error) {
	const attempts = 8
	for n := 1; ; n++ {
		s, err := d.c.Store.Schedule(ctx, app, id)
		if err != nil {
			return s, err
		}
		run, err := change(&s)
		if err != nil {
			return s, err
		}
		err = d.c.Store.ChangeSchedule(ctx, s, d.c.ScheduleLimit, run)
		if herald.CodeOf(err) != herald.CodeConflict || n == attempts {
			s.Version++
			return s, err
		}
	}
}

// DeleteSchedule deletes a schedule; its messages stay.
func (d *Dispatcher) DeleteSchedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID) error {
	return d.c.Store.DeleteSchedule(ctx, app, id)
}

// Schedules finds schedules and their runs.
func (d *Dispatcher) Schedules() ScheduleReader { return d.c.Store }

// RunSchedule makes a message of a schedule now, whatever its state, and moves
// nothing. The same idempotency key gives the same answer.
func (d *Dispatcher) RunSchedule(ctx context.Context, s record.Schedule, i *record.Idempotency, answer func(record.ScheduleRun) []byte) (run record.ScheduleRun, prior []byte, err error) {
	r, err := d.c.Make(ctx, &s, time.Time{})
	if err != nil {
		return run, nil, err
	}
	now := d.c.Now().UTC().Truncate(time.Millisecond)
	const attempts = 100 // within one millisecond
	for n := range attempts {
		run = record.ScheduleRun{Schedule: s.ID, Occurrence: now.Add(time.Duration(n) * time.Millisecond), Manual: true, At: now, State: record.RunSent}
		tie(&r, &record.Firing{App: s.App, Since: now, Run: &run})
		r.Idempotency = i
		r.Answer = func(herald.MessageID) []byte { return answer(run) }
		if _, prior, err = d.Accept(ctx, r); herald.CodeOf(err) != herald.CodeConflict {
			break
		}
	}
	return run, prior, err
}

// tie makes a message that of an occurrence.
func tie(r *Request, f *record.Firing) {
	facts := record.Facts{}
	if r.Facts != nil {
		facts = *r.Facts
	}
	facts.Schedule = &record.Origin{ID: f.Run.Schedule, Occurrence: f.Run.Occurrence}
	r.Facts, r.Firing = &facts, f
}

// fireJob deals with a schedule that is due.
func (d *Dispatcher) fireJob(ctx context.Context, job record.Job) error {
	s, err := d.c.Store.Schedule(ctx, job.App, job.Msg)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil // deleted with its job
	}
	if err != nil {
		return err
	}
	c, err := calendar.New(s.Trigger, s.Zone, s.Since)
	if err != nil {
		return err
	}
	now := d.c.Now().UTC().Truncate(time.Millisecond)
	f, err := d.choose(ctx, c, &s, job.Due, now)
	if err != nil {
		return err
	}
	f.App, f.Job, f.Since = job.App, job, now
	if err := d.fire(ctx, &s, &f); err != nil && herald.CodeOf(err) != herald.CodeConflict {
		return err
	}
	faults.Point("fired")
	return nil // done, or somebody else has the job, or has changed the schedule
}

// choose says which occurrence is dealt with, of those that are due since a
// time, and how. What is no later than the schedule's grace was not missed. One
// that has a run (it was skipped, or the clock went back) is passed over.
func (d *Dispatcher) choose(ctx context.Context, c *calendar.Calendar, s *record.Schedule, due, now time.Time) (record.Firing, error) {
	ran := func(at time.Time) (bool, error) {
		run, err := d.c.Store.ScheduleRun(ctx, s.App, s.ID, at)
		return run != nil, err
	}
	if yes, err := ran(due); err != nil || yes {
		return record.Firing{Next: c.Next(due)}, err
	}
	at, state := due, record.RunSent
	if soon := now.Add(-s.Grace); due.Before(soon) {
		at = c.Next(soon.Add(-1))
		if at.IsZero() || at.After(now) {
			at = c.Last(now, due)
			if s.Missed == record.MissedSkip {
				state = record.RunMissed
			}
		}
	}
	if at.IsZero() { // the trigger knows of no such occurrence
		at = due
	} else if yes, err := ran(at); err != nil || yes {
		return record.Firing{Next: c.Next(at)}, err
	}
	run := &record.ScheduleRun{Schedule: s.ID, Occurrence: at, At: now, State: state, Missed: c.Count(due, at)}
	return record.Firing{Next: c.Next(at), Run: run}, nil
}

// fire makes the message of an occurrence, or writes down why there is none, and
// moves the schedule on in the same commit.
func (d *Dispatcher) fire(ctx context.Context, s *record.Schedule, f *record.Firing) error {
	if f.Run == nil || f.Run.State == record.RunMissed {
		return d.c.Store.Fire(ctx, s.ID, *f)
	}
	r, err := d.c.Make(ctx, s, f.Run.Occurrence)
	if err == nil {
		tie(&r, f)
		faults.Point("firing")
		if _, _, err = d.Accept(ctx, r); herald.CodeOf(err) == herald.CodeConflict {
			return err // the job is not held any more
		}
	}
	var e *herald.Error
	if !errors.As(err, &e) || e.Code == herald.CodeStorageUnavailable || e.Code == herald.CodeInternal || e.Code == herald.CodeDraining {
		return err
	}
	d.c.Log.WarnContext(ctx, "dispatch: the message of a schedule was refused", "app", s.App, "schedule", s.ID, "error", e, "remedy", e.Remedy)
	run := *f.Run
	run.State, run.Message, run.Code, run.Reason, run.Remedy = record.RunRefused, 0, e.Code, e.Message, e.Remedy
	f.Run = &run
	return d.c.Store.Fire(ctx, s.ID, *f)
}
