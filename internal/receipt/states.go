package receipt

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// states is one message's part of the state sets, in terms of devices.
type states interface {
	// has gives the devices in a state; the set must not be changed.
	has(herald.DeliveryState) *sets.Set
}

// statesOf finds the states of a message; nil for a group message that is not
// in memory. b.mu is held.
func (b *book) statesOf(m *record.Message) states {
	if g := b.volatile[m.ID]; g != nil {
		return g
	}
	if m.IsDirect() {
		return directStates{b.direct, m}
	}
	if g := b.byID[m.ID]; g != nil {
		return g
	}
	return nil
}

func (g *group) has(state herald.DeliveryState) *sets.Set { return g.states[state] }

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

// count counts a message both ways; see herald.Counts.
func count(s states, target int64) herald.Counts {
	n := func(state herald.DeliveryState) int64 { return s.has(state).Len() }
	c := herald.Counts{
		Target: target, Sent: n(herald.StateSent), Received: n(herald.StateReceived),
		Displayed: n(herald.StateDisplayed), Clicked: n(herald.StateClicked), States: map[herald.DeliveryState]int64{},
	}
	put := func(state herald.DeliveryState, n int64) {
		if n != 0 {
			c.States[state] = n
		}
	}
	put(herald.StateClicked, c.Clicked)
	put(herald.StateDisplayed, c.Displayed-c.Clicked)
	put(herald.StateReceived, c.Received-c.Displayed)
	ended := sets.New()
	for _, end := range herald.Ends {
		set := s.has(end)
		ended.Or(set)
		if end == herald.StateUnconfirmed {
			put(end, n(end)-sets.Common(set, s.has(herald.StateReceived)))
		} else {
			put(end, n(end))
		}
	}
	waiting := sets.Minus(s.has(herald.StateSent), s.has(herald.StateReceived))
	waiting.AndNot(ended)
	put(herald.StateSent, waiting.Len())
	ended.Or(s.has(herald.StateSent))
	put(herald.StatePending, target-ended.Len())
	if faults.Planted("counts_twice") && c.Received > 0 {
		c.Received++
	}
	return c
}
