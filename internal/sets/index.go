package sets

import (
	"slices"
	"strings"
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
type Index struct {
	mu    sync.RWMutex
	named map[string]*Set
	next  uint64     // devices exist at the ordinals [0, next)
	pos   herald.Pos // what has been applied
	dirty map[Part]struct{}
}

// Part names one slab of one set.
type Part struct {
	Set  string
	Slab Slab
}

// NewIndex makes an index that stands at a position, with room for the devices
// [0, next).
func NewIndex(pos herald.Pos, next uint64) *Index {
	return &Index{named: map[string]*Set{}, dirty: map[Part]struct{}{}, next: next, pos: pos}
}

// Load puts a stored slab in, without marking it as changed.
func (x *Index) Load(set string, bits *Set) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.named[set]; s != nil {
		s.Or(bits)
	} else {
		x.named[set] = bits.Clone()
	}
}

// Apply moves the index to a position, by what that position changed. A log
// may be read twice from any point to its end: the index ends as it was.
func (x *Index) Apply(pos herald.Pos, next uint64, changes []Change) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range changes {
		s := x.named[c.Set]
		if c.Ords.Empty() {
			continue // a set of nobody has no name
		}
		if c.Remove {
			if s == nil {
				continue
			}
			s.AndNot(c.Ords)
			if s.Empty() {
				delete(x.named, c.Set)
			}
		} else if s == nil {
			x.named[c.Set] = c.Ords.Clone()
		} else {
			s.Or(c.Ords)
		}
		for slab := range c.Ords.Slabs() {
			x.dirty[Part{c.Set, slab}] = struct{}{}
		}
	}
	x.next = max(x.next, next)
	x.pos = max(x.pos, pos)
}

// View calls f with the index standing still. f must not keep what it is
// given, nor change it.
func (x *Index) View(f func(View)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f(View{x})
}

// Dirty lists the slabs that changed since the last Clean, with copies of
// their bits, and the position that they are true for.
func (x *Index) Dirty() (pos herald.Pos, parts map[Part]*Set) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	parts = make(map[Part]*Set, len(x.dirty))
	for p := range x.dirty {
		parts[p] = x.named[p.Set].Slab(p.Slab)
	}
	return x.pos, parts
}

// Clean forgets that slabs changed, once they are stored as Dirty gave them.
// Those that changed again meanwhile stay marked if pos is behind the index.
func (x *Index) Clean(pos herald.Pos, parts map[Part]*Set) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for p, stored := range parts {
		if pos == x.pos || Equal(stored, x.named[p.Set].Slab(p.Slab)) {
			delete(x.dirty, p)
		}
	}
}

// View is an index standing still.
type View struct{ x *Index }

// Pos is the position that the view is true for.
func (v View) Pos() herald.Pos { return v.x.pos }

// Next is the number of ordinals given out: devices are [0, Next).
func (v View) Next() uint64 { return v.x.next }

// Set gives a named set; nil, which is empty, if there is none.
func (v View) Set(name string) *Set { return v.x.named[name] }

// Names lists the sets whose names begin with a prefix, sorted.
func (v View) Names(prefix string) []string {
	var out []string
	for name := range v.x.named {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// NamesOf lists the sets with a prefix that hold an ordinal, sorted.
func (v View) NamesOf(o herald.Ordinal, prefix string) []string {
	var out []string
	for name, s := range v.x.named {
		if strings.HasPrefix(name, prefix) && s.Contains(o) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
