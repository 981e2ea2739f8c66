package sets

import (
	"slices"
	"strings"

	"github.com/herald-push/herald"
)

// View is an index standing still.
type View struct{ x *Index }

// View calls f with the index standing still; changes wait meanwhile, and with
// them the callers of the record, so that f has to be short. f must not keep
// what it is given, nor change it.
func (x *Index) View(f func(View)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f(View{x})
}

// Pos is the position that the view is true for.
func (v View) Pos() herald.Pos { return v.x.pos }

// Next is the number of ordinals given out: devices are [0, Next).
func (v View) Next() uint64 { return v.x.next }

// Set gives a named set; nil, which is empty, if there is none.
func (v View) Set(name string) *Set { return v.x.find(name).set() }

// Has reports whether an ordinal is in a named set, which is quicker than to
// ask for the set.
func (v View) Has(name string, o herald.Ordinal) bool {
	n := v.x.find(name)
	return n != nil && n.contains(o)
}

// Names lists the sets whose names begin with a prefix, sorted.
func (v View) Names(prefix string) []string {
	var out []string
	for name := range v.x.number {
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
	for n := range v.near(o) {
		if strings.HasPrefix(n.name, prefix) && n.contains(o) {
			out = append(out, n.name)
		}
	}
	slices.Sort(out)
	return out
}

// near walks the sets that may hold an ordinal.
func (v View) near(o herald.Ordinal) func(yield func(*named) bool) {
	return func(yield func(*named) bool) {
		for number := range v.x.wide {
			if !yield(v.x.all[number]) {
				return
			}
		}
		if b := v.x.block(uint32(o)); b != nil {
			for _, number := range *b {
				if !yield(v.x.all[number]) {
					return
				}
			}
		}
	}
}

// MaxNames bounds how many sets hold an ordinal, without looking.
func (v View) MaxNames(o herald.Ordinal) int {
	n := len(v.x.wide)
	if b := v.x.block(uint32(o)); b != nil {
		n += len(*b)
	}
	return n
}

// Snapshot is what some sets of an index were at one position. It may be kept
// and read by several goroutines.
type Snapshot struct {
	Pos  herald.Pos
	Next uint64 // see View.Next
	sets map[string]*Set
}

// Set gives a set that the snapshot was asked for. It must not be changed.
func (s Snapshot) Set(name string) *Set { return s.sets[name] }

// Snapshot gives some sets as they are now. It costs some words a slab and set;
// what changes later is copied by who changes it.
func (x *Index) Snapshot(names []string) Snapshot {
	s := Snapshot{sets: make(map[string]*Set, len(names))}
	x.mu.Lock()
	defer x.mu.Unlock()
	s.Pos, s.Next = x.pos, x.next
	for _, name := range names {
		if n := x.find(name); n != nil && s.sets[name] == nil {
			s.sets[name] = n.frozen()
		}
	}
	return s
}

// scanned is how many sets NamesAfter looks at while the index stands still.
const scanned = 1 << 14

// NamesAfter lists the first sets, in byte order, whose names begin with a
// prefix and come after a name. It looks at all names, some at a time, so that
// what is made or removed meanwhile may be in it or not.
func (x *Index) NamesAfter(prefix, after string, limit int) []string {
	var out []string // the best so far, sorted
	for from := 0; ; from += scanned {
		x.mu.RLock()
		if from >= len(x.all) {
			x.mu.RUnlock()
			return out
		}
		for _, n := range x.all[from:min(from+scanned, len(x.all))] {
			if n == nil || n.name <= after || !strings.HasPrefix(n.name, prefix) {
				continue
			}
			if len(out) == limit {
				if n.name >= out[limit-1] {
					continue
				}
				out = out[:limit-1]
			}
			i, found := slices.BinarySearch(out, n.name)
			if !found {
				out = slices.Insert(out, i, n.name)
			}
		}
		x.mu.RUnlock()
	}
}
