package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

// schedule makes a schedule that occurs each minute, from a minute after the
// start on, and whose message is for the devices.
func (b *bench) schedule(change ...func(*record.Schedule)) record.Schedule {
	b.t.Helper()
	b.made = request(to(b.devices(1)...))
	b.made.Message.App = b.app
	now := b.clock()
	s := record.Schedule{
		App: b.app, State: herald.ScheduleActive, Name: "each minute", Trigger: calendar.Trigger{Cron: "* * * * *"}, Zone: "UTC", Message: []byte(`{"data":1}`),
		Missed: record.MissedOnce, Grace: 30 * time.Second, Since: now, Created: now, Updated: now,
	}
	for _, f := range change {
		f(&s)
	}
	c, err := calendar.New(s.Trigger, s.Zone, s.Since)
	b.must(err)
	if s.State == herald.ScheduleActive {
		s.Next = c.Next(now)
	}
	s, _, err = b.d.CreateSchedule(b.t.Context(), s, nil, nil)
	b.must(err)
	return s
}

// runs tells what became of the occurrences, oldest first.
func (b *bench) runs(id herald.ScheduleID) string {
	b.t.Helper()
	list, err := b.d.Schedules().ScheduleRuns(b.t.Context(), b.app, id, record.RunCursor{}, 1000)
	b.must(err)
	out := make([]string, len(list))
	for i, r := range list {
		text := fmt.Sprintf("%s %s", r.Occurrence.Format("15:04"), r.State)
		if r.Missed > 0 {
			text += fmt.Sprintf("+%d", r.Missed)
		}
		if (r.Message != 0) != (r.State == record.RunSent) {
			b.t.Errorf("the run %s has the message %s", text, r.Message)
		}
		if r.Message != 0 {
			m := b.message(r.Message)
			if want := (record.Facts{Schedule: &record.Origin{ID: id, Occurrence: r.Occurrence}}); m.Facts == nil || *m.Facts.Schedule != *want.Schedule {
				b.t.Errorf("the message of the run %s has the facts %+v", text, m.Facts)
			}
		}
		out[len(list)-1-i] = text
	}
	return strings.Join(out, ", ")
}

func (b *bench) wantRuns(id herald.ScheduleID, want string) {
	b.t.Helper()
	if got := b.runs(id); got != want {
		b.t.Errorf("runs: %s\nwant: %s", got, want)
	}
	n := 0
	list, err := b.db.Messages(b.t.Context(), b.app, record.MessageFilter{Limit: 1000})
	b.must(err)
	for _, m := range list {
		if m.Facts != nil && m.Facts.Schedule != nil && m.Facts.Schedule.ID == id {
			n++
		}
	}
	if sent := strings.Count(want, record.RunSent); n != sent {
		b.t.Errorf("the schedule has made %d messages, want %d", n, sent)
	}
}

func (b *bench) due() { b.t.Helper(); b.must(b.d.releaseDue(b.t.Context())) }

func (b *bench) found(id herald.ScheduleID) record.Schedule {
	b.t.Helper()
	s, err := b.d.Schedules().Schedule(b.t.Context(), b.app, id)
	b.must(err)
	return s
}

func TestScheduleFires(t *testing.T) {
	b := newBench(t)
	s := b.schedule(func(s *record.Schedule) { s.Trigger.End = "2026-03-01T12:02:00" })
	b.follow()
	b.due()
	b.wantRuns(s.ID, "")
	b.pass(time.Minute)
	b.due()
	b.due()
	b.wantRuns(s.ID, "12:01 sent")
	if s := b.found(s.ID); !s.Next.Equal(begin.Add(2*time.Minute)) || s.State != herald.ScheduleActive {
		t.Errorf("after the first: %+v", s)
	}
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 sent, 12:02 sent")
	if s := b.found(s.ID); !s.Next.IsZero() || s.State != herald.ScheduleEnded || !s.Ended.Equal(b.clock()) {
		t.Errorf("after the last: %+v", s)
	}
	b.reach()
	if n := len(b.outlet.handed()); n != 2 {
		t.Errorf("%d handovers", n)
	}
	b.pass(time.Hour)
	b.due()
	b.wantRuns(s.ID, "12:01 sent, 12:02 sent")
}

