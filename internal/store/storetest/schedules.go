package storetest

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

const most = 3 // schedules of an app, in these tests

func (f *fixture) newSchedule(next time.Time) record.Schedule {
	return record.Schedule{
		App: appA, ID: f.nextID(), State: herald.ScheduleActive, Next: next, Version: 1, Name: "报告", Zone: "Asia/Shanghai",
		Trigger: calendar.Trigger{Unit: calendar.Month, Time: "09:00", Days: []int{1, -1}}, Message: []byte(`{"audience":"all","data":"ü"}`),
		Missed: record.MissedSkip, Grace: time.Minute, Since: start, Created: start, Updated: start,
		Maker: record.Actor{Kind: record.AuditKey, ID: "k1", Name: "ci"}, Changer: record.Actor{Kind: record.AuditMaster},
	}
}

// makeSchedule writes a schedule that occurs in an hour, and gives it.
func (f *fixture) makeSchedule() record.Schedule {
	f.t.Helper()
	s := f.newSchedule(start.Add(time.Hour))
	prior, err := f.CreateSchedule(f.ctx, s, most, nil)
	f.must(err)
	same(f.t, "prior", prior, []byte(nil))
	return s
}

func (f *fixture) findSchedule(id herald.ScheduleID) record.Schedule {
	f.t.Helper()
	s, err := f.Schedule(f.ctx, appA, id)
	f.must(err)
	return s
}

func (f *fixture) findRuns(id herald.ScheduleID) []record.ScheduleRun {
	f.t.Helper()
	list, err := f.ScheduleRuns(f.ctx, appA, id, record.RunCursor{}, 100)
	f.must(err)
	return list
}

func runOf(s record.Schedule, at time.Time, state string) *record.ScheduleRun {
	return &record.ScheduleRun{Schedule: s.ID, Occurrence: at, At: at.Add(time.Second), State: state}
}

func testSchedules(t *testing.T, f *fixture) {
	a, b := f.makeSchedule(), f.newSchedule(time.Time{})
	b.State = herald.SchedulePaused
	i := record.Idempotency{Key: "k", Hash: []byte{1}, Answer: []byte("first"), Until: start.Add(time.Hour)}
	_, err := f.CreateSchedule(f.ctx, b, most, &i)
	f.must(err)
	again := f.newSchedule(start)
	prior, err := f.CreateSchedule(f.ctx, again, most, &i)
	f.must(err)
	same(t, "the answer to the repetition", string(prior), "first")
	i.Hash = []byte{2}
	_, err = f.CreateSchedule(f.ctx, again, most, &i)
	refused(t, err, herald.CodeIdempotencyConflict)
	f.makeSchedule()
	_, err = f.CreateSchedule(f.ctx, again, most, nil)
	refused(t, err, herald.CodeLimitReached)
	other := f.newSchedule(start)
	other.App = appB
	_, err = f.CreateSchedule(f.ctx, other, most, nil)
	f.must(err)
	_, err = f.CreateSchedule(f.ctx, record.Schedule{App: none}, most, nil)
	refused(t, err, herald.CodeNotFound)

	f.restart()
	same(t, "created", f.findSchedule(a.ID), a)
	same(t, "paused", f.findSchedule(b.ID), b)
	_, err = f.Schedule(f.ctx, appB, a.ID)
	refused(t, err, herald.CodeNotFound)
	highest, err := f.MaxScheduleID(f.ctx)
	f.must(err)
	same(t, "highest ID", highest, other.ID)
	for _, c := range []struct {
		name   string
		filter record.ScheduleFilter
		want   int
		first  herald.ScheduleID
		total  int64
	}{
		{"all", record.ScheduleFilter{Limit: 10}, 3, a.ID, 3},
		{"a page", record.ScheduleFilter{Limit: 1, After: a.ID}, 1, b.ID, 3},
		{"by place", record.ScheduleFilter{Limit: 1, Offset: 1}, 1, b.ID, 3},
		{"by state", record.ScheduleFilter{Limit: 10, State: herald.SchedulePaused}, 1, b.ID, 1},
		{"past the end", record.ScheduleFilter{Limit: 10, Offset: 3}, 0, 0, 3},
	} {
		list, total, err := f.Schedules(f.ctx, appA, c.filter)
		f.must(err)
		if len(list) != c.want || total != c.total || len(list) > 0 && list[0].ID != c.first {
			t.Errorf("%s: %d of %d schedules: %+v", c.name, len(list), total, list)
		}
	}
	_, _, err = f.Schedules(f.ctx, none, record.ScheduleFilter{Limit: 1})
	refused(t, err, herald.CodeNotFound)
}

