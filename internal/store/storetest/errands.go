package storetest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Errands are steps of routes, what they have vendors be asked for, and what
// came of it.
type Errands interface {
	RouteSteps
	Attempts
	Held
	ErrandLanes(ctx context.Context, now time.Time) (lanes []record.Lane, next time.Time, err error)
	LeaseErrands(ctx context.Context, l record.Lane, now time.Time, lease time.Duration, limit int) ([]record.Errand, error)
	SaveErrand(ctx context.Context, s record.ErrandSave) error
}

// RouteSteps are steps of routes.
type RouteSteps interface {
	NextRouteStep(ctx context.Context) (time.Time, error)
	LeaseRouteSteps(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]record.RouteStep, error)
	PlanStep(ctx context.Context, s record.RouteStep, list []record.Errand, done bool) error
	SkipStep(ctx context.Context, s record.RouteStep, vendor herald.Vendor, slab sets.Slab, code string, devices *sets.Set) error
	Tried(ctx context.Context, app herald.AppKey, id herald.MessageID, step int, owner record.Owner, slab sets.Slab) (*sets.Set, error)
}

// Attempts are what came of errands.
type Attempts interface {
	AttemptCounts(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.AttemptCount, error)
	AttemptDetails
	Reported(ctx context.Context, app herald.AppKey, list []record.VendorReport) ([]record.Attempt, error)
	Dead
}

// AttemptDetails are attempts one by one, and what is left.
type AttemptDetails interface {
	Attempts(ctx context.Context, app herald.AppKey, id herald.MessageID, limit int) ([]record.Attempt, error)
	AttemptsOf(ctx context.Context, app herald.AppKey, id herald.MessageID, owner record.Owner, ord herald.Ordinal) ([]record.Attempt, error)
	StepsLeft(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.StepLeft, error)
}

// Dead is what is not tried again.
type Dead interface {
	DeadLetters(ctx context.Context, app herald.AppKey, limit int) ([]record.AttemptCount, error)
	RetryDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (int64, error)
	DiscardDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (int64, error)
}

// routed accepts a message with steps of a route that come after its release.
func (f *fixture) routed(later ...record.StepAfter) *record.Message {
	f.t.Helper()
	a := f.message(f.register(appA, 1).Ord, f.register(appA, 2).Ord, f.register(appA, 3).Ord)
	a.Later = later
	f.accept(a)
	return f.find(a.ID)
}

// lane is where the errands of the tests are.
var lane = record.Lane{App: appA, Vendor: herald.VendorAPNs, Env: "sandbox", Credential: "main"}

func errandFor(m *record.Message, at time.Time, l record.Lane, ords ...herald.Ordinal) record.Errand {
	return record.Errand{Lane: l, Msg: m.ID, Owner: record.OwnerDevice, Kind: "apns", Slab: sets.SlabOf(ords[0]), At: at, Left: sets.New(ords...)}
}

