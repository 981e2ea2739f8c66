package receipt

import (
	"context"
	"errors"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// planStore gives steps, and does something first while they are read.
type planStore struct {
	steps  []record.PlanStep
	parts  map[int]*sets.Set
	during func()
	err    error
	reads  int
}

func (p *planStore) PlanSteps(context.Context, herald.AppKey, herald.MessageID) ([]record.PlanStep, error) {
	p.reads++
	steps := p.steps
	if f := p.during; f != nil {
		p.during = nil
		f()
	}
	return steps, p.err
}

func (p *planStore) PlanSlab(_ context.Context, _ herald.AppKey, _ herald.MessageID, slab sets.Slab) (map[int]*sets.Set, error) {
	p.reads++
	out := map[int]*sets.Set{}
	for i, s := range p.parts {
		if part := s.Slab(slab); !part.Empty() {
			out[i] = part
		}
	}
	return out, p.err
}

func step(pos herald.Pos, ranges ...record.PlanRange) record.PlanStep {
	return record.PlanStep{Pos: pos, Ranges: ranges}
}

// A step that is tracked while the others are read is not lost.
func TestPlanReadBesideAStep(t *testing.T) {
	s := &planStore{steps: []record.PlanStep{step(5, record.PlanRange{First: 1, Last: 2})}, parts: map[int]*sets.Set{0: sets.New(1, 2, 70_000, 70_001), 1: sets.New(3)}}
	l := &plans{store: s}
	next := step(9, record.PlanRange{First: 3, Last: 70_000}, record.PlanRange{Part: 1, First: 3, Last: 3})
	s.during = func() {
		s.steps = append(s.steps, next)
		l.track(7, next)
	}
	at := func(o herald.Ordinal) herald.Pos {
		t.Helper()
		got, ok, err := l.step(t.Context(), "a", 7, o)
		if err != nil || ok != (got.Pos != 0) {
			t.Fatalf("device %d: %v %t %v", o, got, ok, err)
		}
		return got.Pos
	}
	for o, want := range map[herald.Ordinal]herald.Pos{1: 5, 2: 5, 3: 9, 4: 0, 70_000: 9, 70_001: 0, 200_000: 0} {
		if got := at(o); got != want {
			t.Errorf("device %d has it at %d, want %d", o, got, want)
		}
	}
	l.track(7, next) // again
	l.track(7, step(11, record.PlanRange{First: 70_001, Last: 70_001}))
	reads := s.reads
	if got := at(70_001); got != 11 || s.reads != reads {
		t.Errorf("the last has it at %d, after %d more readings", got, s.reads-reads)
	}
	all, err := l.released(t.Context(), "a", 7, sets.Range(100_000))
	if err != nil || !sets.Equal(all, sets.New(1, 2, 3, 70_000, 70_001)) {
		t.Errorf("released to %v, %v", all.Ordinals(), err)
	}
	if len(l.reading) != 0 {
		t.Error("somebody still reads")
	}
}

func TestPlanUnreadable(t *testing.T) {
	s := &planStore{err: errors.New("the disk is away")}
	l := &plans{store: s}
	if _, _, err := l.step(t.Context(), "a", 7, 1); !errors.Is(err, s.err) {
		t.Errorf("step: %v", err)
	}
	if _, err := l.released(t.Context(), "a", 7, sets.New(1)); !errors.Is(err, s.err) {
		t.Errorf("released: %v", err)
	}
	if _, err := l.slab(t.Context(), "a", 7, 0); !errors.Is(err, s.err) {
		t.Errorf("slab: %v", err)
	}
	if len(l.reading) != 0 || len(l.slabs) != 0 {
		t.Error("something is left of it")
	}
	if _, _, err := (&plans{store: noPlans{}}).step(t.Context(), "a", 7, 1); !errors.Is(err, errNoPlans) {
		t.Errorf("without a store: %v", err)
	}
	if _, err := (noPlans{}).PlanSlab(t.Context(), "a", 7, 1); !errors.Is(err, errNoPlans) {
		t.Errorf("without a store: %v", err)
	}
}

// What is remembered of plans is bounded.
func TestPlansAreForgotten(t *testing.T) {
	s := &planStore{parts: map[int]*sets.Set{}}
	l := &plans{store: s}
	for i := range 2 * maxPlans {
		if _, err := l.of(t.Context(), "a", herald.MessageID(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.byID) != maxPlans || len(l.order) != maxPlans {
		t.Errorf("%d plans are kept", len(l.byID))
	}
	for i := range maxPlanSlabs/planSlabSize + 10 {
		if _, err := l.slab(t.Context(), "a", herald.MessageID(i>>16), sets.Slab(i)); err != nil {
			t.Fatal(err)
		}
	}
	if l.bytes > maxPlanSlabs || len(l.slabs) != maxPlanSlabs/planSlabSize {
		t.Errorf("%d slabs with %d bytes are kept", len(l.slabs), l.bytes)
	}
}
