package sets

// OneSlab reports whether all members lie in one slab. The empty set does.
func (s *Set) OneSlab() bool {
	if s.small() {
		return true
	}
	b := s.b
	return b.IsEmpty() || b.Minimum()>>16 == b.Maximum()>>16
}
