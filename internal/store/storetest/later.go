package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// schedule accepts a message for an hour later.
func (f *fixture) schedule() record.Acceptance {
	f.t.Helper()
	m := f.message()
	m.Due, m.Target = start.Add(time.Hour), -1
	m.State = herald.MessageScheduled
	same(f.t, "Accepted", f.accept(m), record.Accepted{})
	return m
}

func (f *fixture) lease(now time.Time, limit int) []record.Job {
	f.t.Helper()
	jobs, err := f.LeaseJobs(f.ctx, now, time.Minute, limit)
	f.must(err)
	return jobs
}

func (f *fixture) wantNext(want time.Time) {
	f.t.Helper()
	got, err := f.NextJob(f.ctx)
	f.must(err)
	if !got.Equal(want) {
		f.t.Errorf("the next job is at %v, want %v", got, want)
	}
}

// testLeasesEnd: what an earlier run has leased is nobody's when the record is
// opened again, and whoever is still about it is kept out.
func testLeasesEnd(t *testing.T, f *fixture) {
	m := f.message()
	m.Due, m.Target, m.State = f.clock().Add(time.Second), -1, herald.MessageScheduled
	f.accept(m)
	later := f.message()
	later.Due, later.Target, later.State = f.clock().Add(time.Minute), -1, herald.MessageScheduled
	f.accept(later)
	f.routed(record.StepAfter{Step: 1}, record.StepAfter{Step: 2, After: time.Minute})
	steps := func() []record.RouteStep {
		list, err := f.LeaseRouteSteps(f.ctx, f.clock().Add(time.Second), time.Minute, 9)
		f.must(err)
		return list
	}
	jobs, before := f.lease(m.Due, 9), steps()
	if len(jobs) != 1 || len(before) != 1 || len(f.lease(m.Due, 9)) != 0 || len(steps()) != 0 {
		t.Fatalf("leased: %+v, %+v", jobs, before)
	}
	f.restart()
	refused(t, f.PlanStep(f.ctx, before[0], nil, true), herald.CodeConflict)
	again, after := f.lease(m.Due, 9), steps()
	if len(again) != 1 || again[0].ID != jobs[0].ID || again[0].Fence <= jobs[0].Fence || !again[0].Due.Equal(jobs[0].Due) {
		t.Errorf("of the job %+v there is %+v", jobs, again)
	}
	if len(after) != 1 || after[0].ID != before[0].ID || after[0].Fence <= before[0].Fence || !after[0].Due.Equal(before[0].Due) {
		t.Errorf("of the step %+v there is %+v", before, after)
	}
	f.must(f.PlanStep(f.ctx, after[0], nil, true))
	f.wantNext(later.Due)
}

func testScheduled(t *testing.T, f *fixture) {
	f.wantNext(time.Time{})
	m := f.schedule()
	same(t, "scheduled message", f.find(m.ID), &m.Message)
	f.wantHead(appA, 0)
	f.restart()
	due := start.Add(time.Hour)
	f.wantNext(due)
	same(t, "jobs before the time", f.lease(due.Add(-time.Millisecond), 10), []record.Job{})
	first := f.lease(due, 10)
	if len(first) != 1 {
		t.Fatalf("%d jobs are due, want 1", len(first))
	}
	same(t, "job", first[0], record.Job{App: appA, ID: first[0].ID, Kind: record.JobRelease, Msg: m.ID, Due: due, Fence: 1})
	same(t, "leased jobs", f.lease(due, 10), []record.Job{})
	f.wantNext(due.Add(time.Minute))
	second := f.lease(due.Add(time.Minute), 10)
	if len(second) != 1 || second[0].Fence != 2 {
		t.Fatalf("after the lease: %+v", second)
	}
	filled := m.Message
	filled.Direct, filled.Target, filled.EvalPos, filled.ByAlias, filled.Unknown = []herald.Ordinal{4, 9}, 2, 5, true, 1
	_, err := f.ReleaseDue(f.ctx, first[0], filled)
	refused(t, err, herald.CodeConflict)
	out, err := f.ReleaseDue(f.ctx, second[0], filled)
	f.must(err)
	same(t, "Accepted", out, record.Accepted{Pos: 1})
	released := filled
	released.State, released.Pos = herald.MessageSending, 1
	f.restart()
	same(t, "released message", f.find(m.ID), &released)
	same(t, "entries", f.entries(9), []record.Entry{{Pos: 1, N: 1, Msg: m.ID}})
	_, err = f.ReleaseDue(f.ctx, second[0], filled)
	refused(t, err, herald.CodeConflict)
	_, err = f.ReleaseDue(f.ctx, record.Job{App: none}, filled)
	refused(t, err, herald.CodeNotFound)
	f.wantNext(time.Time{})
	f.wantHead(appA, 1)

	for range 3 {
		f.schedule()
	}
	if n := len(f.lease(due, 2)); n != 2 {
		t.Errorf("%d jobs were leased, want 2", n)
	}
	if n := len(f.lease(due, 2)); n != 1 {
		t.Errorf("%d jobs were leased, want the last", n)
	}
}