func testScheduleChanged(t *testing.T, f *fixture) {
	s := f.makeSchedule()
	due := s.Next
	s.Name, s.Next, s.Changer = "another", due.Add(time.Hour), record.Actor{Kind: record.AuditKey, ID: "k2"}
	skipped := runOf(s, due, record.RunSkipped)
	f.must(f.ChangeSchedule(f.ctx, s, most, skipped))
	refused(t, f.ChangeSchedule(f.ctx, s, most, nil), herald.CodeConflict)
	s.Version++
	f.must(f.ChangeSchedule(f.ctx, s, most, runOf(s, due, record.RunSent))) // it has a run, which stays
	s.Version++
	f.restart()
	same(t, "changed", f.findSchedule(s.ID), s)
	same(t, "runs", f.findRuns(s.ID), []record.ScheduleRun{*skipped})
	f.wantNext(s.Next)
	if jobs := f.lease(s.Next, 10); len(jobs) != 1 || jobs[0].Due != s.Next || jobs[0].Kind != record.JobSchedule || jobs[0].Msg != s.ID {
		t.Errorf("jobs %+v", jobs)
	}

	s.State, s.Next, s.Ended = herald.ScheduleEnded, time.Time{}, start
	f.must(f.ChangeSchedule(f.ctx, s, most, nil))
	s.Version++
	f.wantNext(time.Time{})
	for range most {
		f.makeSchedule() // those that have ended do not count
	}
	s.State, s.Ended = herald.ScheduleActive, time.Time{}
	refused(t, f.ChangeSchedule(f.ctx, s, most, nil), herald.CodeLimitReached)
	f.must(f.ChangeSchedule(f.ctx, s, most+1, nil))

	f.must(f.DeleteSchedule(f.ctx, appA, s.ID))
	refused(t, f.DeleteSchedule(f.ctx, appA, s.ID), herald.CodeNotFound)
	refused(t, f.ChangeSchedule(f.ctx, s, most, nil), herald.CodeNotFound)
	refused(t, f.DeleteSchedule(f.ctx, none, s.ID), herald.CodeNotFound)
	refused(t, f.ChangeSchedule(f.ctx, record.Schedule{App: none}, most, nil), herald.CodeNotFound)
	same(t, "runs of a schedule that is deleted", f.findRuns(s.ID), []record.ScheduleRun(nil))
}

