package receipt

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// PlanStore finds how messages were released that are released in steps.
type PlanStore interface {
	// PlanSteps lists the releases that a plan has made, in log order.
	PlanSteps(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.PlanStep, error)
	// PlanSlab gives the devices of each part of a plan that are in one slab, and
	// those that are left out; see record.LeftOut.
	PlanSlab(ctx context.Context, app herald.AppKey, id herald.MessageID, slab sets.Slab) (map[int]*sets.Set, error)
}

// How much of plans is remembered; what is not is read again.
const (
	maxPlans     = 1024
	maxPlanSlabs = 64 << 20 // bytes of parts
	planSlabSize = 256      // what parts of a slab take beside their sets, about
)

// plans knows which devices a message was released to that is released in
// steps: a device is in one part of it, and a part is released from its lowest
// ordinal on. It is a memory of the record.
type plans struct {
	store PlanStore

	mu      sync.Mutex // guards what follows
	byID    map[herald.MessageID]*plan
	order   []herald.MessageID
	slabs   map[planSlab]map[int]*sets.Set
	lives   uint64 // how many steps went live since the start: each may leave devices out
	oldest  []planSlab
	bytes   int64                        // that slabs take
	reading map[herald.MessageID][]*bool // by who reads a plan now: a step of it was tracked since
}

type planSlab struct {
	id   herald.MessageID
	slab sets.Slab
}

// plan is the steps that a message has made. It is not changed: a step makes
// another one.
type plan struct {
	steps  []record.PlanStep
	ranges map[int][]planned // by part, ascending
}

// planned is a range with the place of its step.
type planned struct {
	record.PlanRange
	step int
}

func newPlan(steps []record.PlanStep) *plan {
	p := &plan{steps: steps, ranges: map[int][]planned{}}
	for i, s := range steps {
		for _, r := range s.Ranges {
			p.ranges[r.Part] = append(p.ranges[r.Part], planned{r, i})
		}
	}
	return p
}

// upto gives the devices of a part that are released.
func (p *plan) upto(part int, s *sets.Set) *sets.Set {
	list := p.ranges[part]
	if len(list) == 0 {
		return sets.New()
	}
	return record.PlanRange{Last: list[len(list)-1].Last}.Of(s)
}

// of gives the plan of a message.
func (l *plans) of(ctx context.Context, app herald.AppKey, id herald.MessageID) (*plan, error) {
	for {
		l.mu.Lock()
		p := l.byID[id]
		if p != nil {
			l.mu.Unlock()
			return p, nil
		}
		missed := new(bool)
		if l.reading == nil {
			l.reading = map[herald.MessageID][]*bool{}
		}
		l.reading[id] = append(l.reading[id], missed)
		l.mu.Unlock()
		steps, err := l.store.PlanSteps(ctx, app, id)
		p, again := l.read(id, steps, missed, err)
		if !again {
			return p, err
		}
	}
}

// read takes the steps of a plan that were read, unless they may have been read
// before a step that is tracked by now.
func (l *plans) read(id herald.MessageID, steps []record.PlanStep, missed *bool, err error) (p *plan, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading[id] = slices.DeleteFunc(l.reading[id], func(other *bool) bool { return other == missed })
	if len(l.reading[id]) == 0 {
		delete(l.reading, id)
	}
	switch {
	case err != nil:
		return nil, false
	case *missed:
		return nil, true
	case l.byID[id] != nil:
		return l.byID[id], false
	case l.byID == nil:
		l.byID = map[herald.MessageID]*plan{}
	}
	if l.order = append(l.order, id); len(l.order) > maxPlans {
		delete(l.byID, l.order[0])
		l.order = l.order[1:]
	}
	p = newPlan(steps)
	l.byID[id] = p
	return p, false
}

