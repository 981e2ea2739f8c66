package offline

import "sync/atomic"

// memory is how many of the messages that waited for the last devices were in
// memory: they need not be read with their entries then. Either way gives the
// same messages.
type memory struct{ part atomic.Int64 } // of memoryUnit

const (
	memoryUnit = 1 << 16
	memorySlow = 16 // how many devices count together, about
)

// note takes that so many of some messages were in memory.
func (m *memory) note(here, of int) {
	if of == 0 {
		return
	}
	was := m.part.Load() // one that is lost between two devices does no harm
	m.part.Store(was + (int64(here)*memoryUnit/int64(of)-was)/memorySlow)
}

// hasMost reports whether most were.
func (m *memory) hasMost() bool { return m.part.Load() > memoryUnit/2 }
