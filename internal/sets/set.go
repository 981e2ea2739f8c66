// Package sets holds sets of devices: compressed bitmaps over ordinals, and
// the named sets of an app.
//
// The unit of storage, cache and merging is the slab: 65,536 neighbouring
// ordinals. No operation crosses slabs except a sum, so that an app may later
// be spread over nodes by slab.
package sets

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/herald-push/herald"
)

// SlabSize is the number of ordinals in a slab.
const SlabSize = 1 << 16

// Slab is the number of a slab: the upper 16 bits of its ordinals.
type Slab uint16

// SlabOf gives the slab in which an ordinal lies.
func SlabOf(o herald.Ordinal) Slab { return Slab(o >> 16) }

// FirstOf gives the first ordinal of a slab.
func FirstOf(s Slab) herald.Ordinal { return herald.Ordinal(s) << 16 }

// Set is a set of device ordinals. The zero value and nil are the empty set
// for reading; use [New] for one to write to. A set is not safe for use by
// several goroutines while one of them writes.
type Set struct {
	b *roaring.Bitmap // nil for at most one member
	// one is that member + 1, or 0: nearly every message, and every receipt, is
	// of one device, for which a bitmap takes more time than all the rest.
	one uint64
}

// New makes a set of some ordinals.
func New(ordinals ...herald.Ordinal) *Set {
	s := &Set{}
	for _, o := range ordinals {
		s.Add(o)
	}
	return s
}

// single makes a set of one ordinal, given as it is in Set.
func single(one uint64) *Set { return &Set{one: one} }

// Range makes the set [0, end).
func Range(end uint64) *Set {
	b := roaring.New()
	b.AddRange(0, end)
	return &Set{b: b}
}

// SlabWords is the number of words in the dense form of a slab.
const SlabWords = SlabSize / 64

// FromWords makes a set of one slab from its dense form: bit i of word w stands
// for the ordinal 64·w + i of the slab.
func FromWords(slab Slab, words *[SlabWords]uint64) *Set {
	return &Set{b: roaring.AddOffset64(roaring.FromDense(words[:], true), int64(slab)<<16)}
}

// AddMany puts ordinals in, which is fast if they are ascending.
func (s *Set) AddMany(ordinals []uint32) {
	switch len(ordinals) {
	case 0:
	case 1:
		s.Add(herald.Ordinal(ordinals[0]))
	default:
		s.own().AddMany(ordinals)
	}
}

// bitmap gives the members for reading.
func (s *Set) bitmap() *roaring.Bitmap {
	switch {
	case s == nil || s.b == nil && s.one == 0:
		return emptyBitmap
	case s.b == nil:
		return roaring.BitmapOf(uint32(s.one - 1))
	}
	return s.b
}

// own gives the members for writing.
func (s *Set) own() *roaring.Bitmap {
	if s.b == nil {
		if s.b = roaring.New(); s.one != 0 {
			s.b.Add(uint32(s.one - 1))
		}
		s.one = 0
	}
	return s.b
}

// small reports whether the set has no bitmap, and so at most one member.
func (s *Set) small() bool { return s == nil || s.b == nil }

// lone gives the member of a set that is small, as it is in Set.
func (s *Set) lone() uint64 {
	if s == nil {
		return 0
	}
	return s.one
}

// lonely gives the member of a set that is small, if another set has it, as it
// is in Set.
func (s *Set) lonely(t *Set) uint64 {
	if one := s.lone(); one != 0 && t.Contains(herald.Ordinal(one-1)) {
		return one
	}
	return 0
}

// emptyBitmap stands in for the bitmap of a nil set; nobody writes to it.
var emptyBitmap = roaring.New()

// Add puts an ordinal in and reports whether it was new.
func (s *Set) Add(o herald.Ordinal) bool {
	if s.b == nil && (s.one == 0 || s.one == uint64(o)+1) {
		fresh := s.one == 0
		s.one = uint64(o) + 1
		return fresh
	}
	return s.own().CheckedAdd(uint32(o))
}

// Remove takes an ordinal out and reports whether it was there.
func (s *Set) Remove(o herald.Ordinal) bool {
	if s.b != nil {
		return s.b.CheckedRemove(uint32(o))
	}
	there := s.one == uint64(o)+1
	if there {
		s.one = 0
	}
	return there
}

// Contains reports whether the ordinal is in the set.
func (s *Set) Contains(o herald.Ordinal) bool {
	if s.small() {
		return s.lone() == uint64(o)+1
	}
	return s.b.Contains(uint32(o))
}

// Len is the number of ordinals in the set.
func (s *Set) Len() int64 {
	if s.small() {
		return int64(min(s.lone(), 1))
	}
	return int64(s.b.GetCardinality())
}

// Empty reports whether the set has no member.
func (s *Set) Empty() bool {
	if s.small() {
		return s.lone() == 0
	}
	return s.b.IsEmpty()
}

// Only gives the member of a set that has one, and no more.
func (s *Set) Only() (o herald.Ordinal, one bool) {
	if s.small() {
		only := s.lone()
		return herald.Ordinal(max(only, 1) - 1), only != 0
	}
	b := s.b
	if b.IsEmpty() {
		return 0, false
	}
	first := b.Minimum()
	return herald.Ordinal(first), first == b.Maximum()
}

// Bounds gives the lowest and the highest member; 0 and 0 of an empty set.
func (s *Set) Bounds() (first, last herald.Ordinal) {
	if b := s.bitmap(); !b.IsEmpty() {
		first, last = herald.Ordinal(b.Minimum()), herald.Ordinal(b.Maximum())
	}
	return first, last
}

