// Package sets holds sets of devices: compressed bitmaps over ordinals, and
// the named sets of an app.
//
// The unit of storage, cache and merging is the slab: 65,536 neighbouring
// ordinals. No operation crosses slabs except a sum, so that an app may later
// be spread over nodes by slab.
package sets

import (
	"fmt"
	"iter"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/herald-push/herald"
)

// SlabSize is the number of ordinals in a slab.
const SlabSize = 1 << 16

// Slab is the number of a slab: the upper 16 bits of its ordinals.
type Slab uint16

// SlabOf gives the slab in which an ordinal lies.
func SlabOf(o herald.Ordinal) Slab { return Slab(o >> 16) }

// Set is a set of device ordinals. The zero value and nil are the empty set
// for reading; use [New] for one to write to. A set is not safe for use by
// several goroutines while one of them writes.
type Set struct{ b *roaring.Bitmap }

// New makes a set of some ordinals.
func New(ordinals ...herald.Ordinal) *Set {
	s := &Set{b: roaring.New()}
	for _, o := range ordinals {
		s.b.Add(uint32(o))
	}
	return s
}

// Range makes the set [0, end).
func Range(end uint64) *Set {
	s := New()
	s.b.AddRange(0, end)
	return s
}

// SlabWords is the number of words in the dense form of a slab.
const SlabWords = SlabSize / 64

// FromWords makes a set of one slab from its dense form: bit i of word w stands
// for the ordinal 64·w + i of the slab.
func FromWords(slab Slab, words *[SlabWords]uint64) *Set {
	return &Set{b: roaring.AddOffset64(roaring.FromDense(words[:], true), int64(slab)<<16)}
}

// AddMany puts ordinals in, which is fast if they are ascending.
func (s *Set) AddMany(ordinals []uint32) { s.b.AddMany(ordinals) }

func (s *Set) bitmap() *roaring.Bitmap {
	if s == nil || s.b == nil {
		return emptyBitmap
	}
	return s.b
}

// emptyBitmap stands in for the bitmap of a nil set; nobody writes to it.
var emptyBitmap = roaring.New()

// Add puts an ordinal in and reports whether it was new.
func (s *Set) Add(o herald.Ordinal) bool { return s.b.CheckedAdd(uint32(o)) }

// Remove takes an ordinal out and reports whether it was there.
func (s *Set) Remove(o herald.Ordinal) bool { return s.b.CheckedRemove(uint32(o)) }

// Contains reports whether the ordinal is in the set.
func (s *Set) Contains(o herald.Ordinal) bool { return s.bitmap().Contains(uint32(o)) }

// Len is the number of ordinals in the set.
func (s *Set) Len() int64 { return int64(s.bitmap().GetCardinality()) }

// Empty reports whether the set has no member.
func (s *Set) Empty() bool { return s.bitmap().IsEmpty() }

// Only gives the member of a set that has one, and no more.
func (s *Set) Only() (o herald.Ordinal, one bool) {
	b := s.bitmap()
	if b.IsEmpty() {
		return 0, false
	}
	first := b.Minimum()
	return herald.Ordinal(first), first == b.Maximum()
}

// Clone gives a copy that may be written to.
func (s *Set) Clone() *Set { return &Set{b: s.bitmap().Clone()} }

// Or adds the members of t to s.
func (s *Set) Or(t *Set) { s.b.Or(t.bitmap()) }

// And keeps in s only the members of t.
func (s *Set) And(t *Set) { s.b.And(t.bitmap()) }

// AndNot removes the members of t from s.
func (s *Set) AndNot(t *Set) { s.b.AndNot(t.bitmap()) }

// Optimize looks for runs and packs them; call it before a set is kept.
func (s *Set) Optimize() { s.b.RunOptimize() }

// Union gives a new set of the members of either.
func Union(s, t *Set) *Set { return &Set{b: roaring.Or(s.bitmap(), t.bitmap())} }

