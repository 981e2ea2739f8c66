package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// inSteps gives a message a plan of parts, whose next step is due at once.
func (f *fixture) inSteps(a *record.Acceptance, parts ...*sets.Set) {
	p := &record.PlanStart{Plan: record.Plan{Every: time.Second, Steps: 3, Next: f.clock()}, Sets: parts}
	for i, s := range parts {
		p.Parts = append(p.Parts, record.PlanPart{Tier: i, Devices: s.Len()})
	}
	a.Plan, a.Facts = p, &record.Facts{Planned: true}
}

func (f *fixture) planOf(id herald.MessageID) *record.Plan {
	f.t.Helper()
	p, err := f.PlanOf(f.ctx, appA, id)
	f.must(err)
	return p
}

// part gathers a part of a plan from a slab on.
func (f *fixture) part(id herald.MessageID, part int, from herald.Ordinal) *sets.Set {
	f.t.Helper()
	out := sets.New()
	f.must(f.PlanPart(f.ctx, appA, id, part, from, func(s *sets.Set) bool { out.Or(s); return true }))
	return out
}

func testPlans(t *testing.T, f *fixture) {
	odd, even := sets.New(), dense(20)
	for o := range even.All() {
		if o%2 == 1 {
			odd.Add(o)
		}
	}
	even.AndNot(odd)
	for _, c := range []struct {
		name   string
		accept record.Acceptance
		parts  []*sets.Set
	}{
		{"direct", f.message(3, 70000, 90000), []*sets.Set{sets.New(3, 90000), sets.New(70000)}},
		{"group", f.group(sets.New(3, 70000, 90000)), []*sets.Set{sets.New(3, 90000), sets.New(70000)}},
		{"dense", f.group(dense(20)), []*sets.Set{even, odd}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.accept
			f.inSteps(&a, c.parts...)
			start := f.accept(a)
			f.restart()
			m := f.find(a.ID)
			if !m.Planned() || m.State != herald.MessageSending || m.Pos != start.Pos {
				t.Fatalf("the message is %+v", m)
			}
			same(t, "plan", f.planOf(a.ID).Parts, a.Plan.Parts)
			for i, want := range c.parts {
				if got := f.part(a.ID, i, 0); !sets.Equal(got, want) {
					t.Errorf("part %d has %d devices, want %d", i, got.Len(), want.Len())
				}
				if got := f.part(a.ID, i, 1<<16); !sets.Equal(got, sets.Minus(want, sets.Range(1<<16))) {
					t.Errorf("part %d from the second slab has %d devices", i, got.Len())
				}
				for slab, want := range want.Slabs() {
					got, err := f.PlanSlab(f.ctx, appA, a.ID, slab)
					f.must(err)
					if !sets.Equal(got[i], want) {
						t.Errorf("slab %d of part %d has %d devices, want %d", slab, i, got[i].Len(), want.Len())
					}
				}
			}
			job := f.lease(f.clock(), 10)
			if len(job) != 1 || job[0].Kind != record.JobStep || job[0].Msg != a.ID {
				t.Fatalf("the jobs are %+v", job)
			}
			f.steps(t, m, job[0], start.Pos)
		})
	}
}