// An occurrence is dealt with once, by whoever holds the job, and in the commit
// of its message.
func testScheduleFires(t *testing.T, f *fixture) {
	s := f.makeSchedule()
	due, next := s.Next, s.Next.Add(time.Hour)
	late := f.lease(due, 1)[0]
	now := f.lease(due.Add(time.Minute), 1)[0]
	firing := func(job record.Job, a *record.Acceptance, at, next time.Time) *record.Firing {
		run := runOf(s, at, record.RunSent)
		run.Message = a.ID
		a.Facts = &record.Facts{Schedule: &record.Origin{ID: s.ID, Occurrence: at}}
		a.Firing = &record.Firing{App: appA, Job: job, Run: run, Next: next, Since: at}
		return a.Firing
	}
	m := f.message(4, 9)
	firing(late, &m, due, next)
	_, err := f.Accept(f.ctx, m)
	refused(t, err, herald.CodeConflict)

	// Those who hold the job write at once, messages of every form.
	list := []record.Acceptance{f.message(4, 9), f.message(4), f.group(dense(3)), f.message(), f.message(9)}
	list[4].Volatile = true
	errs := make([]error, len(list))
	for i := range list {
		firing(now, &list[i], due, next)
	}
	together(len(list), func(i int) { _, errs[i] = f.Accept(f.ctx, list[i]) })
	made := -1
	for i, err := range errs {
		switch {
		case err == nil && made < 0:
			made = i
		case err == nil:
			t.Errorf("two messages were made")
		default:
			refused(t, err, herald.CodeConflict)
		}
	}
	if made < 0 {
		t.Fatal("no message was made")
	}
	f.restart()
	for i := range list {
		m, err := f.Message(f.ctx, appA, list[i].ID)
		if i != made || list[i].Volatile {
			refused(t, err, herald.CodeNotFound)
			continue
		}
		f.must(err)
		same(t, "facts", m.Facts, list[i].Facts)
	}
	same(t, "runs", f.findRuns(s.ID), []record.ScheduleRun{*list[made].Firing.Run})
	s.Next, s.Version = next, s.Version+1
	same(t, "the schedule", f.findSchedule(s.ID), s)
	run, err := f.ScheduleRun(f.ctx, appA, s.ID, due)
	f.must(err)
	same(t, "the run", run, list[made].Firing.Run)
	if run, err := f.ScheduleRun(f.ctx, appA, s.ID, next); run != nil || err != nil {
		t.Errorf("an occurrence to come has the run %+v, %v", run, err)
	}

	// What makes no message, and what comes after the last occurrence.
	job := f.lease(next, 1)[0]
	refusedRun := runOf(s, next, record.RunRefused)
	refusedRun.Code, refusedRun.Reason, refusedRun.Remedy, refusedRun.Missed = herald.CodeInvalidRequest, "no such segment", "Save it.", 7
	f.must(f.Fire(f.ctx, s.ID, record.Firing{App: appA, Job: job, Run: refusedRun, Next: next.Add(time.Hour), Since: next}))
	refused(t, f.Fire(f.ctx, s.ID, record.Firing{App: appA, Job: job, Run: refusedRun, Since: next}), herald.CodeConflict)
	job = f.lease(next.Add(time.Hour), 1)[0]
	refused(t, f.Fire(f.ctx, s.ID, record.Firing{App: appA, Job: job, Run: refusedRun, Since: next}), herald.CodeConflict) // it has run
	f.must(f.Fire(f.ctx, s.ID, record.Firing{App: appA, Job: job, Since: next}))
	refused(t, f.Fire(f.ctx, s.ID, record.Firing{App: none}), herald.CodeNotFound)
	s.Next, s.State, s.Ended, s.Version = time.Time{}, herald.ScheduleEnded, next, s.Version+2
	same(t, "the schedule, ended", f.findSchedule(s.ID), s)
	f.wantNext(time.Time{})

	// By hand, beside the occurrence of the same moment.
	by := f.message(4)
	fi := firing(record.Job{}, &by, due, time.Time{})
	fi.Run.Manual = true
	f.accept(by)
	repeated := f.message(4)
	firing(record.Job{}, &repeated, due, time.Time{}).Run.Manual = true
	_, err = f.Accept(f.ctx, repeated)
	refused(t, err, herald.CodeConflict)
	same(t, "the schedule, run by hand", f.findSchedule(s.ID), s)
	same(t, "all runs", f.findRuns(s.ID), []record.ScheduleRun{*refusedRun, *fi.Run, *list[made].Firing.Run})
	page, err := f.ScheduleRuns(f.ctx, appA, s.ID, record.RunCursor{Occurrence: due, Manual: true}, 10)
	f.must(err)
	same(t, "the last page", page, []record.ScheduleRun{*list[made].Firing.Run})
	f.must(f.DeleteSchedule(f.ctx, appA, s.ID))
	gone := f.message(4)
	firing(record.Job{}, &gone, due, time.Time{})
	_, err = f.Accept(f.ctx, gone)
	refused(t, err, herald.CodeNotFound)
	f.find(by.ID) // messages stay
	for _, err := range []error{
		func() error { _, err := f.ScheduleRun(f.ctx, none, s.ID, due); return err }(),
		func() error { _, err := f.ScheduleRuns(f.ctx, none, s.ID, record.RunCursor{}, 1); return err }(),
	} {
		refused(t, err, herald.CodeNotFound)
	}
}