// UnionAll gives a new set of the members of any.
func UnionAll(list ...*Set) *Set {
	bitmaps := make([]*roaring.Bitmap, len(list))
	for i, s := range list {
		bitmaps[i] = s.bitmap()
	}
	return &Set{b: roaring.FastOr(bitmaps...)}
}

// Intersect gives a new set of the members of both.
func Intersect(s, t *Set) *Set { return &Set{b: roaring.And(s.bitmap(), t.bitmap())} }

// Minus gives a new set of the members of s that are not in t.
func Minus(s, t *Set) *Set { return &Set{b: roaring.AndNot(s.bitmap(), t.bitmap())} }

// Common counts the members of both without building the set.
func Common(s, t *Set) int64 { return int64(s.bitmap().AndCardinality(t.bitmap())) }

// Equal reports whether two sets have the same members.
func Equal(s, t *Set) bool { return s.bitmap().Equals(t.bitmap()) }

// All walks the members in ascending order. The set must not change meanwhile.
func (s *Set) All() iter.Seq[herald.Ordinal] {
	return func(yield func(herald.Ordinal) bool) {
		if o, one := s.Only(); one { // of most receipts, which need no iterator
			yield(o)
			return
		}
		it := s.bitmap().Iterator()
		for it.HasNext() {
			if !yield(herald.Ordinal(it.Next())) {
				return
			}
		}
	}
}

// Ordinals lists the members in ascending order.
func (s *Set) Ordinals() []herald.Ordinal {
	out := make([]herald.Ordinal, 0, s.Len())
	for o := range s.All() {
		out = append(out, o)
	}
	return out
}

// Slabs walks the set slab by slab, ascending. Each part is a set of its own.
func (s *Set) Slabs() iter.Seq2[Slab, *Set] {
	return func(yield func(Slab, *Set) bool) {
		b := s.bitmap()
		it := b.Iterator()
		for it.HasNext() {
			slab := Slab(it.PeekNext() >> 16)
			if !yield(slab, s.Slab(slab)) {
				return
			}
			if slab == 1<<16-1 {
				return
			}
			it.AdvanceIfNeeded(uint32(slab+1) << 16)
		}
	}
}

// Slab gives the part of the set that lies in one slab, as a set of its own.
func (s *Set) Slab(slab Slab) *Set {
	mask := roaring.New()
	mask.AddRange(uint64(slab)<<16, (uint64(slab)+1)<<16)
	return &Set{b: roaring.And(s.bitmap(), mask)}
}

// AppendBinary writes the set in the portable roaring format.
func (s *Set) AppendBinary(b []byte) ([]byte, error) {
	out, err := s.bitmap().ToBytes()
	return append(b, out...), err
}

// MarshalBinary writes the set in the portable roaring format.
func (s *Set) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// Has reports whether a set that MarshalBinary wrote has an ordinal. It reads
// the bytes where they are, which have to be those that were written: only
// their lengths are looked at.
func Has(data []byte, o herald.Ordinal) (bool, error) {
	b := roaring.New()
	n, err := b.FromBuffer(data)
	if err == nil && n != int64(len(data)) {
		err = fmt.Errorf("%d bytes follow the set", int64(len(data))-n)
	}
	if err != nil {
		return false, fmt.Errorf("sets: reading a set: %w", err)
	}
	return b.Contains(uint32(o)), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It copies what it keeps and
// refuses bytes that do not make a set.
func (s *Set) UnmarshalBinary(data []byte) error {
	b := roaring.New()
	n, err := b.FromBuffer(append([]byte(nil), data...))
	if err == nil && n != int64(len(data)) {
		err = fmt.Errorf("%d bytes follow the set", int64(len(data))-n)
	}
	if err == nil {
		err = b.Validate()
	}
	if err != nil {
		return fmt.Errorf("sets: reading a set: %w", err)
	}
	s.b = b
	return nil
}