// track adds a step that was made, if the others are at hand.
func (l *plans) track(id herald.MessageID, step record.PlanStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, missed := range l.reading[id] {
		*missed = true
	}
	p := l.byID[id]
	if p == nil {
		return
	}
	if n := len(p.steps); n > 0 && p.steps[n-1].Pos >= step.Pos {
		return
	}
	next := &plan{steps: append(p.steps, step), ranges: p.ranges}
	next.ranges = make(map[int][]planned, len(p.ranges)+1)
	for part, list := range p.ranges {
		next.ranges[part] = list
	}
	for _, r := range step.Ranges {
		next.ranges[r.Part] = append(next.ranges[r.Part], planned{r, len(p.steps)})
	}
	l.byID[id] = next
}

// slab gives the parts of a message in one slab. They must not be changed.
func (l *plans) slab(ctx context.Context, app herald.AppKey, id herald.MessageID, slab sets.Slab) (map[int]*sets.Set, error) {
	k := planSlab{id, slab}
	l.mu.Lock()
	parts, ok := l.slabs[k]
	lives := l.lives
	l.mu.Unlock()
	if ok {
		return parts, nil
	}
	parts, err := l.store.PlanSlab(ctx, app, id, slab)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slabs == nil {
		l.slabs = map[planSlab]map[int]*sets.Set{}
	}
	if _, ok := l.slabs[k]; ok || lives != l.lives {
		return parts, nil // read before a step that went live meanwhile, maybe
	}
	l.slabs[k], l.oldest, l.bytes = parts, append(l.oldest, k), l.bytes+partsSize(parts)
	for l.bytes > maxPlanSlabs && len(l.oldest) > 1 {
		l.bytes -= partsSize(l.slabs[l.oldest[0]])
		delete(l.slabs, l.oldest[0])
		l.oldest = l.oldest[1:]
	}
	return parts, nil
}

func partsSize(parts map[int]*sets.Set) int64 {
	n := int64(planSlabSize)
	for _, s := range parts {
		n += s.Size()
	}
	return n
}

// released leaves of a set the devices that a message was released to.
func (l *plans) released(ctx context.Context, app herald.AppKey, id herald.MessageID, set *sets.Set) (*sets.Set, error) {
	p, err := l.of(ctx, app, id)
	if err != nil {
		return nil, err
	}
	out := sets.New()
	for slab, some := range set.Slabs() {
		parts, err := l.slab(ctx, app, id, slab)
		if err != nil {
			return nil, err
		}
		for part, s := range parts {
			out.Or(sets.Intersect(some, p.upto(part, s))) // nothing of LeftOut, which no step has
		}
	}
	return out, nil
}

// step finds the release of a message to one device, as far as routes go: to
// connections it may go later.
func (l *plans) step(ctx context.Context, app herald.AppKey, id herald.MessageID, o herald.Ordinal) (step record.PlanStep, ok bool, err error) {
	p, err := l.of(ctx, app, id)
	if err != nil {
		return step, false, err
	}
	parts, err := l.slab(ctx, app, id, sets.SlabOf(o))
	if err != nil {
		return step, false, err
	}
	for part, s := range parts {
		if !s.Contains(o) {
			continue
		}
		list := p.ranges[part]
		i, _ := slices.BinarySearchFunc(list, o, func(r planned, o herald.Ordinal) int {
			if r.Last < o {
				return -1
			}
			return 1
		})
		if i < len(list) && list[i].First <= o {
			return p.steps[list[i].step], true, nil
		}
	}
	return step, false, nil
}

// TrackStep takes a step of a message that is released in steps into what is
// known of it. The message is tracked as any other.
func (l *Ledger) TrackStep(m *record.Message, step record.PlanStep) { l.plans.track(m.ID, step) }

