package sets

import "strings"

// What a shelf takes at a time: twice as much as the time before, because most
// apps have few sets, up to this.
const (
	shelfSets    = 1 << 10
	shelfNumbers = 1 << 14
	shelfBytes   = 1 << 16
)

// firstPiece is what it takes of each the first time, or what is needed then.
const firstPiece = 16

// piece is how large the next one is, after one of some size, for something
// that needs room.
func piece(before, need, most int) int {
	return max(min(max(2*before, firstPiece), most), need)
}

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
		s.sets = make([]named, 0, piece(cap(s.sets), 1, shelfSets))
	}
	s.sets = append(s.sets, named{name: s.name(name), list: s.list(members.numbers())})
	return &s.sets[len(s.sets)-1]
}

func (s *shelf) list(numbers []uint32) []uint32 {
	if cap(s.lists)-len(s.lists) < len(numbers) {
		s.lists = make([]uint32, 0, piece(cap(s.lists), len(numbers), shelfNumbers))
	}
	from := len(s.lists)
	s.lists = append(s.lists, numbers...)
	return s.lists[from:len(s.lists):len(s.lists)]
}

func (s *shelf) name(name string) string {
	if s.names.Cap()-s.names.Len() < len(name) {
		size := piece(s.names.Cap(), len(name), shelfBytes)
		s.names = strings.Builder{}
		s.names.Grow(size)
	}
	from := s.names.Len()
	s.names.WriteString(name)
	return s.names.String()[from:]
}
