package sets

import (
	"slices"

	"github.com/herald-push/herald"
)

// named is one set of an index: a sorted list while it is small, else a
// bitmap, whose containers are copied when they are written to while somebody
// still reads them.
type named struct {
	name string
	list []uint32
	bits *Set // nil for a list
	// tracked tells that the blocks of the index lead to the set; see Index.
	tracked bool
}

func (n *named) len() int64 {
	if n.bits != nil {
		return n.bits.Len()
	}
	return int64(len(n.list))
}

func (n *named) contains(o herald.Ordinal) bool {
	if n.bits != nil {
		return n.bits.Contains(o)
	}
	_, found := slices.BinarySearch(n.list, uint32(o))
	return found
}

// set gives the members for reading while the index stands still.
func (n *named) set() *Set {
	switch {
	case n == nil:
		return nil
	case n.bits != nil:
		return n.bits
	}
	return ofList(n.list)
}

// frozen gives the members for keeping. It needs the index for itself, because
// it marks the containers as shared.
func (n *named) frozen() *Set {
	switch {
	case n == nil:
		return nil
	case n.bits != nil:
		return n.bits.share()
	}
	return ofList(n.list)
}

// part gives one stored part, as a set of its own.
func (n *named) part(p Part) *Set {
	switch {
	case n == nil || p.Whole != (n.bits == nil):
		return New()
	case p.Whole:
		return ofList(n.list)
	}
	return n.bits.Slab(p.Slab)
}

func ofList(list []uint32) *Set {
	s := New()
	s.AddMany(list)
	return s
}

// mergeLists gives the members of both sorted lists.
func mergeLists(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// withoutList gives the members of a that are not in b; both are sorted.
func withoutList(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a))
	for _, o := range a {
		for len(b) > 0 && b[0] < o {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != o {
			out = append(out, o)
		}
	}
	return out
}

// numbers lists the members of a set.
func (s *Set) numbers() []uint32 { return s.bitmap().ToArray() }

// share gives a copy that costs a few words a slab: both keep the same
// containers, and each copies one before it writes to it. s must not be read
// by others meanwhile, because its containers are marked.
func (s *Set) share() *Set {
	b := s.own()
	b.SetCopyOnWrite(true)
	c := b.Clone()
	// The marks stay. Without the flag a copy of either is a real one again,
	// and writes no marks that others read.
	b.SetCopyOnWrite(false)
	c.SetCopyOnWrite(false)
	return &Set{b: c}
}
