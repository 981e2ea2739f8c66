package offline

import "testing"

// Messages are read with their entries while few are in memory.
func TestMemory(t *testing.T) {
	var m memory
	if m.hasMost() {
		t.Error("after the start most are said to be in memory")
	}
	for range 4 * memorySlow {
		m.note(10, 10)
		m.note(0, 0) // says nothing
	}
	if !m.hasMost() {
		t.Error("all were in memory")
	}
	for range 4 * memorySlow {
		m.note(3, 10)
	}
	if m.hasMost() {
		t.Error("few were in memory")
	}
}
