package sets

import (
	"sync"

	"github.com/herald-push/herald"
)

// Change adds devices to a named set, or removes them.
type Change struct {
	Set    string
	Remove bool
	Ords   *Set
}

// Index holds the named sets of one app, as they are at one position of its
// log. It is safe for use by several goroutines; a reader sees all changes of
// a position or none.
//
// Small sets are lists, because a bitmap of ten members takes more than ten
// times their size. The tiny ones among them, of which there may be a million,
// are found by device through blocks of 64 ordinals: a block lists the sets
// with a member in it. All others are few enough to be asked one by one.
type Index struct {
	mu     sync.RWMutex
	number map[string]uint32   // by name
	all    []*named            // by number; nil where a number is free
	free   []uint32            // numbers
	wide   map[uint32]struct{} // numbers of the sets that are not tracked
	pages  []*page             // by slab: numbers of tracked sets, by block
	next   uint64              // devices exist at the ordinals [0, next)
	pos    herald.Pos          // what has been applied
	dirty  map[Part]struct{}
	// loading is for the small sets among those that are loaded; empty after that.
	loading shelf
}

// blockBits is how many of the lower bits of an ordinal stay within a block.
const blockBits = 6

// page holds the blocks of one slab.
type page [SlabSize >> blockBits][]uint32

// NewIndex makes an index that stands at a position, with room for the devices
// [0, next).
func NewIndex(pos herald.Pos, next uint64) *Index {
	return &Index{
		number: map[string]uint32{}, wide: map[uint32]struct{}{}, dirty: map[Part]struct{}{}, next: next, pos: pos,
	}
}

// Load puts a stored part in, which becomes the index's own. Call Loaded after
// the last one.
func (x *Index) Load(p Part, bits *Set) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.find(p.Set)
	switch {
	case bits.Empty():
	case n == nil && p.Whole && bits.Len() < smallSet:
		n = x.loading.put(p.Set, bits)
		if number := x.put(n); len(n.list) < tinySet {
			n.tracked = true // Loaded makes the blocks lead to it
			delete(x.wide, number)
		}
	case n == nil:
		x.put(&named{name: p.Set, bits: bits})
		x.mixed(p)
	default:
		// A crash has come between the parts of one form and those of another.
		// What they hold in excess is put right by the log, which is still
		// there.
		if n.bits == nil {
			x.untrack(x.number[p.Set], n)
			n.bits, n.list = ofList(n.list), nil
			x.mixed(Part{Set: p.Set, Whole: true})
		}
		x.mixed(p)
		n.bits.Or(bits)
	}
}

// mixed marks the part of a small set under a set that is loaded as a large
// one.
func (x *Index) mixed(p Part) {
	if p.Whole {
		x.dirty[p] = struct{}{}
	}
}

// Loaded ends loading. Sets that were stored in another form than they have
// now are written with the next fold.
func (x *Index) Loaded() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for number, n := range x.all {
		if n == nil {
			continue
		}
		if _, mixed := x.dirty[Part{Set: n.name, Whole: true}]; mixed && n.bits != nil {
			x.markSlabs(n)
		}
		x.reform(uint32(number), n)
	}
	x.buildBlocks()
	x.loading = shelf{}
}

func (x *Index) find(name string) *named {
	if number, ok := x.number[name]; ok {
		return x.all[number]
	}
	return nil
}

// put takes in a set that is not there yet; it is not tracked at first.
func (x *Index) put(n *named) uint32 {
	number := uint32(len(x.all))
	if last := len(x.free) - 1; last >= 0 {
		number, x.free = x.free[last], x.free[:last]
		x.all[number] = n
	} else {
		x.all = append(x.all, n)
	}
	x.number[n.name] = number
	x.wide[number] = struct{}{}
	return number
}

// Apply moves the index to a position, by what that position changed. A log
// may be read twice from any point to its end: the index ends as it was.
func (x *Index) Apply(pos herald.Pos, next uint64, changes []Change) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range changes {
		if !c.Ords.Empty() { // a set of nobody has no name
			x.change(c)
		}
	}
	x.next = max(x.next, next)
	x.pos = max(x.pos, pos)
}

func (x *Index) change(c Change) {
	number, known := x.number[c.Set]
	switch {
	case !known && c.Remove:
		return
	case !known:
		number = x.put(&named{name: c.Set})
	}
	n := x.all[number]
	if n.bits != nil {
		if c.Remove {
			n.bits.AndNot(c.Ords)
		} else {
			n.bits.Or(c.Ords)
		}
		for slab := range c.Ords.Slabs() {
			x.dirty[Part{Set: c.Set, Slab: slab}] = struct{}{}
		}
	} else {
		x.changeList(number, n, c)
	}
	x.reform(number, n)
}

func (x *Index) changeList(number uint32, n *named, c Change) {
	x.dirty[Part{Set: c.Set, Whole: true}] = struct{}{}
	if !c.Remove && int64(len(n.list))+c.Ords.Len() >= smallSet {
		x.untrack(number, n)
		n.bits, n.list = Union(ofList(n.list), c.Ords), nil
		x.markSlabs(n)
		return
	}
	old := n.list
	if c.Remove {
		n.list = withoutList(old, c.Ords.numbers())
	} else {
		n.list = mergeLists(old, c.Ords.numbers())
	}
	if !n.tracked {
		return
	}
	for o := range c.Ords.All() {
		if c.Remove {
			x.leave(number, n, uint32(o))
		} else {
			x.enter(number, uint32(o))
		}
	}
}

func (x *Index) markSlabs(n *named) {
	for slab := range n.bits.Slabs() {
		x.dirty[Part{Set: n.name, Slab: slab}] = struct{}{}
	}
}

// reform gives a set the form that its size asks for.
func (x *Index) reform(number uint32, n *named) {
	size := n.len()
	if n.bits != nil && size < smallSet/2 {
		// The parts that it had are to be deleted.
		x.markSlabs(n)
		x.dirty[Part{Set: n.name, Whole: true}] = struct{}{}
		n.list, n.bits = n.bits.numbers(), nil
	}
	switch {
	case size == 0:
		x.untrack(number, n)
		delete(x.wide, number)
		delete(x.number, n.name)
		x.all[number] = nil
		x.free = append(x.free, number)
	case n.tracked && size >= tinySet:
		x.untrack(number, n)
	case !n.tracked && n.bits == nil && size < tinySet/2:
		x.track(number, n)
	}
}
