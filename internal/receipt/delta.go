package receipt

import (
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// delta is what is known of a few devices of a cell that is not in memory: where
// each stands, by the record and by what was reported since. To set one bit of a
// cell that nobody else asks for, it need not be loaded: what was reported is
// joined to its chunks when the log is folded. A delta is changed with book.mu
// held, and only while its entry is pinned.
type delta struct{ rows []deltaRow } // ascending

type deltaRow struct {
	ord   herald.Ordinal
	is    mask // all states, and bitTarget if the message is for it
	added mask // of these, what no fold has taken
	taken mask // what a fold has taken that has not ended
}

// bitTarget is no state: the device is in the target.
const bitTarget mask = 1 << 15

const (
	// fewOrds is how many devices of a cell an event may have to be looked up one
	// by one. More, and the cell is loaded.
	fewOrds = 4
	// mostRows is how many devices a delta has; after that the cell is loaded.
	mostRows = 32
	// deltaOverhead is about what the entry of a delta takes, rowSize a device.
	deltaOverhead, rowSize = 250, 12
)

func (d *delta) size() int64 {
	if d == nil {
		return 0
	}
	return deltaOverhead + rowSize*int64(cap(d.rows))
}

func (d *delta) find(o herald.Ordinal) (i int, ok bool) {
	if d == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(d.rows, o, func(r deltaRow, o herald.Ordinal) int { return int(int64(r.ord) - int64(o)) })
}

// of gives where a device stands; false if that is not known here.
func (d *delta) of(o herald.Ordinal) (mask, bool) {
	i, ok := d.find(o)
	if !ok {
		return 0, false
	}
	return d.rows[i].is, true
}

// know takes where a device stands by the record, unless that is known.
func (d *delta) know(o herald.Ordinal, is mask) {
	if i, ok := d.find(o); !ok {
		d.rows = slices.Insert(d.rows, i, deltaRow{ord: o, is: is})
	}
}

// dirty gives the states that were added and are in no fold.
func (d *delta) dirty() (m mask) {
	for _, r := range d.rows {
		m |= r.added
	}
	return m
}

// take gives what was added to a fold, and of which states.
func (d *delta) take(k cellKey, f *record.Fold) (taken mask) {
	taken = d.dirty()
	for i, state := range known {
		if taken&(1<<i) == 0 {
			continue
		}
		set := sets.New()
		for _, r := range d.rows {
			if r.added&(1<<i) != 0 {
				set.Add(r.ord)
			}
		}
		f.Added = append(f.Added, record.Chunk{Msg: k.msg, State: state, Index: uint64(k.slab), Bits: set})
	}
	for i := range d.rows {
		r := &d.rows[i]
		r.taken, r.added = r.added, 0
	}
	return taken
}

// ended notes that a fold has ended, and whether it has written what it took.
func (d *delta) ended(written bool) {
	for i := range d.rows {
		r := &d.rows[i]
		if !written {
			r.added |= r.taken
		}
		r.taken = 0
	}
}

// into brings a cell up to date that was read from the record.
func (d *delta) into(c *cell) {
	for _, r := range d.rows {
		for i := range known {
			if r.is&(1<<i) == 0 {
				continue
			}
			if c.bits[i] == nil {
				c.bits[i] = sets.New()
			}
			c.bits[i].Add(r.ord)
		}
	}
}

// without takes out of who waits in the cell, by the record, who does not any
// more.
func (d *delta) without(waits *sets.Set) {
	if d == nil {
		return
	}
	for _, r := range d.rows {
		if r.is.done() {
			waits.Remove(r.ord)
		}
	}
}

// newsOfFew is news for devices whose cell is not in memory.
func (p piece) newsOfFew() (out []piece) {
	d, event := p.at.delta, bit(p.e.State)
	var same, unsure *sets.Set
	for o := range p.e.Set.All() {
		is, _ := d.of(o)
		if is&bitTarget == 0 {
			continue
		}
		switch after := is.after(event, late(p.group.msg, p.e)); after {
		case 0:
		case event:
			same = with(same, o)
		default:
			unsure = with(unsure, o)
		}
	}
	if unsure != nil {
		u := p
		u.e.State, u.e.Detail, u.e.Set = herald.StateUnconfirmed, string(p.e.State), unsure
		out = append(out, u)
	}
	if same != nil {
		p.e.Set = same
		out = append(out, p)
	}
	return out
}

// applyToFew is applyTo for devices whose cell is not in memory; b.mu is held.
func (b *book) applyToFew(g *group, at *entry, e record.Event) {
	d, event := at.delta, bit(e.State)
	clean, changed := d.dirty() == 0, false
	for o := range e.Set.All() {
		i, ok := d.find(o)
		if !ok || d.rows[i].is&bitTarget == 0 {
			continue
		}
		r := &d.rows[i]
		after := r.is.after(event, late(g.msg, e))
		if after == 0 {
			continue
		}
		grown := r.is.with(after) &^ r.is
		r.is, r.added, changed = r.is|grown, r.added|grown, true
		if at.waits != nil && r.is.done() {
			at.waits.Remove(o)
		}
		for i, s := range known {
			if grown&(1<<i) != 0 && !b.loading {
				b.ledger.observe(s, 1)
			}
		}
	}
	if !changed {
		return
	}
	b.ledger.tallied.forget(g, at.key.slab)
	if clean {
		b.ledger.cache.pinAgain(at)
		b.dirty[at.key] = at
	}
}
