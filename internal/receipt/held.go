package receipt

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// trackLive says that a step went to connections, at a place in the log.
func (l *plans) trackLive(id herald.MessageID, step, live herald.Pos) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, missed := range l.reading[id] {
		*missed = true
	}
	l.lives++
	l.oldest = slices.DeleteFunc(l.oldest, func(k planSlab) bool {
		if k.id != id {
			return false
		}
		l.bytes -= partsSize(l.slabs[k])
		delete(l.slabs, k)
		return true
	})
	p := l.byID[id]
	if p == nil {
		return
	}
	next := &plan{steps: slices.Clone(p.steps), ranges: p.ranges}
	for i := range next.steps {
		if next.steps[i].Pos == step {
			next.steps[i].Live = live
		}
	}
	l.byID[id] = next
}

// live gives the place in the log at which a message that is held went to
// connections for one device; 0 if it did not.
func (l *plans) live(ctx context.Context, app herald.AppKey, id herald.MessageID, o herald.Ordinal) (herald.Pos, error) {
	step, ok, err := l.step(ctx, app, id, o)
	if err != nil || !ok || step.Live == 0 {
		return 0, err
	}
	parts, err := l.slab(ctx, app, id, sets.SlabOf(o))
	if err != nil {
		return 0, err
	}
	if left := parts[record.LeftOut]; left != nil && left.Contains(o) {
		return 0, nil
	}
	return step.Live, nil
}

// TrackLive says that a step of a message that is held went to connections, at a
// place in the log.
func (l *Ledger) TrackLive(m *record.Message, step, live herald.Pos) {
	l.plans.trackLive(m.ID, step, live)
}

// LiveOf is where in the log a message that is held went to connections for one
// device; 0 if it did not.
func (l *Ledger) LiveOf(ctx context.Context, m *record.Message, o herald.Ordinal) (herald.Pos, error) {
	return l.plans.live(ctx, m.App, m.ID, o)
}

// LeftOut leaves of a set those devices that a message which is held was not
// released to connections for, although their step was.
func (l *Ledger) LeftOut(ctx context.Context, m *record.Message, some *sets.Set) (*sets.Set, error) {
	out := sets.New()
	for slab, part := range some.Slabs() {
		parts, err := l.plans.slab(ctx, m.App, m.ID, slab)
		if err != nil {
			return nil, err
		}
		if left := parts[record.LeftOut]; left != nil {
			out.Or(sets.Intersect(part, left))
		}
	}
	return out, nil
}

// cameTo is where in the log a message that is released in steps was released to
// the connections of a device; 0 if it was not.
func (b *book) cameTo(ctx context.Context, g *group, o herald.Ordinal) (herald.Pos, error) {
	if g.held {
		return b.ledger.plans.live(ctx, b.app, g.id, o)
	}
	step, ok, err := b.ledger.plans.step(ctx, b.app, g.id, o)
	if !ok {
		return 0, err
	}
	return step.Pos, err
}
