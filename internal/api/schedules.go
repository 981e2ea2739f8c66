package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

// Schedules manages what makes messages at times of its own.
type Schedules struct{ c Config }

// Create makes a schedule. With an idempotency key ("" for none) the same body
// gets the same answer for 24 hours.
func (s *Schedules) Create(ctx context.Context, p Principal, r ScheduleRequest, key string, body []byte) (ScheduleView, error) {
	if err := p.may(ScopeSend); err != nil {
		return ScheduleView{}, err
	}
	i := (&Messages{s.c}).idempotency(key, body)
	v, prior, err := s.create(ctx, p, &r, i)
	if err != nil && i != nil { // what was made once stays made, although the same call would be refused now
		if before, e := s.c.Dispatch.Answered(ctx, p.App, *i); e == nil && before != nil {
			prior, err = before, nil
		}
	}
	if err == nil && prior != nil {
		v = ScheduleView{}
		if err = json.Unmarshal(prior, &v); err != nil {
			err = fmt.Errorf("api: reading an idempotent answer: %w", err)
		}
	}
	return v, err
}

func (s *Schedules) create(ctx context.Context, p Principal, r *ScheduleRequest, i *record.Idempotency) (v ScheduleView, prior []byte, err error) {
	now := s.now()
	rec := record.Schedule{App: p.App, Origin: r.Origin, Name: r.Name, Trigger: r.Trigger, Zone: r.Zone, Missed: r.Missed, State: herald.ScheduleActive,
		Since: now, Created: now, Updated: now, Maker: actor(p), Changer: actor(p), Grace: herald.ScheduleGrace}
	if r.Paused {
		rec.State = herald.SchedulePaused
	}
	if err := setGrace(&rec, r.Grace); err != nil {
		return v, nil, err
	}
	if err := validSchedule(&rec); err != nil {
		return v, nil, err
	}
	if err := plan(&rec, now, true); err != nil {
		return v, nil, err
	}
	estimate, err := s.setMessage(ctx, &rec, &r.Message)
	if err != nil {
		return v, nil, err
	}
	view := func(rec record.Schedule) (ScheduleView, error) {
		v, err := scheduleView(&rec)
		v.Estimate = &estimate
		return v, err
	}
	rec, prior, err = s.c.Dispatch.CreateSchedule(ctx, rec, i, func(rec record.Schedule) []byte {
		v, _ := view(rec) // of what was read a moment ago
		b, _ := json.Marshal(v)
		return b
	})
	if err != nil || prior != nil {
		return v, prior, err
	}
	v, err = view(rec)
	return v, nil, err
}

// Update changes a schedule.
func (s *Schedules) Update(ctx context.Context, p Principal, id herald.ScheduleID, r ScheduleUpdate) (ScheduleView, error) {
	if err := p.may(ScopeSend); err != nil {
		return ScheduleView{}, err
	}
	var message *record.Schedule
	var estimate *int64
	if r.Message != nil {
		old, err := s.c.Dispatch.Schedules().Schedule(ctx, p.App, id)
		if err != nil {
			return ScheduleView{}, err
		}
		if r.Zone != nil {
			old.Zone = *r.Zone
		}
		n, err := s.setMessage(ctx, &old, r.Message)
		if err != nil {
			return ScheduleView{}, err
		}
		message, estimate = &old, &n
	}
	v, err := s.change(ctx, p, id, func(rec *record.Schedule, now time.Time) (*record.ScheduleRun, error) {
		if message != nil {
			rec.Message = message.Message
		}
		return nil, r.apply(rec, now)
	})
	v.Estimate = estimate
	return v, err
}

