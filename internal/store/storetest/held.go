package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Held takes messages that their routes have kept from connections to them.
type Held interface {
	LastRelease(ctx context.Context, app herald.AppKey) (herald.Pos, error)
	StepsBefore(ctx context.Context, s record.RouteStep) (planning []int, asking bool, err error)
	PutOffStep(ctx context.Context, s record.RouteStep, until time.Time) error
	GoLive(ctx context.Context, s record.RouteStep, m *record.Message, list []record.LiveRelease) error
}

// heldFrom gives a message the plan of one that is held and released to everybody
// at once, and whose steps vendor and live are due.
func (f *fixture) heldFrom(a *record.Acceptance, whole *sets.Set) {
	first, last := whole.Bounds()
	n := whole.Len()
	a.Plan = &record.PlanStart{
		Plan: record.Plan{Held: true, Whole: true, Made: 1, Parts: []record.PlanPart{{Devices: n, Released: n, From: uint64(last) + 1}}},
		Sets: []*sets.Set{whole}, Ranges: []record.PlanRange{{First: first, Last: last}},
	}
	a.Facts, a.ByAlias, a.EvalPos = &record.Facts{Planned: true, Held: true}, true, 3
	a.Later = []record.StepAfter{{Step: 0}, {Step: 1}}
}

func testHeld(t *testing.T, f *fixture) {
	for _, c := range []struct {
		name   string
		accept record.Acceptance
		whole  *sets.Set
		left   herald.Ordinal // a device that does not get it live
	}{
		{"direct", f.message(3, 70000, 90000), sets.New(3, 70000, 90000), 70000},
		{"group", f.group(sets.New(3, 70000, 90000)), sets.New(3, 70000, 90000), 70000},
		{"dense", f.group(dense(20)), dense(20), 70000},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.accept
			f.heldFrom(&a, c.whole)
			begun := f.accept(a)
			f.restart()
			m := f.find(a.ID)
			if !m.Planned() || !m.Held() || m.FirstN != begun.FirstN {
				t.Fatalf("the message is %+v", m)
			}
			releases, err := f.Releases(f.ctx, appA, begun.Pos-1, 10)
			f.must(err)
			if len(releases) != 1 || releases[0].Kind != record.ReleasePlan || releases[0].Step != begun.Pos {
				t.Errorf("the releases are %+v", releases)
			}
			same(t, "ranges", releases[0].Ranges, a.Plan.Ranges)
			f.wantNext(time.Time{})
			f.waitsByAlias(t, m, 3, false)
			f.goesLive(t, m, begun.Pos, c.left, a.Plan.Ranges)
		})
	}
}

// waitsByAlias checks what a change of aliases and a connection find of a message
// for a device.
func (f *fixture) waitsByAlias(t *testing.T, m *record.Message, o herald.Ordinal, live bool) {
	t.Helper()
	if !m.IsDirect() {
		return
	}
	list, err := f.AliasEntries(f.ctx, appA, sets.New(o), 7, f.clock())
	f.must(err)
	if len(list) != 1 || list[0].Ord != o || list[0].Msg != m.ID || list[0].Pos == 0 == live {
		t.Errorf("by alias there is %+v", list)
	}
	if n := len(f.entries(o)); n > 0 != live {
		t.Errorf("%d entries", n)
	}
}