// What fell due while nobody was there.
func TestScheduleMissed(t *testing.T) {
	for _, c := range []struct {
		name   string
		missed string
		grace  time.Duration
		away   time.Duration
		want   string
		next   string
	}{
		{"within the grace, each runs", record.MissedSkip, 3 * time.Minute, 3*time.Minute + 10*time.Second, "12:01 sent, 12:02 sent, 12:03 sent", "12:04"},
		{"the last within the grace runs, for all before it", record.MissedSkip, 30 * time.Second, 5*time.Minute + 10*time.Second, "12:05 sent+4", "12:06"},
		{"the first within the grace", record.MissedOnce, 2 * time.Minute, 5*time.Minute + 10*time.Second, "12:04 sent+3, 12:05 sent", "12:06"},
		{"one late", record.MissedOnce, 5 * time.Second, 5*time.Minute + 10*time.Second, "12:05 sent+4", "12:06"},
		{"none late", record.MissedSkip, 5 * time.Second, 5*time.Minute + 10*time.Second, "12:05 missed+4", "12:06"},
		{"no grace, at the time", record.MissedSkip, 0, time.Minute, "12:01 sent", "12:02"},
		{"no grace, late", record.MissedSkip, 0, time.Minute + time.Millisecond, "12:01 missed", "12:02"},
		{"weeks", record.MissedOnce, 30 * time.Second, 30 * 24 * time.Hour, "12:00 sent+10000", "12:01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.schedule(func(s *record.Schedule) { s.Missed, s.Grace = c.missed, c.grace })
			b.restart()
			b.pass(c.away)
			for range 5 {
				b.due()
			}
			b.wantRuns(s.ID, c.want)
			if next := b.found(s.ID).Next.Format("15:04"); next != c.next {
				t.Errorf("next at %s, want %s", next, c.next)
			}
		})
	}
}

// A refusal is written down, and the schedule goes on; what may pass by itself
// is tried again.
func TestScheduleRefused(t *testing.T) {
	b := newBench(t)
	s := b.schedule()
	b.refusal = herald.Invalid("message.audience.segments", "Save it again.", "there is no segment vip")
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 refused")
	list, err := b.d.Schedules().ScheduleRuns(t.Context(), b.app, s.ID, record.RunCursor{}, 1)
	b.must(err)
	if r := list[0]; r.Code != herald.CodeInvalidRequest || r.Reason != "there is no segment vip" || r.Remedy != "Save it again." {
		t.Errorf("the run says %+v", r)
	}
	b.refusal = errors.New("the disk is slow")
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 refused")
	b.refusal = herald.Errorf(herald.CodeStorageUnavailable, "Repeat later.", "away")
	b.pass(leaseFor)
	b.due()
	b.wantRuns(s.ID, "12:01 refused")
	b.refusal = nil
	b.pass(leaseFor - time.Millisecond)
	b.due() // the lease is not over
	b.wantRuns(s.ID, "12:01 refused")
	b.pass(time.Millisecond)
	b.due()
	b.wantRuns(s.ID, "12:01 refused, 12:03 sent+1")
}

// The limit of live messages to many devices holds for schedules, too.
func TestScheduleOverTheLimit(t *testing.T) {
	b := newBench(t)
	b.d.c.GroupLimit = 1
	s := b.schedule()
	b.made.Target = toGroup(b.devices(2)...)
	b.follow()
	b.pass(time.Minute)
	b.due()
	b.reach()
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 sent, 12:02 refused")
}

