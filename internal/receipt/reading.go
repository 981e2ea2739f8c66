package receipt

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Reading looks at all deliveries of one message, part by part: a part is one
// slab, or the whole of a message to few devices. Between two parts it holds
// nothing, neither a lock nor a connection to the store, so that who reads ten
// million deliveries slowly is in nobody's way. What changes meanwhile is seen
// in the parts that come after. It is for one goroutine.
type Reading struct {
	l     *Ledger
	b     *book
	m     *record.Message
	g     *group // nil for a direct message
	dead  *sets.Set
	parts []sets.Slab
}

// Read begins to read a message. A message that is purged while it is read
// shows no more devices from then on: who gives a list as complete asks for the
// message again at its end.
func (l *Ledger) Read(ctx context.Context, m *record.Message) (*Reading, error) {
	r := &Reading{l: l, b: l.book(m.App), m: m, parts: []sets.Slab{0}}
	if m.IsDirect() {
		r.dead = sets.New()
		return r, nil
	}
	r.dead = l.deadAt(m.App, m.EvalPos)
	var err error
	if r.g, err = r.b.look(ctx, m); err != nil {
		return nil, err
	}
	if !r.g.whole {
		r.parts, err = r.b.targetSlabs(ctx, r.g)
	}
	return r, err
}

// Parts lists the parts of the message, in the order of their devices.
func (r *Reading) Parts() []sets.Slab { return r.parts }

// PartOf gives the part in which a device is, if it is in one.
func (r *Reading) PartOf(o herald.Ordinal) sets.Slab {
	if r.g == nil || r.g.whole {
		return 0
	}
	return sets.SlabOf(o)
}

// part is what one part of a message was at one moment: its devices in
// ascending order, and for each the states that it has.
type part struct {
	slab  sets.Slab
	wide  bool // one slab, where a device is found by the lower bits of its ordinal
	ords  []herald.Ordinal
	place []int32 // where wide: by the lower bits, 1 + the place in ords
	masks []mask
}

// at gives the place of a device in the part; -1 if it is not there.
func (p *part) at(o herald.Ordinal) int {
	if p.wide {
		if sets.SlabOf(o) != p.slab {
			return -1
		}
		return int(p.place[o&(sets.SlabSize-1)]) - 1
	}
	if i, ok := slices.BinarySearch(p.ords, o); ok {
		return i
	}
	return -1
}

// look reads a part.
func (r *Reading) look(ctx context.Context, slab sets.Slab) (*part, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &part{slab: slab}
	if r.g == nil {
		p.ords, p.masks = r.m.Direct, make([]mask, len(r.m.Direct))
		r.b.mu.RLock()
		defer r.b.mu.RUnlock()
		if err := r.b.direct.intact(r.m); err != nil {
			return nil, err
		}
		for i := range p.ords {
			p.masks[i] = r.b.direct.mask(r.m.FirstN + uint64(i))
		}
		return p, nil
	}
	c, err := r.b.cellOf(ctx, r.g, slab)
	if err != nil {
		return nil, err
	}
	p.wide = !r.g.whole
	p.ords = sets.Minus(c.target, r.dead).Ordinals() // a target does not change
	p.masks = make([]mask, len(p.ords))
	if p.wide {
		p.place = make([]int32, sets.SlabSize)
		for i, o := range p.ords {
			p.place[o&(sets.SlabSize-1)] = int32(i) + 1
		}
	}
	r.b.mu.RLock()
	defer r.b.mu.RUnlock()
	for i := range known {
		for o := range c.bits[i].All() {
			if at := p.at(o); at >= 0 {
				p.masks[at] |= 1 << i
			}
		}
	}
	return p, nil
}

// state is where a delivery with these states stands; see stateOf.
func (m mask) state() herald.DeliveryState {
	for i := len(herald.Progress) - 1; i > 0; i-- {
		if m&(1<<i) != 0 {
			return herald.Progress[i]
		}
	}
	for i, end := range herald.Ends {
		if m&(1<<(len(herald.Progress)+i)) != 0 {
			return end
		}
	}
	if m&bitSent != 0 {
		return herald.StateSent
	}
	return herald.StatePending
}

// places lists where the history of a part is kept.
func (r *Reading) places(p *part) (out []place) {
	switch {
	case len(p.ords) == 0 || r.m.TTL == 0: // nothing is written of TTL 0
	case r.g == nil:
		last := r.m.FirstN + uint64(len(p.ords)) - 1
		for n := r.m.FirstN >> historyBits; n <= last>>historyBits; n++ {
			out = append(out, place{0, n})
		}
	case p.wide:
		out = append(out, place{r.m.ID, uint64(p.slab)})
	default:
		for i, o := range p.ords {
			if slab := sets.SlabOf(o); i == 0 || slab != sets.SlabOf(p.ords[i-1]) {
				out = append(out, place{r.m.ID, uint64(slab)})
			}
		}
	}
	return out
}

// history walks what happened to the devices of a part: for each device in the
// order in which it was counted. at is the place of the device in the part.
func (r *Reading) history(ctx context.Context, p *part, each func(e *record.Event, at int)) error {
	// As in History, the tail is taken first.
	r.b.mu.RLock()
	tail := r.b.tail
	r.b.mu.RUnlock()
	show := func(e *record.Event, list []uint32) {
		if e.Msg != r.m.ID {
			return
		}
		for _, o := range list {
			if at := p.at(herald.Ordinal(o)); at >= 0 {
				each(e, at)
			}
		}
		if e.Set == nil {
			return
		}
		set := e.Set
		if p.wide {
			set = set.Slab(p.slab)
		}
		for o := range set.All() {
			if at := p.at(o); at >= 0 {
				each(e, at)
			}
		}
	}
	places := r.places(p)
	for _, at := range places {
		segments, err := r.l.store.Segments(ctx, r.m.App, at.msg, at.index)
		if err != nil {
			return err
		}
		for _, s := range segments {
			if len(tail) > 0 && s.From >= tail[0].N {
				continue
			}
			if err := record.WalkEvents(s.Batch, show); err != nil {
				return herald.Errorf(herald.CodeStorageUnavailable, "Check the disk; restore from a backup if this persists.", "the history of the message cannot be read")
			}
		}
	}
	if places == nil {
		return nil
	}
	for _, batch := range tail {
		for i := range batch.Events {
			show(&batch.Events[i], nil)
		}
	}
	return nil
}
