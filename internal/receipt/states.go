package receipt

import (
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// states is one message's part of the state sets, in terms of devices.
type states interface {
	// has gives the devices in a state; the set must not be changed.
	has(herald.DeliveryState) *sets.Set
	// grow adds devices to a state.
	grow(herald.DeliveryState, *sets.Set)
}

// statesOf finds the states of a message; nil for a group message that is not
// in memory. b.mu is held.
func (b *book) statesOf(m *record.Message) states {
	if g := b.volatile[m.ID]; g != nil {
		return groupStates{g}
	}
	if m.IsDirect() {
		return directStates{b.direct, m}
	}
	if g := b.byID[m.ID]; g != nil {
		return groupStates{g}
	}
	return nil
}

type groupStates struct{ g *group }

func (s groupStates) has(state herald.DeliveryState) *sets.Set { return s.g.states[state] }

func (s groupStates) grow(state herald.DeliveryState, by *sets.Set) { s.g.set(state).Or(by) }

// directStates maps the devices of a direct message to delivery numbers.
type directStates struct {
	numbers numbers
	msg     *record.Message
}

func (s directStates) has(state herald.DeliveryState) *sets.Set {
	out := sets.New()
	for i, o := range s.msg.Direct {
		if s.numbers.has(state, s.msg.FirstN+uint64(i)) {
			out.Add(o)
		}
	}
	return out
}

func (s directStates) grow(state herald.DeliveryState, by *sets.Set) {
	for o := range by.All() {
		if n, ok := number(s.msg, o); ok {
			s.numbers.add(state, n)
		}
	}
}

// number is the delivery number of a device in a direct message.
func number(m *record.Message, o herald.Ordinal) (uint64, bool) {
	i, ok := slices.BinarySearch(m.Direct, o)
	return m.FirstN + uint64(i), ok
}

// numbers holds the states of all direct deliveries of an app as bitmaps over
// delivery numbers, in stretches of 65,536: an acknowledgement is one bit, and
// neighbours in time share a stretch.
type numbers map[numberKey]*sets.Set

type numberKey struct {
	state herald.DeliveryState
	index uint64
}

func (d numbers) load(c record.Chunk) { d[numberKey{c.State, c.Index}] = c.Bits }

func (d numbers) has(s herald.DeliveryState, n uint64) bool {
	return d[numberKey{s, n >> 16}].Contains(herald.Ordinal(n & 0xffff))
}

func (d numbers) add(s herald.DeliveryState, n uint64) {
	k := numberKey{s, n >> 16}
	if d[k] == nil {
		d[k] = sets.New()
	}
	d[k].Add(herald.Ordinal(n & 0xffff))
}

// done reports whether a delivery is received or has ended.
func (d numbers) done(n uint64) bool {
	if d.has(herald.StateReceived, n) {
		return true
	}
	for _, end := range herald.Ends {
		if d.has(end, n) {
			return true
		}
	}
	return false
}

// over reports whether devices of the set are received or have ended.
func over(s states) *sets.Set {
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
	return c
}