// apply makes a change of everything but the message.
func (r *ScheduleUpdate) apply(rec *record.Schedule, now time.Time) error {
	for _, x := range [...]struct{ to, from *string }{{&rec.Name, r.Name}, {&rec.Missed, r.Missed}, {&rec.Zone, r.Zone}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if r.Origin != nil {
		rec.Origin = r.Origin
	}
	if err := setGrace(rec, r.Grace); err != nil {
		return err
	}
	if err := validSchedule(rec); err != nil {
		return err
	}
	if r.Trigger != nil {
		rec.Trigger, rec.Since, rec.Ended = *r.Trigger, now, time.Time{}
		if rec.State == herald.ScheduleEnded {
			rec.State = herald.ScheduleActive
		}
	}
	if r.Paused != nil {
		if rec.State == herald.ScheduleEnded {
			return hasEnded()
		}
		before := rec.State
		rec.State = herald.ScheduleActive
		if *r.Paused {
			rec.State = herald.SchedulePaused
		}
		if before == rec.State && r.Trigger == nil && r.Zone == nil {
			return nil
		}
	} else if r.Trigger == nil && r.Zone == nil {
		return nil
	}
	if rec.State == herald.ScheduleEnded {
		return nil
	}
	return plan(rec, now, r.Trigger != nil || r.Zone != nil)
}

// Pause lets nothing occur until Resume. Pausing again changes nothing.
func (s *Schedules) Pause(ctx context.Context, p Principal, id herald.ScheduleID) (ScheduleView, error) {
	yes := true
	return s.Update(ctx, p, id, ScheduleUpdate{Paused: &yes})
}

// Resume lets a schedule go on with its next occurrence from now; it ends if
// there is none.
func (s *Schedules) Resume(ctx context.Context, p Principal, id herald.ScheduleID) (ScheduleView, error) {
	no := false
	return s.Update(ctx, p, id, ScheduleUpdate{Paused: &no})
}

// Skip leaves out the next occurrence.
func (s *Schedules) Skip(ctx context.Context, p Principal, id herald.ScheduleID) (ScheduleView, error) {
	if err := p.may(ScopeSend); err != nil {
		return ScheduleView{}, err
	}
	return s.change(ctx, p, id, func(rec *record.Schedule, now time.Time) (*record.ScheduleRun, error) {
		switch rec.State {
		case herald.ScheduleEnded:
			return nil, hasEnded()
		case herald.SchedulePaused:
			return nil, herald.Errorf(herald.CodeConflict, "Resume it first.", "a schedule that is paused has no next occurrence")
		}
		c, err := calendar.New(rec.Trigger, rec.Zone, rec.Since)
		if err != nil {
			return nil, err
		}
		run := &record.ScheduleRun{Schedule: rec.ID, Occurrence: rec.Next, At: now, State: record.RunSkipped}
		goOn(rec, c.Next(rec.Next), now)
		return run, nil
	})
}

// change changes a schedule and shows it.
func (s *Schedules) change(ctx context.Context, p Principal, id herald.ScheduleID, change func(*record.Schedule, time.Time) (*record.ScheduleRun, error)) (ScheduleView, error) {
	rec, err := s.c.Dispatch.ChangeSchedule(ctx, p.App, id, func(rec *record.Schedule) (*record.ScheduleRun, error) {
		now := s.now()
		rec.Updated, rec.Changer = now, actor(p)
		return change(rec, now)
	})
	if err != nil {
		return ScheduleView{}, err
	}
	return s.shown(ctx, &rec)
}

// Run makes a message of a schedule now, whatever its state, and leaves its
// occurrences as they are. The key is as for Send.
func (s *Schedules) Run(ctx context.Context, p Principal, id herald.ScheduleID, key string) (ScheduleRun, error) {
	if err := p.may(ScopeSend); err != nil {
		return ScheduleRun{}, err
	}
	rec, err := s.c.Dispatch.Schedules().Schedule(ctx, p.App, id)
	if err != nil {
		return ScheduleRun{}, err
	}
	i := (&Messages{s.c}).idempotency(key, []byte("run "+id.String()))
	run, prior, err := s.c.Dispatch.RunSchedule(ctx, rec, i, func(run record.ScheduleRun) []byte {
		b, _ := json.Marshal(runView(&run)) // of numbers and times
		return b
	})
	if err != nil {
		return ScheduleRun{}, err
	}
	if prior == nil {
		return runView(&run), nil
	}
	var before ScheduleRun
	if err := json.Unmarshal(prior, &before); err != nil {
		return before, fmt.Errorf("api: reading an idempotent answer: %w", err)
	}
	return before, nil
}

// Delete deletes a schedule. Its messages stay.
func (s *Schedules) Delete(ctx context.Context, p Principal, id herald.ScheduleID) error {
	if err := p.may(ScopeSend); err != nil {
		return err
	}
	return s.c.Dispatch.DeleteSchedule(ctx, p.App, id)
}

func (s *Schedules) now() time.Time { return s.c.Now().UTC().Truncate(time.Millisecond) }

func actor(p Principal) record.Actor {
	if p.Kind == Key {
		return record.Actor{Kind: record.AuditKey, ID: p.KeyID, Name: p.KeyName}
	}
	return record.Actor{Kind: record.AuditMaster}
}

func hasEnded() error {
	return herald.Errorf(herald.CodeConflict, "Give it another trigger, or make another schedule.", "the schedule has ended")
}