func testRouteSteps(t *testing.T, f *fixture) {
	m := f.routed(record.StepAfter{Step: 1}, record.StepAfter{Step: 2, After: time.Minute})
	next, err := f.NextRouteStep(f.ctx)
	f.must(err)
	now := next
	list, err := f.LeaseRouteSteps(f.ctx, now, time.Second, 9)
	f.must(err)
	if len(list) != 1 || list[0].Step != 1 || list[0].Msg != m.ID || list[0].App != appA || !list[0].Due.Equal(now) {
		t.Fatalf("due: %+v", list)
	}
	if again, err := f.LeaseRouteSteps(f.ctx, now, time.Second, 9); err != nil || len(again) != 0 {
		t.Errorf("leased twice: %+v, %v", again, err)
	}
	held, err := f.LeaseRouteSteps(f.ctx, now.Add(time.Second), time.Second, 9)
	f.must(err)
	if len(held) != 1 || held[0].ID != list[0].ID || held[0].Fence == list[0].Fence {
		t.Fatalf("after the lease: %+v", held)
	}
	o := m.Direct
	refused(t, f.PlanStep(f.ctx, list[0], nil, true), herald.CodeConflict)
	e := errandFor(m, now, lane, o[0], o[1])
	e.Step = 1
	minute := record.StepLeft{Step: 2, Due: now.Add(time.Minute)}
	left := func(what string, want ...record.StepLeft) {
		got, err := f.StepsLeft(f.ctx, appA, m.ID)
		f.must(err)
		same(t, "steps left "+what, got, want)
	}
	left("at first", record.StepLeft{Step: 1, Due: now}, minute)
	f.must(f.PlanStep(f.ctx, held[0], []record.Errand{e}, false))
	tried, err := f.Tried(f.ctx, appA, m.ID, 1, record.OwnerDevice, 0)
	f.must(err)
	same(t, "who is tried", tried.Ordinals(), o[:2])
	refused(t, f.SkipStep(f.ctx, list[0], "", 0, "no_address", sets.New(o[2])), herald.CodeConflict)
	f.must(f.SkipStep(f.ctx, held[0], "", 0, "no_address", sets.New(o[2])))
	counts, err := f.AttemptCounts(f.ctx, appA, m.ID)
	f.must(err)
	if len(counts) != 1 || counts[0].Fate != record.FateSkipped || counts[0].Code != "no_address" || counts[0].Count != 1 {
		t.Errorf("who is left out: %+v", counts)
	}
	f.must(f.PlanStep(f.ctx, held[0], nil, true))
	left("once it is planned", minute, record.StepLeft{Step: 1})
	refused(t, f.PlanStep(f.ctx, held[0], nil, true), herald.CodeConflict)
	if next, err = f.NextRouteStep(f.ctx); err != nil || next.Sub(now) != time.Minute {
		t.Errorf("the next step is %v after the first, %v", next.Sub(now), err)
	}
}

func testErrands(t *testing.T, f *fixture) {
	m := f.routed(record.StepAfter{})
	now, err := f.NextRouteStep(f.ctx)
	f.must(err)
	steps, err := f.LeaseRouteSteps(f.ctx, now, time.Second, 9)
	f.must(err)
	o := m.Direct
	other := lane
	other.Vendor = herald.VendorFCM
	f.must(f.PlanStep(f.ctx, steps[0], []record.Errand{errandFor(m, now, lane, o...), errandFor(m, now.Add(time.Hour), other, o[0])}, true))
	f.restart()
	lanes, next, err := f.ErrandLanes(f.ctx, now)
	f.must(err)
	same(t, "lanes that are due", lanes, []record.Lane{lane})
	if !next.Equal(now.Add(time.Hour)) {
		t.Errorf("the next is due at %v", next)
	}
	list, err := f.LeaseErrands(f.ctx, lane, now, time.Minute, 9)
	f.must(err)
	if len(list) != 1 || list[0].Left.Len() != 3 || list[0].Doubt != nil || list[0].Kind != "apns" || list[0].Lane != lane {
		t.Fatalf("leased: %+v", list)
	}
	if again, err := f.LeaseErrands(f.ctx, lane, now, time.Minute, 9); err != nil || len(again) != 0 {
		t.Errorf("leased twice: %+v, %v", again, err)
	}
	e := list[0]
	e.Left, e.Doubt, e.Tries = sets.New(o[1], o[2]), sets.New(o[1]), 3
	attempt := record.Attempt{App: appA, Msg: m.ID, Vendor: lane.Vendor, Owner: record.OwnerDevice, Ord: o[0], Reference: "r-1,r-2",
		Fate: record.FateAccepted, Tries: 1, At: now.UTC(), Trace: json.RawMessage(`[{"status":200}]`)}
	f.must(f.SaveErrand(f.ctx, record.ErrandSave{Errand: &e, Attempts: []record.Attempt{attempt},
		Tallies: []record.Tally{{Fate: record.FateAccepted, Set: sets.New(o[0])}}}))
	old := list[0]
	list, err = f.LeaseErrands(f.ctx, lane, now.Add(time.Minute), time.Minute, 9)
	f.must(err)
	if len(list) != 1 || !slices.Equal(list[0].Left.Ordinals(), o[1:]) || !slices.Equal(list[0].Doubt.Ordinals(), o[1:2]) || list[0].Tries != 3 {
		t.Fatalf("leased: %+v", list)
	}
	refused(t, f.SaveErrand(f.ctx, record.ErrandSave{Errand: &old}), herald.CodeConflict)
	e = list[0]
	e.Left, e.Doubt = sets.New(), nil
	f.must(f.SaveErrand(f.ctx, record.ErrandSave{Errand: &e, Tallies: []record.Tally{
		{Fate: record.FateAccepted, Set: sets.New(o[1])}, {Fate: record.FateFailed, Code: "unregistered/Unregistered", Set: sets.New(o[2])}}}))
	if lanes, _, err = f.ErrandLanes(f.ctx, now.Add(time.Hour)); err != nil || len(lanes) != 1 || lanes[0] != other {
		t.Errorf("lanes: %+v, %v", lanes, err)
	}
	counts, err := f.AttemptCounts(f.ctx, appA, m.ID)
	f.must(err)
	byFate := map[record.Fate]int64{}
	for _, c := range counts {
		byFate[c.Fate] += c.Count
	}
	same(t, "outcomes", byFate, map[record.Fate]int64{record.FateAccepted: 2, record.FateFailed: 1})
	kept, err := f.Attempts(f.ctx, appA, m.ID, 9)
	f.must(err)
	attempt.Reference = "r-1"
	same(t, "attempts", kept, []record.Attempt{attempt})
	for i, want := range []record.Attempt{attempt, {Vendor: lane.Vendor, Fate: record.FateAccepted}, {Vendor: lane.Vendor, Fate: record.FateFailed, Code: "unregistered/Unregistered"}} {
		got, err := f.AttemptsOf(f.ctx, appA, m.ID, record.OwnerDevice, o[i])
		f.must(err)
		if want.App == "" && len(got) == 1 && !got[0].At.IsZero() {
			want.App, want.Msg, want.Owner, want.Ord, want.At = appA, m.ID, record.OwnerDevice, o[i], got[0].At
		}
		same(t, "attempts of one", got, []record.Attempt{want})
	}
	testReported(t, f, attempt)
}