// A schedule whose message is for an erased device alone goes, and its names go
// out of others.
func testScheduleErased(t *testing.T, f *fixture) {
	anna := f.register(appA, 1, withAlias("anna"))
	made := func(audience, key string) record.Schedule {
		s := f.newSchedule(start.Add(time.Hour))
		s.Message = []byte(`{"audience":` + audience + `,"data":"for anna"}`)
		i := record.Idempotency{Key: key, Hash: []byte{1}, Answer: []byte(`{"id":"` + s.ID.String() + `","message":{"data":"for anna"}}`), Until: start.Add(herald.IdempotencyTTL)}
		_, err := f.CreateSchedule(f.ctx, s, most, &i)
		f.must(err)
		return s
	}
	alone, both, other := made(`{"aliases":["anna"]}`, "a"), made(`{"or":[{"aliases":["anna"]},{"tags":["t"]}]}`, "b"), made(`"all"`, "c")
	e := record.Erasure{App: appA, Ord: anna.Ord, ID: anna.ID, Alias: "anna"}
	for range 2 { // it may be repeated
		_, err := f.Erase(f.ctx, e)
		f.must(err)
	}
	_, err := f.Schedule(f.ctx, appA, alone.ID)
	refused(t, err, herald.CodeNotFound)
	got := f.findSchedule(both.ID)
	same(t, "message", string(got.Message), `{"audience":{"or":[{"aliases":["erased"]},{"tags":["t"]}]},"data":"for anna"}`)
	if got.Version != both.Version+1 || !got.Next.Equal(both.Next) {
		t.Errorf("changed to %+v", got)
	}
	same(t, "another", f.findSchedule(other.ID), other)
	for key, kept := range map[string]bool{"a": false, "b": false, "c": true} {
		answer, err := f.Answered(f.ctx, appA, record.Idempotency{Key: key, Hash: []byte{1}})
		f.must(err)
		if (answer != nil) != kept {
			t.Errorf("the answer %s is %q", key, answer)
		}
	}
	if jobs := f.lease(start.Add(time.Hour), 10); len(jobs) != 2 {
		t.Errorf("%d jobs, want 2", len(jobs))
	}
}

func testSchedulePurge(t *testing.T, f *fixture) {
	var ended []record.Schedule
	for range 3 {
		s := f.makeSchedule()
		s.State, s.Next, s.Ended = herald.ScheduleEnded, time.Time{}, start.Add(time.Hour)
		f.must(f.ChangeSchedule(f.ctx, s, most, runOf(s, start, record.RunSkipped)))
		ended = append(ended, s)
	}
	live := f.makeSchedule()
	live.Next = live.Next.Add(time.Hour)
	f.must(f.ChangeSchedule(f.ctx, live, most, runOf(live, start, record.RunSkipped)))
	purge := func(before time.Time, want bool) {
		t.Helper()
		more, err := f.PurgeSchedules(f.ctx, before, 2)
		f.must(err)
		if more != want {
			t.Errorf("more %v, want %v", more, want)
		}
	}
	purge(start, false)
	purge(start.Add(time.Hour), true)
	purge(start.Add(time.Hour), true)
	purge(start.Add(time.Hour), false)
	same(t, "runs", f.findRuns(live.ID), []record.ScheduleRun(nil))
	_, total, err := f.Schedules(f.ctx, appA, record.ScheduleFilter{Limit: 10})
	f.must(err)
	same(t, "schedules", total, int64(4))
	purge(start.Add(time.Hour+time.Millisecond), true)
	purge(start.Add(time.Hour+time.Millisecond), false)
	for _, s := range ended {
		_, err := f.Schedule(f.ctx, appA, s.ID)
		refused(t, err, herald.CodeNotFound)
	}
	f.findSchedule(live.ID)
	f.wantNext(live.Next)
}