// steps makes the steps of a plan, and ends its message.
func (f *fixture) steps(t *testing.T, m *record.Message, job record.Job, begun herald.Pos) {
	p := f.planOf(m.ID)
	p.Parts[0].Released, p.Parts[0].From, p.Made, p.Next = 1, 4, 1, f.clock().Add(time.Second)
	s := &record.Step{Job: job, Msg: m, Plan: p, Ranges: []record.PlanRange{{Part: 0, First: 3, Last: 3}}}
	if m.IsDirect() {
		s.Ords = []herald.Ordinal{3}
	}
	late := *s
	late.Job.Fence-- // somebody else has leased it since
	f.must(f.StepPlans(f.ctx, []*record.Step{&late, s}))
	f.restart()
	same(t, "plan", f.planOf(m.ID), p)
	list, err := f.PlanSteps(f.ctx, appA, m.ID)
	f.must(err)
	same(t, "steps", list, []record.PlanStep{{Pos: begun + 1, At: f.clock(), Ranges: s.Ranges}})
	releases, err := f.Releases(f.ctx, appA, begun-1, 10)
	f.must(err)
	if len(releases) != 2 || releases[0].Kind != record.ReleasePlan || releases[1].Kind != record.ReleaseStep || !slices.Equal(releases[1].Ranges, s.Ranges) {
		t.Errorf("the releases are %+v", releases)
	}
	if m.IsDirect() {
		same(t, "entries", f.entries(3), []record.Entry{{Pos: begun + 1, N: m.FirstN, Msg: m.ID}})
		same(t, "entries", f.entries(90000), []record.Entry(nil))
	}
	f.wantNext(p.Next)

	// A pause takes the job away from who holds it.
	held := f.lease(p.Next, 10)[0]
	paused, pos, err := f.ChangePlan(f.ctx, appA, m.ID, record.PlanPause)
	f.must(err)
	if !paused.Paused || pos != 0 {
		t.Errorf("paused: %+v, %d", paused, pos)
	}
	f.wantNext(time.Time{})
	s.Job = held
	f.must(f.StepPlans(f.ctx, []*record.Step{s}))
	same(t, "plan", f.planOf(m.ID), &paused)
	resumed, _, err := f.ChangePlan(f.ctx, appA, m.ID, record.PlanResume)
	f.must(err)
	f.wantNext(resumed.Next)
	held = f.lease(f.clock(), 10)[0]
	_, pos, err = f.ChangePlan(f.ctx, appA, m.ID, record.PlanStop)
	f.must(err)
	same(t, "position of the stop", pos, begun+2)
	f.wantNext(time.Time{})
	_, _, err = f.ChangePlan(f.ctx, appA, m.ID, record.PlanResume)
	refused(t, err, herald.CodeConflict)

	_, err = f.EndMessage(f.ctx, appA, m.ID, herald.MessageExpired, f.clock())
	f.must(err)
	s.Job = held
	f.must(f.StepPlans(f.ctx, []*record.Step{s}))
	_, _, err = f.ChangePlan(f.ctx, appA, m.ID, record.PlanStop)
	refused(t, err, herald.CodeConflict)
	if m.IsDirect() {
		same(t, "entries after the end", f.entries(3), []record.Entry(nil))
	}
	_, err = f.Purge(f.ctx, f.clock(), f.clock().Add(time.Hour), 10)
	f.must(err)
	if _, err := f.PlanOf(f.ctx, appA, m.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("the plan is left: %v", err)
	}
	if list, err := f.PlanSteps(f.ctx, appA, m.ID); err != nil || len(list) != 0 {
		t.Errorf("steps are left: %v %v", list, err)
	}
	if got := f.part(m.ID, 0, 0); !got.Empty() {
		t.Errorf("%d devices of a part are left", got.Len())
	}
	if list, err := f.Releases(f.ctx, appA, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("releases are left: %v %v", list, err)
	}
}

func testPlansRefuse(t *testing.T, f *fixture) {
	at := f.accept(f.message(3))
	_, _, err := f.ChangePlan(f.ctx, appA, 1<<40, record.PlanPause)
	refused(t, err, herald.CodeNotFound)
	plain, err := f.Releases(f.ctx, appA, at.Pos-1, 1)
	f.must(err)
	_, _, err = f.ChangePlan(f.ctx, appA, plain[0].Msg.ID, record.PlanPause)
	refused(t, err, herald.CodeConflict)
	m := f.schedule()
	_, _, err = f.ChangePlan(f.ctx, appA, m.ID, record.PlanStop)
	refused(t, err, herald.CodeConflict)

	// What falls due may be released in steps: the job is another one then.
	job := f.lease(start.Add(time.Hour), 1)[0]
	due := record.Acceptance{Message: m.Message}
	due.Direct, due.Target, due.State = []herald.Ordinal{7, 9}, 2, herald.MessageSending
	f.inSteps(&due, sets.New(7, 9))
	_, err = f.ReleaseDue(f.ctx, job, due.Message)
	f.must(err)
	if next := f.lease(start.Add(2*time.Hour), 2); len(next) != 1 || next[0].Kind != record.JobStep {
		t.Errorf("the jobs are %+v", next)
	}
	if got := f.find(m.ID); !got.Planned() || got.State != herald.MessageSending {
		t.Errorf("the message is %+v", got)
	}
	same(t, "entries", f.entries(7), []record.Entry(nil))
	if p, err := f.PlanSlab(f.ctx, appA, m.ID, 0); err != nil || p[0].Len() != 2 {
		t.Errorf("the part is %v, %v", p, err)
	}
}