// Whoever dies with a lease leaves it to the next, and comes too late himself.
func TestScheduleAfterACrash(t *testing.T) {
	b := newBench(t)
	s := b.schedule()
	b.pass(time.Minute)
	jobs, err := b.db.LeaseJobs(t.Context(), b.clock(), leaseFor, 10)
	if err != nil || len(jobs) != 1 || jobs[0].Kind != record.JobSchedule {
		t.Fatalf("jobs %v, %v", jobs, err)
	}
	b.due()
	b.wantRuns(s.ID, "")
	b.restart()
	b.due()
	b.wantRuns(s.ID, "12:01 sent")
	b.must(b.d.fireJob(t.Context(), jobs[0]))
	b.wantRuns(s.ID, "12:01 sent")
}

// Several nodes hold the same job at once: one of them makes the message.
func TestScheduleOnSeveralNodes(t *testing.T) {
	for _, kind := range []string{"direct", "group", "now or never"} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t)
			s := b.schedule()
			switch kind {
			case "group":
				b.made.Target = toGroup(b.devices(3)...)
			case "now or never":
				b.made.Message.TTL = 0
			}
			b.follow()
			b.pass(time.Minute)
			jobs, err := b.db.LeaseJobs(t.Context(), b.clock(), leaseFor, 10)
			b.must(err)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := b.d.fireJob(context.Background(), jobs[0]); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			b.reach()
			if got := len(b.outlet.handed()); got != 1 {
				t.Errorf("%d handovers", got)
			}
			list, err := b.d.Schedules().ScheduleRuns(t.Context(), b.app, s.ID, record.RunCursor{}, 10)
			b.must(err)
			if len(list) != 1 || list[0].State != record.RunSent || list[0].Message == 0 {
				t.Errorf("runs %+v", list)
			}
		})
	}
}

// A job that is under way does nothing, once its schedule was changed.
func TestScheduleChangedUnderTheJob(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b *bench, s record.Schedule) error
	}{
		{"paused", func(b *bench, s record.Schedule) error {
			_, err := b.d.ChangeSchedule(context.Background(), b.app, s.ID, func(s *record.Schedule) (*record.ScheduleRun, error) {
				s.State, s.Next = herald.SchedulePaused, time.Time{}
				return nil, nil
			})
			return err
		}},
		{"another time", func(b *bench, s record.Schedule) error {
			_, err := b.d.ChangeSchedule(context.Background(), b.app, s.ID, func(s *record.Schedule) (*record.ScheduleRun, error) {
				s.Trigger, s.Next = calendar.Trigger{Cron: "0 * * * *"}, begin.Add(time.Hour)
				return nil, nil
			})
			return err
		}},
		{"deleted", func(b *bench, s record.Schedule) error {
			return b.d.DeleteSchedule(context.Background(), b.app, s.ID)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.schedule()
			b.pass(time.Minute)
			jobs, err := b.db.LeaseJobs(t.Context(), b.clock(), leaseFor, 10)
			b.must(err)
			b.must(c.change(b, s))
			b.must(b.d.fireJob(t.Context(), jobs[0]))
			b.pass(time.Minute)
			b.due()
			b.wantRuns(s.ID, "")
		})
	}
}

// An occurrence that was skipped is passed over.
func TestScheduleSkipped(t *testing.T) {
	b := newBench(t)
	s := b.schedule()
	skip := func(s *record.Schedule) (*record.ScheduleRun, error) {
		// The occurrence stays the next one, as if the trigger had been set again.
		return &record.ScheduleRun{Schedule: s.ID, Occurrence: s.Next, At: b.clock(), State: record.RunSkipped}, nil
	}
	for range 2 {
		_, err := b.d.ChangeSchedule(t.Context(), b.app, s.ID, skip)
		b.must(err)
	}
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 skipped")
	b.pass(time.Minute)
	b.due()
	b.wantRuns(s.ID, "12:01 skipped, 12:02 sent")
}