// StepSet gives the devices of a step.
func (l *Ledger) StepSet(ctx context.Context, m *record.Message, ranges []record.PlanRange) (*sets.Set, error) {
	out := sets.New()
	for _, r := range ranges {
		for slab := sets.SlabOf(r.First); ; slab++ {
			parts, err := l.plans.slab(ctx, m.App, m.ID, slab)
			if err != nil {
				return nil, err
			}
			if s := parts[r.Part]; s != nil {
				out.Or(r.Of(s))
			}
			if slab == sets.SlabOf(r.Last) {
				break
			}
		}
	}
	return out, nil
}

// StepOf finds the release of a message to one device, if the message is
// released in steps and has come to the device.
func (l *Ledger) StepOf(ctx context.Context, m *record.Message, o herald.Ordinal) (record.PlanStep, bool, error) {
	return l.plans.step(ctx, m.App, m.ID, o)
}

// PartOf gives the part of a plan that a device is in; -1 if it is in none.
func (l *Ledger) PartOf(ctx context.Context, m *record.Message, o herald.Ordinal) (int, error) {
	parts, err := l.plans.slab(ctx, m.App, m.ID, sets.SlabOf(o))
	for part, s := range parts {
		if part != record.LeftOut && s.Contains(o) {
			return part, err
		}
	}
	return -1, err
}

// UnreleasedIn is PendingIn for the devices that a message that is released in
// steps has not come to.
func (l *Ledger) UnreleasedIn(ctx context.Context, m *record.Message, each func(*sets.Set) error) error {
	return l.PendingIn(ctx, m, nil, func(waiting *sets.Set) error {
		released, err := l.plans.released(ctx, m.App, m.ID, waiting)
		if err != nil {
			return err
		}
		if left := sets.Minus(waiting, released); !left.Empty() {
			return each(left)
		}
		return nil
	})
}

// releasedOnly leaves of an event on the good way those devices that its message,
// which is released in steps, has come to: the others cannot have it.
func (b *book) releasedOnly(ctx context.Context, e *record.Event) error {
	if bit(e.State)&bitsProgress == 0 || e.State == herald.StateSent {
		return nil // which is not reported by devices
	}
	set, err := b.ledger.plans.released(ctx, b.app, e.Msg, e.Set)
	if err == nil {
		e.Set = set
	}
	return err
}

// unsent reports whether a direct message was not sent to some of the devices
// of an event, as far as that is written: whom it was sent to it has come to.
func (b *book) unsent(f *facts, e *record.Event) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for o := range e.Set.All() {
		if n, ok := f.number(o); ok && b.direct.mask(n)&bitSent == 0 {
			return true
		}
	}
	return false
}

// placed gives messages the log positions at which they were released to a
// device, where that is by steps, and puts them in this order. Those that were
// not released between two positions are left out.
func (b *book) placed(ctx context.Context, o herald.Ordinal, list []*group, after, upto herald.Pos) ([]*group, map[*group]herald.Pos, error) {
	if !slices.ContainsFunc(list, func(g *group) bool { return g.planned }) {
		return list, nil, nil
	}
	at := map[*group]herald.Pos{}
	out := make([]*group, 0, len(list))
	for _, g := range list {
		pos := g.pos
		if g.planned {
			var err error
			if pos, err = b.cameTo(ctx, g, o); unreadable(err) {
				b.leftOut(g, err)
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			if pos <= after || pos > upto {
				continue
			}
		}
		at[g] = pos
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y *group) int { return int(int64(at[x]) - int64(at[y])) })
	return out, at, nil
}

// errNoPlans says that a ledger was made without a PlanStore.
var errNoPlans = errors.New("receipt: no plans are known here")

// noPlans is a PlanStore of a ledger that was given none.
type noPlans struct{}

func (noPlans) PlanSteps(context.Context, herald.AppKey, herald.MessageID) ([]record.PlanStep, error) {
	return nil, errNoPlans
}

func (noPlans) PlanSlab(context.Context, herald.AppKey, herald.MessageID, sets.Slab) (map[int]*sets.Set, error) {
	return nil, errNoPlans
}