// testReported: what a vendor says later is kept, and never taken back by less.
func testReported(t *testing.T, f *fixture, a record.Attempt) {
	at := a.At.Add(time.Second)
	got, err := f.Reported(f.ctx, appA, []record.VendorReport{
		{Vendor: a.Vendor, Reference: "nobody's", State: herald.StateReceived, Time: at}, {Vendor: a.Vendor, Reference: "r-1", State: herald.StateReceived, Time: at},
		{Vendor: a.Vendor, Reference: "r-1", Problem: &record.Problem{Kind: "rejected"}, Time: at}, {Vendor: "other", Reference: "r-1", State: herald.StateClicked, Time: at}, {},
	})
	f.must(err)
	if len(got) != 2 || got[0].State != herald.StateReceived || got[1].State != herald.StateReceived || got[1].Problem != nil || !got[0].StateAt.Equal(at) {
		t.Errorf("reported: %+v", got)
	}
}

func testDeadLetters(t *testing.T, f *fixture) {
	m := f.routed(record.StepAfter{})
	now, err := f.NextRouteStep(f.ctx)
	f.must(err)
	steps, err := f.LeaseRouteSteps(f.ctx, now, time.Second, 9)
	f.must(err)
	o := m.Direct
	f.must(f.PlanStep(f.ctx, steps[0], []record.Errand{errandFor(m, now, lane, o...)}, true))
	list, err := f.LeaseErrands(f.ctx, lane, now, time.Minute, 9)
	f.must(err)
	e := list[0]
	e.Left = sets.New()
	f.must(f.SaveErrand(f.ctx, record.ErrandSave{Errand: &e, Tallies: []record.Tally{
		{Fate: record.FateFailed, Code: "rejected/BadTopic", Set: sets.New(o[0], o[1])}, {Fate: record.FateUnknown, Code: "unavailable", Set: sets.New(o[2])}}}))
	dead, err := f.DeadLetters(f.ctx, appA, 9)
	f.must(err)
	if len(dead) != 2 {
		t.Fatalf("dead letters: %+v", dead)
	}
	for _, c := range dead {
		if c.Code == "unavailable" {
			n, err := f.DiscardDead(f.ctx, appA, c)
			if f.must(err); n != 1 {
				t.Errorf("%d were discarded", n)
			}
			continue
		}
		n, err := f.RetryDead(f.ctx, appA, c)
		if f.must(err); n != 2 {
			t.Errorf("%d are tried again", n)
		}
		if n, err = f.RetryDead(f.ctx, appA, c); err != nil || n != 0 {
			t.Errorf("%d are tried again twice, %v", n, err)
		}
	}
	if dead, err = f.DeadLetters(f.ctx, appA, 9); err != nil || len(dead) != 0 {
		t.Errorf("dead letters: %+v, %v", dead, err)
	}
	tried, err := f.Tried(f.ctx, appA, m.ID, 0, record.OwnerDevice, 0)
	f.must(err)
	same(t, "who is tried", tried.Ordinals(), o[2:])
	if again, err := f.NextRouteStep(f.ctx); err != nil || again.IsZero() {
		t.Errorf("the step is due at %v, %v", again, err)
	}
	// With the message all of it goes.
	_, err = f.EndMessage(f.ctx, appA, m.ID, herald.MessageExpired, now)
	f.must(err)
	_, err = f.Purge(f.ctx, now.Add(time.Hour), now.Add(time.Hour), 9)
	f.must(err)
	if tried, err = f.Tried(f.ctx, appA, m.ID, 0, record.OwnerDevice, 0); err != nil || !tried.Empty() {
		t.Errorf("after the purge %d are tried, %v", tried.Len(), err)
	}
	if again, err := f.NextRouteStep(f.ctx); err != nil || !again.IsZero() {
		t.Errorf("after the purge a step is due at %v, %v", again, err)
	}
}