// Whoever changes a schedule that somebody else has changed reads it again.
func TestScheduleChangedAtOnce(t *testing.T) {
	b := newBench(t)
	s := b.schedule(func(s *record.Schedule) { s.Name = "" })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := b.d.ChangeSchedule(context.Background(), b.app, s.ID, func(s *record.Schedule) (*record.ScheduleRun, error) {
				s.Name += "x"
				return nil, nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := b.found(s.ID); got.Name != "xxxx" || got.Version != 5 {
		t.Errorf("%+v", got)
	}
	refusal := herald.Invalid("name", "Give one.", "no name")
	if _, err := b.d.ChangeSchedule(t.Context(), b.app, s.ID, func(*record.Schedule) (*record.ScheduleRun, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if _, err := b.d.ChangeSchedule(t.Context(), b.app, 1, nil); herald.CodeOf(err) != herald.CodeNotFound {
		t.Error(err)
	}
}

// What somebody asks for by hand is beside the occurrences.
func TestScheduleRunByHand(t *testing.T) {
	b := newBench(t)
	s := b.schedule()
	b.pass(time.Minute)
	i := record.Idempotency{Key: "k", Hash: []byte{1}, Until: begin.Add(time.Hour)}
	answer := func(run record.ScheduleRun) []byte { return []byte(run.Message.String()) }
	run, _, err := b.d.RunSchedule(t.Context(), s, &i, answer)
	b.must(err)
	_, prior, err := b.d.RunSchedule(t.Context(), s, &i, answer)
	if err != nil || string(prior) != run.Message.String() {
		t.Errorf("repeated: %q, %v", prior, err)
	}
	b.due()
	list, err := b.d.Schedules().ScheduleRuns(t.Context(), b.app, s.ID, record.RunCursor{}, 10)
	b.must(err)
	if len(list) != 2 || !list[0].Manual || list[0].Message != run.Message || list[1].Manual || !list[0].Occurrence.Equal(list[1].Occurrence) {
		t.Fatalf("runs %+v", list)
	}
	more, err := b.d.Schedules().ScheduleRuns(t.Context(), b.app, s.ID, record.RunCursor{Occurrence: list[0].Occurrence, Manual: true}, 10)
	b.must(err)
	if len(more) != 1 || more[0].Manual {
		t.Errorf("after the first run: %+v", more)
	}
	second, _, err := b.d.RunSchedule(t.Context(), s, nil, nil)
	b.must(err)
	if !second.Occurrence.After(run.Occurrence) || second.Message == run.Message {
		t.Errorf("twice in a moment: %+v, %+v", run, second)
	}
	b.must(b.d.DeleteSchedule(t.Context(), b.app, s.ID))
	if _, _, err := b.d.RunSchedule(t.Context(), s, nil, nil); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("after it is deleted: %v", err)
	}
}

// Schedules that have ended, and runs, go after ninety days.
func TestSchedulePurged(t *testing.T) {
	b := newBench(t)
	ended := b.schedule(func(s *record.Schedule) { s.Trigger = calendar.Trigger{At: "2026-03-01T12:01:00"} })
	goesOn := b.schedule(func(s *record.Schedule) { s.Trigger = calendar.Trigger{Unit: calendar.Day, Time: "12:01"} })
	b.pass(time.Minute)
	b.due()
	b.wantRuns(ended.ID, "12:01 sent")
	b.pass(herald.CountRetention)
	b.must(b.d.purge(t.Context(), b.clock()))
	b.wantRuns(goesOn.ID, "12:01 sent")
	b.found(ended.ID)
	b.pass(time.Millisecond)
	b.must(b.d.purge(t.Context(), b.clock()))
	if got := b.runs(goesOn.ID); got != "" {
		t.Errorf("runs that are kept: %s", got)
	}
	b.found(goesOn.ID)
	if _, err := b.d.Schedules().Schedule(t.Context(), b.app, ended.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("after its retention: %v", err)
	}
}

// IDs of schedules and messages come from one row, also after a restart.
func TestScheduleIDs(t *testing.T) {
	b := newBench(t)
	s := b.schedule()
	b.pass(-24 * time.Hour)
	b.restart()
	if m := b.accept(to(b.devices(1)...)); m.ID <= s.ID {
		t.Errorf("the message %s is not above the schedule %s", m.ID, s.ID)
	}
}
