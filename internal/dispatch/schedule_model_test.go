package dispatch

import (
	"context"
	"flag"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

// TestScheduleModel draws what happens to a schedule that occurs each minute:
// time passes, it is paused, resumed, skipped, run by hand, and nodes die with
// the job in their hands and come back too late. In the end each minute in which
// it was active has one run, or is counted as missed by one, and each run that
// says so has one message.
func TestScheduleModel(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "12", "rapid.steps": "20", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		defer b.close()
		missed := rapid.SampledFrom([]string{record.MissedOnce, record.MissedSkip}).Draw(rt, "missed")
		s := b.schedule(func(s *record.Schedule) { s.Missed, s.Grace = missed, 90*time.Second })
		active, since, hands := map[time.Time]bool{}, b.clock(), 0
		paused := false
		var late []record.Job
		settle := func() { // nobody holds the job after that
			b.pass(leaseFor)
			for next := b.found(s.ID).Next; !next.IsZero() && !next.After(b.clock()); next = b.found(s.ID).Next {
				b.due()
			}
			if paused {
				since = b.clock()
			}
			for at := since.Truncate(time.Minute).Add(time.Minute); !at.After(b.clock()); at = at.Add(time.Minute) {
				active[at] = true
			}
			since = b.clock()
		}
		change := func(f func(s *record.Schedule) *record.ScheduleRun) {
			settle()
			_, err := b.d.ChangeSchedule(context.Background(), b.app, s.ID, func(s *record.Schedule) (*record.ScheduleRun, error) { return f(s), nil })
			b.must(err)
		}
		c, err := calendar.New(s.Trigger, s.Zone, s.Since)
		b.must(err)
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) {
				b.pass(time.Duration(rapid.IntRange(1, 400).Draw(rt, "seconds")) * time.Second)
				b.due()
			},
			"pause": func(*rapid.T) {
				change(func(s *record.Schedule) *record.ScheduleRun {
					s.State, s.Next = herald.SchedulePaused, time.Time{}
					return nil
				})
				paused = true
			},
			"resume": func(*rapid.T) {
				change(func(s *record.Schedule) *record.ScheduleRun {
					if s.State == herald.SchedulePaused {
						s.State, s.Next = herald.ScheduleActive, c.Next(b.clock())
					}
					return nil
				})
				paused = false
			},
			"skip": func(*rapid.T) {
				change(func(s *record.Schedule) *record.ScheduleRun {
					if s.State == herald.SchedulePaused {
						return nil
					}
					run := &record.ScheduleRun{Schedule: s.ID, Occurrence: s.Next, At: b.clock(), State: record.RunSkipped}
					s.Next = c.Next(s.Next)
					return run
				})
			},
			"run": func(*rapid.T) {
				_, _, err := b.d.RunSchedule(context.Background(), s, nil, nil)
				b.must(err)
				hands++
			},
			"die": func(*rapid.T) {
				jobs, err := b.db.LeaseJobs(context.Background(), b.clock(), leaseFor, 10)
				b.must(err)
				late = append(late, jobs...)
				made := b.made
				b.restart()
				b.made = made
			},
			"come back": func(*rapid.T) {
				for _, j := range late {
					b.must(b.d.fireJob(context.Background(), j))
				}
			},
		})
		settle()
		b.checkRuns(rt, s.ID, active, hands)
	})
}

func (b *bench) checkRuns(rt *rapid.T, id herald.ScheduleID, active map[time.Time]bool, hands int) {
	list, err := b.d.Schedules().ScheduleRuns(context.Background(), b.app, id, record.RunCursor{}, 10_000)
	b.must(err)
	messages, err := b.db.Messages(context.Background(), b.app, record.MessageFilter{Limit: 10_000})
	b.must(err)
	of := map[herald.MessageID]time.Time{}
	for _, m := range messages {
		if m.Facts == nil || m.Facts.Schedule == nil || m.Facts.Schedule.ID != id {
			rt.Fatalf("message %s is of %+v", m.ID, m.Facts)
		}
		of[m.ID] = m.Facts.Schedule.Occurrence
	}
	covered, sent := 0, 0
	for _, r := range list {
		if r.State == record.RunSent {
			sent++
			if at, ok := of[r.Message]; !ok || !at.Equal(r.Occurrence) {
				rt.Fatalf("the message of the run %+v is for %s", r, at)
			}
		}
		switch {
		case r.Manual:
			hands--
		case r.State == record.RunSkipped && !active[r.Occurrence]: // it was paused, or the time is still to come
		case !active[r.Occurrence] || r.State != record.RunSkipped && r.At.Before(r.Occurrence):
			rt.Fatalf("there is the run %+v", r)
		default:
			covered += 1 + r.Missed
		}
	}
	if covered != len(active) || sent != len(messages) || hands != 0 {
		rt.Fatalf("%d of %d minutes are accounted for, %d of %d messages; %d runs by hand are not there", covered, len(active), sent, len(messages), hands)
	}
}
