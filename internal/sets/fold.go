package sets

import "github.com/herald-push/herald"

// BeginFold gives the parts that changed since it was called last, and the
// position up to which the log is not needed once they are stored. To store
// them: write those that Bits gives, then delete those that Gone gives, then
// drop the log. If any of it fails, call Mark with all parts and leave the log.
func (x *Index) BeginFold() (upto herald.Pos, parts []Part) {
	x.mu.Lock()
	defer x.mu.Unlock()
	parts = make([]Part, 0, len(x.dirty))
	for p := range x.dirty {
		parts = append(parts, p)
	}
	x.dirty = map[Part]struct{}{}
	return x.pos, parts
}

// Mark makes parts changed again that were not stored.
func (x *Index) Mark(parts []Part) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range parts {
		x.dirty[p] = struct{}{}
	}
}

// Bits gives copies of parts, and the position that they are true for. Those
// that hold nobody are empty; they must not be deleted yet, because a set that
// changes its form is nowhere until its new parts are stored.
func (x *Index) Bits(parts []Part) (herald.Pos, []*Set) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]*Set, len(parts))
	for i, p := range parts {
		out[i] = x.find(p.Set).part(p)
	}
	return x.pos, out
}

// Gone gives those of some parts that may be deleted, after all others of the
// fold were stored. Late is true if there are more: sets that changed meanwhile
// and have parts that are not stored. They are marked again, and the log has to
// stay until the next fold.
func (x *Index) Gone(parts []Part) (gone []Part, late bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range parts {
		n := x.find(p.Set)
		if x.unstored(n) || !n.part(p).Empty() {
			x.dirty[p] = struct{}{}
			late = true
			continue
		}
		gone = append(gone, p)
	}
	return gone, late
}

// unstored reports whether a set has parts that changed since BeginFold.
func (x *Index) unstored(n *named) bool {
	switch {
	case n == nil:
		return false
	case n.bits == nil:
		_, dirty := x.dirty[Part{Set: n.name, Whole: true}]
		return dirty
	}
	for slab := range n.bits.Slabs() {
		if _, dirty := x.dirty[Part{Set: n.name, Slab: slab}]; dirty {
			return true
		}
	}
	return false
}