func testScheduledDense(t *testing.T, f *fixture) {
	m := f.schedule()
	late := f.lease(start.Add(time.Hour), 1)[0]
	now := f.lease(start.Add(2*time.Hour), 1)[0]
	old, current := m.Message, m.Message
	old.Group, old.Target = record.WholeImage(dense(20)), dense(20).Len()
	current.Group, current.Target = record.WholeImage(dense(3)), dense(3).Len()
	// The late owner and the present one write at once; only one may win, and
	// the target must be wholly its own.
	errs := make([]error, 2)
	together(2, func(i int) {
		if i == 0 {
			_, errs[0] = f.ReleaseDue(f.ctx, late, old)
		} else {
			_, errs[1] = f.ReleaseDue(f.ctx, now, current)
		}
	})
	refused(t, errs[0], herald.CodeConflict)
	f.must(errs[1])
	current.State, current.Pos, current.Group = herald.MessageSending, 1, record.ImageApart()
	f.restart()
	f.wantTarget(m.ID, dense(3))
	same(t, "released message", f.find(m.ID), &current)
	live, err := f.LiveGroups(f.ctx, appA)
	f.must(err)
	same(t, "live groups", live, []*record.Message{&current})
}

func testScheduledEnded(t *testing.T, f *fixture) {
	m := f.schedule()
	job := f.lease(start.Add(time.Hour), 1)[0]
	pos, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, start)
	f.must(err)
	_, err = f.ReleaseDue(f.ctx, job, m.Message)
	refused(t, err, herald.CodeConflict)
	f.wantNext(time.Time{})
	got := f.find(m.ID)
	if got.Pos != 0 || got.Target != -1 || got.State != herald.MessageWithdrawn {
		t.Errorf("a withdrawn message is %+v", got)
	}
	f.wantHead(appA, pos)
}

func testExpired(t *testing.T, f *fixture) {
	var all []*record.Message
	for i := range 4 {
		m := f.message(1, 2)
		if i == 3 {
			m = f.group(dense(3))
		}
		m.TTL = time.Duration(4-i) * time.Minute
		all = append([]*record.Message{want(m, f.accept(m))}, all...)
	}
	for _, c := range []struct {
		after time.Duration
		limit int
		want  int
	}{{59 * time.Second, 10, 0}, {time.Minute, 10, 1}, {3 * time.Minute, 10, 3}, {3 * time.Minute, 2, 2}, {time.Hour, 10, 4}} {
		got, err := f.Expired(f.ctx, start.Add(c.after), c.limit)
		f.must(err)
		same(t, "expired after "+c.after.String(), got, all[:c.want])
	}
	_, err := f.EndMessage(f.ctx, appA, all[0].ID, herald.MessageExpired, start)
	f.must(err)
	got, err := f.Expired(f.ctx, start.Add(time.Hour), 10)
	f.must(err)
	same(t, "expired after one has ended", got, all[1:])
}

func testPurge(t *testing.T, f *fixture) {
	direct, group, stays := f.message(sets.Range(300).Ordinals()...), f.group(dense(3)), f.message(1)
	stays.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte("a"), Until: start.Add(time.Hour)}
	for _, m := range []record.Acceptance{direct, group, stays} {
		f.accept(m)
	}
	n, err := f.AppendReceipts(f.ctx, appA, nil)
	f.must(err)
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: n,
		Chunks:   []record.Chunk{{Msg: group.ID, State: herald.StateSent, Bits: sets.New(2)}},
		Segments: []record.Segment{{Msg: group.ID, From: 1, Batch: []byte{1, 0}}, {Msg: stays.ID, From: 1, Batch: []byte{1, 0}}}}))
	for i, m := range []record.Acceptance{direct, group} {
		_, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, start.Add(time.Duration(i)*time.Minute))
		f.must(err)
	}
	purge := func(now, before time.Time, limit int, want bool) {
		t.Helper()
		more, err := f.Purge(f.ctx, now, before, limit)
		f.must(err)
		if more != want {
			t.Errorf("Purge says more is left: %v, want %v", more, want)
		}
	}
	purge(start, start, 10, false)
	f.find(direct.ID)
	purge(start, start.Add(time.Hour), 1, true)
	_, err = f.Message(f.ctx, appA, direct.ID)
	refused(t, err, herald.CodeNotFound)
	f.find(group.ID)
	purge(start, start.Add(time.Hour), 1, false)
	_, err = f.Message(f.ctx, appA, group.ID)
	refused(t, err, herald.CodeNotFound)
	f.restart()
	rel, err := f.Releases(f.ctx, appA, 0, 100)
	f.must(err)
	if len(rel) != 1 || rel[0].Msg.ID != stays.ID {
		t.Errorf("releases after the purge: %+v", rel)
	}
	f.must(f.StateChunks(f.ctx, appA, group.ID, func(c record.Chunk) error { t.Errorf("chunk %+v is left", c); return nil }))
	for id, want := range map[herald.MessageID]int{group.ID: 0, stays.ID: 1} {
		segs, err := f.Segments(f.ctx, appA, id, 0)
		f.must(err)
		if len(segs) != want {
			t.Errorf("message %d has %d segments, want %d", id, len(segs), want)
		}
	}
	same(t, "entries", f.entries(1), []record.Entry{{Pos: 3, N: 300, Msg: stays.ID}})
	if out := f.accept(stays); out.Prior == nil {
		t.Error("the idempotency key went too early")
	}
	purge(start.Add(time.Hour), start, 10, false)
	_, err = f.Accept(f.ctx, stays)
	refused(t, err, herald.CodeConflict) // of the message ID: the key is gone
}