// goesLive takes a message to connections and ends it.
func (f *fixture) goesLive(t *testing.T, m *record.Message, begun herald.Pos, without herald.Ordinal, ranges []record.PlanRange) {
	now, err := f.NextRouteStep(f.ctx)
	f.must(err)
	steps, err := f.LeaseRouteSteps(f.ctx, now, time.Minute, 9)
	f.must(err)
	if len(steps) != 2 || steps[1].Step != 1 {
		t.Fatalf("steps of the route: %+v", steps)
	}
	before := func(what string, planning []int, asking bool) {
		t.Helper()
		p, asks, err := f.StepsBefore(f.ctx, steps[1])
		f.must(err)
		same(t, "steps before it "+what, p, planning)
		same(t, "is asked for "+what, asks, asking)
	}
	before("at first", []int{0}, false)
	f.must(f.PlanStep(f.ctx, steps[0], []record.Errand{errandFor(m, now, lane, without)}, true))
	before("while a vendor is asked", nil, true)
	list, err := f.LeaseErrands(f.ctx, lane, now, time.Minute, 9)
	f.must(err)
	list[0].Tries = 1
	f.must(f.SaveErrand(f.ctx, record.ErrandSave{Errand: &list[0]}))
	before("once it was", nil, false)

	f.must(f.PutOffStep(f.ctx, steps[1], now.Add(time.Second)))
	early, err := f.LeaseRouteSteps(f.ctx, now, time.Minute, 9)
	f.must(err)
	later, err := f.LeaseRouteSteps(f.ctx, now.Add(time.Second), time.Minute, 9)
	f.must(err)
	if len(early) != 0 || len(later) != 1 || !later[0].Due.Equal(steps[1].Due) {
		t.Fatalf("put off: %+v, %+v", early, later)
	}
	live := []record.LiveRelease{{Step: begun, Left: sets.New(without)}}
	if m.IsDirect() {
		live[0].Ords = []herald.Ordinal{3, 90000}
	}
	refused(t, f.PutOffStep(f.ctx, steps[1], now), herald.CodeConflict)
	refused(t, f.GoLive(f.ctx, steps[1], m, live), herald.CodeConflict)
	f.must(f.GoLive(f.ctx, later[0], m, live))
	f.must(f.GoLive(f.ctx, later[0], m, live)) // it is there already
	f.restart()
	f.wantLive(t, m, begun, without, ranges)

	_, err = f.EndMessage(f.ctx, appA, m.ID, herald.MessageExpired, f.clock())
	f.must(err)
	refused(t, f.GoLive(f.ctx, later[0], m, nil), herald.CodeConflict) // of the run before
	later, err = f.LeaseRouteSteps(f.ctx, now.Add(time.Second), time.Minute, 9)
	f.must(err)
	f.must(f.GoLive(f.ctx, later[0], m, []record.LiveRelease{{Step: begun + 1}}))
	_, err = f.Purge(f.ctx, f.clock(), f.clock().Add(time.Hour), 10)
	f.must(err)
	if list, err := f.Releases(f.ctx, appA, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("releases are left: %v %v", list, err)
	}
	if last, err := f.LastRelease(f.ctx, appA); err != nil || last != 0 {
		t.Errorf("the last release is at %d, %v", last, err)
	}
	if p, err := f.PlanSlab(f.ctx, appA, m.ID, sets.SlabOf(without)); err != nil || len(p) != 0 {
		t.Errorf("of the plan %v is left, %v", p, err)
	}
}

func (f *fixture) wantLive(t *testing.T, m *record.Message, begun herald.Pos, without herald.Ordinal, ranges []record.PlanRange) {
	t.Helper()
	releases, err := f.Releases(f.ctx, appA, begun, 10)
	f.must(err)
	if len(releases) != 1 || releases[0].Kind != record.ReleaseLive || releases[0].Step != begun || releases[0].Msg.ID != m.ID {
		t.Fatalf("the releases are %+v", releases)
	}
	same(t, "ranges", releases[0].Ranges, ranges)
	f.register(appA, 9) // which has a place in the log as well
	last, err := f.LastRelease(f.ctx, appA)
	f.must(err)
	same(t, "the last release", last, releases[0].Pos)
	made, err := f.PlanSteps(f.ctx, appA, m.ID)
	f.must(err)
	if len(made) != 1 || made[0].Pos != begun || made[0].Live != releases[0].Pos {
		t.Errorf("the steps are %+v", made)
	}
	parts, err := f.PlanSlab(f.ctx, appA, m.ID, sets.SlabOf(without))
	f.must(err)
	same(t, "who is left out", parts[record.LeftOut].Ordinals(), []herald.Ordinal{without})
	f.waitsByAlias(t, m, 3, true)
	f.waitsByAlias(t, m, without, false)
}

// testHeldEnds: nothing is left of a message that ends before it goes live, or
// whose device is erased, and one that is emptied stays held.
func testHeldEnds(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	for _, erased := range []bool{true, false} {
		a := f.message(d.Ord)
		f.heldFrom(&a, sets.New(d.Ord))
		begun := f.accept(a)
		m := f.find(a.ID)
		f.waitsByAlias(t, m, d.Ord, false)
		now, err := f.NextRouteStep(f.ctx)
		f.must(err)
		steps, err := f.LeaseRouteSteps(f.ctx, now, time.Minute, 9)
		f.must(err)
		if erased {
			_, err := f.Erase(f.ctx, record.Erasure{App: appA, ID: d.ID, Ord: d.Ord, Gone: true})
			f.must(err)
			if got := f.find(a.ID); !got.Planned() || !got.Held() || string(got.Body) != "{}" {
				t.Errorf("emptied it is %+v", got)
			}
		} else {
			_, err := f.EndMessage(f.ctx, appA, a.ID, herald.MessageWithdrawn, f.clock())
			f.must(err)
			f.must(f.GoLive(f.ctx, steps[1], m, []record.LiveRelease{{Step: begun.Pos, Ords: []herald.Ordinal{d.Ord}}}))
		}
		if list, err := f.AliasEntries(f.ctx, appA, sets.New(d.Ord), 7, f.clock()); err != nil || len(list) != 0 {
			t.Errorf("by alias there is %+v, %v", list, err)
		}
		same(t, "entries", f.entries(d.Ord), []record.Entry(nil))
	}
}
