package receipt

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/sets"
)

// states is what a message, or one cell of it, has of the state sets, in terms of
// devices.
type states interface {
	// has gives the devices in a state; the set must not be changed.
	has(herald.DeliveryState) *sets.Set
}

// over reports whether devices of the set are received or have ended.
func over(s states) *sets.Set {
	if faults.Planted("ends_twice") {
		return sets.New()
	}
	out := s.has(herald.StateReceived).Clone()
	for _, end := range herald.Ends {
		out.Or(s.has(end))
	}
	return out
}

// stateOf is where one device stands.
func stateOf(s states, o herald.Ordinal) herald.DeliveryState {
	for i := len(herald.Progress) - 1; i > 0; i-- {
		if s.has(herald.Progress[i]).Contains(o) {
			return herald.Progress[i]
		}
	}
	for _, end := range herald.Ends {
		if s.has(end).Contains(o) {
			return end
		}
	}
	if s.has(herald.StateSent).Contains(o) {
		return herald.StateSent
	}
	return herald.StatePending
}
