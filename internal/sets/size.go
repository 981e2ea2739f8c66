package sets

// containerOverhead is about what memory a slab of a set takes beside its
// members: the container, its slice, its place in the bitmap.
const containerOverhead = 64

// singleSize is what a set of at most one member takes.
const singleSize = 16

// Size is about how many bytes of memory the set takes.
func (s *Set) Size() int64 {
	if s.small() {
		return singleSize
	}
	b := s.b
	return int64(b.GetSizeInBytes()) + containerOverhead*int64(1+b.Stats().Containers)
}

// Reaches reports whether the set has a member in a slab.
func (s *Set) Reaches(slab Slab) bool {
	it := s.bitmap().Iterator()
	it.AdvanceIfNeeded(uint32(slab) << 16)
	return it.HasNext() && Slab(it.PeekNext()>>16) == slab
}