// Clone gives a copy that may be written to.
func (s *Set) Clone() *Set {
	if s.small() {
		return single(s.lone())
	}
	return &Set{b: s.b.Clone()}
}

// Or adds the members of t to s.
func (s *Set) Or(t *Set) {
	switch {
	case t.Empty():
	case t.small():
		s.Add(herald.Ordinal(t.one - 1))
	default:
		s.own().Or(t.b)
	}
}

// And keeps in s only the members of t.
func (s *Set) And(t *Set) {
	switch {
	case s.b == nil:
		s.one = s.lonely(t)
	case t.small():
		s.one, s.b = t.lonely(s), nil
	default:
		s.b.And(t.b)
	}
}

// AndNot removes the members of t from s.
func (s *Set) AndNot(t *Set) {
	switch {
	case s.b == nil:
		if s.lonely(t) != 0 {
			s.one = 0
		}
	case t.small():
		if one := t.lone(); one != 0 {
			s.b.Remove(uint32(one - 1))
		}
	default:
		s.b.AndNot(t.b)
	}
}

// Optimize looks for runs and packs them; call it before a set is kept.
func (s *Set) Optimize() {
	if s.b != nil {
		s.b.RunOptimize()
	}
}

// Union gives a new set of the members of either.
func Union(s, t *Set) *Set {
	if s.small() || t.small() {
		if t.small() {
			s, t = t, s
		}
		out := t.Clone()
		out.Or(s)
		return out
	}
	return &Set{b: roaring.Or(s.b, t.b)}
}

// UnionAll gives a new set of the members of any.
func UnionAll(list ...*Set) *Set {
	bitmaps := make([]*roaring.Bitmap, len(list))
	for i, s := range list {
		bitmaps[i] = s.bitmap()
	}
	return &Set{b: roaring.FastOr(bitmaps...)}
}

// Intersect gives a new set of the members of both.
func Intersect(s, t *Set) *Set {
	switch {
	case s.small():
		return single(s.lonely(t))
	case t.small():
		return single(t.lonely(s))
	}
	return &Set{b: roaring.And(s.b, t.b)}
}

// Minus gives a new set of the members of s that are not in t.
func Minus(s, t *Set) *Set {
	if s.small() || t.small() {
		out := s.Clone()
		out.AndNot(t)
		return out
	}
	return &Set{b: roaring.AndNot(s.b, t.b)}
}

// Common counts the members of both without building the set.
func Common(s, t *Set) int64 {
	switch {
	case s.small():
		return int64(min(s.lonely(t), 1))
	case t.small():
		return int64(min(t.lonely(s), 1))
	}
	return int64(s.b.AndCardinality(t.b))
}

// Equal reports whether two sets have the same members.
func Equal(s, t *Set) bool {
	if s.small() && t.small() {
		return s.lone() == t.lone()
	}
	return s.bitmap().Equals(t.bitmap())
}

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

// Batches walks the members in ascending order, as many at a time as there is
// room for, which is quicker than one by one. The set must not change meanwhile;
// what it gives is good until the next.
func (s *Set) Batches(room []uint32) iter.Seq[[]uint32] {
	return func(yield func([]uint32) bool) {
		if o, one := s.Only(); one && len(room) > 0 {
			room[0] = uint32(o)
			yield(room[:1])
			return
		}
		it := s.bitmap().ManyIterator()
		for n := it.NextMany(room); n > 0; n = it.NextMany(room) {
			if !yield(room[:n]) {
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
		if o, one := s.Only(); one {
			yield(SlabOf(o), New(o))
			return
		}
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
	if o, one := s.Only(); one {
		if SlabOf(o) == slab {
			return New(o)
		}
		return New()
	}
	mask := roaring.New()
	mask.AddRange(uint64(slab)<<16, (uint64(slab)+1)<<16)
	return &Set{b: roaring.And(s.bitmap(), mask)}
}

// AppendBinary writes the set in the portable roaring format.
func (s *Set) AppendBinary(b []byte) ([]byte, error) {
	w := bytes.NewBuffer(slices.Grow(b, s.BinarySize()))
	_, err := s.bitmap().WriteTo(w)
	return w.Bytes(), err
}

// BinarySize is how many bytes AppendBinary appends.
func (s *Set) BinarySize() int { return int(s.bitmap().GetSerializedSizeInBytes()) }

// MarshalBinary writes the set in the portable roaring format.
func (s *Set) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// Has reports whether a set that MarshalBinary wrote has an ordinal. It reads
// the bytes where they are, which have to be those that were written: only
// their lengths are looked at.
func Has(data []byte, o herald.Ordinal) (bool, error) {
	b, err := inPlace(data)
	return err == nil && b.Contains(uint32(o)), err
}

// Word is Has for 64 ordinals in a row, from the first bit on.
func Word(data []byte, first herald.Ordinal) (word uint64, err error) {
	b, err := inPlace(data)
	if err != nil {
		return 0, err
	}
	for i := range uint32(64) {
		if b.Contains(uint32(first) + i) {
			word |= 1 << i
		}
	}
	return word, nil
}

// inPlace gives a set over the bytes of another, which must not change.
func inPlace(data []byte) (*roaring.Bitmap, error) {
	b := roaring.New()
	n, err := b.FromBuffer(data)
	if err == nil && n != int64(len(data)) {
		err = fmt.Errorf("%d bytes follow the set", int64(len(data))-n)
	}
	if err != nil {
		return nil, fmt.Errorf("sets: reading a set: %w", err)
	}
	return b, nil
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
	s.b, s.one = b, 0
	return nil
}
