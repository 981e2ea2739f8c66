package sets

import "strings"

// What a shelf takes at a time.
const (
	shelfSets    = 1 << 10
	shelfNumbers = 1 << 14
	shelfBytes   = 1 << 16
)

// shelf puts small sets side by side in pieces of memory that they share. A
// collection of garbage looks at each piece once, and a million sets would be
// three million pieces. A piece stays until the last set in it is gone.
type shelf struct {
	sets  []named
	lists []uint32
	names strings.Builder
}

// put makes a set of few members. It keeps neither the name nor the members.
func (s *shelf) put(name string, members *Set) *named {
	if len(s.sets) == cap(s.sets) {
		s.sets = make([]named, 0, shelfSets)
	}
	s.sets = append(s.sets, named{name: s.name(name), list: s.list(members.numbers())})
	return &s.sets[len(s.sets)-1]
}

func (s *shelf) list(numbers []uint32) []uint32 {
	if cap(s.lists)-len(s.lists) < len(numbers) {
		s.lists = make([]uint32, 0, max(shelfNumbers, len(numbers)))
	}
	from := len(s.lists)
	s.lists = append(s.lists, numbers...)
	return s.lists[from:len(s.lists):len(s.lists)]
}

func (s *shelf) name(name string) string {
	if s.names.Cap()-s.names.Len() < len(name) {
		s.names = strings.Builder{}
		s.names.Grow(max(shelfBytes, len(name)))
	}
	from := s.names.Len()
	s.names.WriteString(name)
	return s.names.String()[from:]
}
