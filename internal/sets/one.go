package sets

// OneSlab reports whether all members lie in one slab. The empty set does.
func (s *Set) OneSlab() bool {
	b := s.bitmap()
	return b.IsEmpty() || b.Minimum()>>16 == b.Maximum()>>16
}