// testPurgeDirectHistory: the history of direct deliveries goes when no message
// has numbers in it any more.
func testPurgeDirectHistory(t *testing.T, f *fixture) {
	ords := sets.Range(600).Ordinals()
	old := []record.Acceptance{f.message(ords...), f.message(ords...)} // numbers 0 to 1199
	for _, m := range append(old, f.message(1)) {
		f.accept(m)
	}
	n, err := f.AppendReceipts(f.ctx, appA, nil)
	f.must(err)
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: n,
		Segments: []record.Segment{{Index: 0, From: 1, Batch: []byte{1, 0}}, {Index: 1, From: 1, Batch: []byte{1, 0}}}}))
	left := func(what string, want ...int) {
		t.Helper()
		for i, w := range want {
			segs, err := f.Segments(f.ctx, appA, 0, uint64(i))
			f.must(err)
			if len(segs) != w {
				t.Errorf("%s: %d segments of part %d, want %d", what, len(segs), i, w)
			}
		}
	}
	for i, want := range []int{1, 0} {
		_, err := f.EndMessage(f.ctx, appA, old[i].ID, herald.MessageWithdrawn, start)
		f.must(err)
		_, err = f.Purge(f.ctx, start, start.Add(time.Hour), 10)
		f.must(err)
		left(fmt.Sprintf("after %d purges", i+1), want, 1)
	}
}

func testLiveGroups(t *testing.T, f *fixture) {
	var live []*record.Message
	for i := range 3 {
		f.accept(f.message(1))
		m := f.group(sets.Range(2000))
		if i == 1 {
			m = f.group(dense(3))
		}
		live = append(live, want(m, f.accept(m)))
	}
	check := func(want []*record.Message) {
		t.Helper()
		got, err := f.LiveGroups(f.ctx, appA)
		f.must(err)
		same(t, "live groups", got, want)
	}
	check(live)
	_, err := f.EndMessage(f.ctx, appA, live[0].ID, herald.MessageExpired, start)
	f.must(err)
	live[0].State, live[0].Ended = herald.MessageExpired, start
	f.restart()
	check(live)
	f.sleep(herald.LateReceipts - time.Millisecond)
	check(live)
	f.sleep(time.Millisecond)
	check(live[1:])
	_, err = f.LiveGroups(f.ctx, none)
	refused(t, err, herald.CodeNotFound)
}

func testWithdrawn(t *testing.T, f *fixture) {
	var all []*record.Message
	for i := range 3 {
		m := f.message(1, 5)
		if i == 1 {
			m = f.group(dense(3))
		}
		all = append([]*record.Message{want(m, f.accept(m))}, all...)
	}
	for i, m := range all { // the newest is withdrawn first
		at := start.Add(time.Duration(i) * time.Minute)
		pos, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, at)
		f.must(err)
		m.State, m.Ended, m.EndPos = herald.MessageWithdrawn, at, pos
	}
	expired := f.message(1)
	f.accept(expired)
	_, err := f.EndMessage(f.ctx, appA, expired.ID, herald.MessageExpired, start.Add(time.Hour))
	f.must(err)
	f.restart()
	for i := range 4 {
		got, err := f.Withdrawn(f.ctx, appA, start.Add(time.Duration(i)*time.Minute-time.Millisecond))
		f.must(err)
		same(t, "withdrawn", got, all[i:])
	}
	_, err = f.Purge(f.ctx, start, start.Add(2*time.Hour), 10)
	f.must(err)
	got, err := f.Withdrawn(f.ctx, appA, start.Add(-time.Hour))
	f.must(err)
	same(t, "withdrawn after a purge", got, []*record.Message{})
	_, err = f.Withdrawn(f.ctx, none, start)
	refused(t, err, herald.CodeNotFound)
}