// testErasedAttempts: with a person goes what was said with vendors about them.
func testErasedAttempts(t *testing.T, f *fixture) {
	m := f.routed(record.StepAfter{})
	now, err := f.NextRouteStep(f.ctx)
	f.must(err)
	steps, err := f.LeaseRouteSteps(f.ctx, now, time.Second, 9)
	f.must(err)
	var ords []herald.Ordinal
	for _, alias := range []herald.Alias{"ann", "bob"} {
		_, err := f.PutRecipient(f.ctx, appA, alias)
		f.must(err)
		found, err := f.Recipients(f.ctx, appA, []herald.Alias{alias})
		f.must(err)
		ords = append(ords, herald.Ordinal(found[alias].Ord))
	}
	e := errandFor(m, now, lane, ords...)
	e.Owner = record.OwnerRecipient
	f.must(f.PlanStep(f.ctx, steps[0], []record.Errand{e}, true))
	list, err := f.LeaseErrands(f.ctx, lane, now, time.Minute, 9)
	f.must(err)
	save := record.ErrandSave{Errand: &list[0], Tallies: []record.Tally{{Fate: record.FateAccepted, Set: sets.New(ords...)}}}
	save.Errand.Left = sets.New()
	for _, o := range ords {
		save.Attempts = append(save.Attempts, record.Attempt{App: appA, Msg: m.ID, Vendor: lane.Vendor, Owner: record.OwnerRecipient, Ord: o, Fate: record.FateAccepted, At: now})
	}
	f.must(f.SaveErrand(f.ctx, save))
	f.must(f.DeleteRecipient(f.ctx, appA, "ann"))
	left, err := f.Attempts(f.ctx, appA, m.ID, 9)
	f.must(err)
	if len(left) != 1 || left[0].Ord != ords[1] {
		t.Errorf("attempts that are left: %+v", left)
	}
	counts, err := f.AttemptCounts(f.ctx, appA, m.ID)
	f.must(err)
	if len(counts) != 1 || counts[0].Count != 2 {
		t.Errorf("counts %+v", counts)
	}
}
