package sets

import "iter"

// Part names a stored part of a named set: one slab of it, or the whole of a
// set that is small. A small set is one part because a part costs more than
// its members: ten members spread over ten slabs would be ten rows.
type Part struct {
	Set   string
	Slab  Slab
	Whole bool // Slab is 0
}

// Sizes at which the form of a named set changes. A set that shrinks keeps the
// form of a large one until it is half as large as it had to become, so that
// one device that comes and goes does not rewrite it.
const (
	tinySet  = 128  // below it a set is found by its members
	smallSet = 1024 // below it a set is a list, and one part
)

// Parts cuts a set into the parts in which it is stored.
func Parts(name string, s *Set) iter.Seq2[Part, *Set] {
	return func(yield func(Part, *Set) bool) {
		switch n := s.Len(); {
		case n == 0:
		case n < smallSet:
			yield(Part{Set: name, Whole: true}, s)
		default:
			for slab, bits := range s.Slabs() {
				if !yield(Part{Set: name, Slab: slab}, bits) {
					return
				}
			}
		}
	}
}
