package receipt

import (
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// mask holds the states of one delivery, a bit for each of known.
type mask uint16

// known lists the states that are kept; a state's bit is its place here.
var known = slices.Concat(herald.Progress[:], herald.Ends[:], []herald.DeliveryState{record.ToldState})

// bit gives the bit of a state; 0 if it is none that is kept.
func bit(s herald.DeliveryState) mask {
	if i := slices.Index(known, s); i >= 0 {
		return 1 << i
	}
	return 0
}

var (
	bitSent        = bit(herald.StateSent)
	bitReceived    = bit(herald.StateReceived)
	bitUnconfirmed = bit(herald.StateUnconfirmed)
	bitTold        = bit(record.ToldState)
	bitsProgress   = bitsOf(herald.Progress[:])
	bitsEnds       = bitsOf(herald.Ends[:])
	// bitsSplit are the ends of a message that leave unconfirmed what was sent.
	bitsSplit = bit(herald.StateExpired) | bit(herald.StateWithdrawn) | bit(herald.StateReplaced)
)

func bitsOf(list []herald.DeliveryState) (m mask) {
	for _, s := range list {
		m |= bit(s)
	}
	return m
}

// done reports whether the delivery is received or has ended.
func (m mask) done() bool { return m&(bitReceived|bitsEnds) != 0 }

// after says to which state an event takes a delivery; 0 if it changes
// nothing. late says that it comes more than herald.LateReceipts after the end
// of its message. It is what applyTo does with sets, for one delivery.
func (m mask) after(event mask, late bool) mask {
	switch {
	case m&event != 0:
		return 0
	case event == bitTold:
		return event
	case event&bitsProgress != 0:
		if m&bitsEnds&^bitUnconfirmed != 0 {
			return 0
		}
		if m&bitUnconfirmed != 0 && m&bitReceived == 0 && (event == bitSent || late) {
			return 0
		}
		return event
	case m.done() && !faults.Planted("ends_twice"):
		return 0
	case event&bitsSplit != 0 && m&bitSent != 0 && !faults.Planted("ends_twice"):
		return bitUnconfirmed
	}
	return event
}

// with gives what a delivery is after a state that after has given: a step of
// the good way includes the earlier ones.
func (m mask) with(state mask) mask {
	if state&bitsProgress != 0 {
		return m | state | (state - 1)
	}
	return m | state
}

// stretch holds the states of 65,536 deliveries with neighbouring numbers, as
// sets of their lower 16 bits.
type stretch struct {
	bits  [16]*sets.Set // by the place in known; nil is empty
	dirty mask          // states that have changed since the last fold
	lost  uint64        // deliveries with numbers below this have lost a state; see record.Chunk.Lost
}

func (s *stretch) mask(n herald.Ordinal) (m mask) {
	for i, set := range s.bits {
		if set != nil && set.Contains(n) {
			m |= 1 << i
		}
	}
	return m
}

func (s *stretch) add(n herald.Ordinal, states mask) {
	for i := range s.bits {
		if states&(1<<i) != 0 {
			if s.bits[i] == nil {
				s.bits[i] = sets.New()
			}
			s.bits[i].Add(n)
		}
	}
	s.dirty |= states
}

// numbers holds the states of all direct deliveries of an app by delivery
// number, in stretches of 65,536: an acknowledgement is one bit, and neighbours
// in time share a stretch.
type numbers map[uint64]*stretch

func (d numbers) load(c record.Chunk) {
	i, s := slices.Index(known, c.State), d.stretch(c.Index)
	switch {
	case i < 0:
	case c.Lost == 0:
		s.bits[i] = c.Bits
	case c.State != record.ToldState: // which is in no count
		s.lost = max(s.lost, c.Lost)
	}
}

// intact is an error if deliveries of a direct message have lost a state. They
// are sent what waits once more, if it was received that they have lost, and
// nothing is said of them: it could be wrong.
func (d numbers) intact(m *record.Message) error {
	if len(m.Direct) == 0 {
		return nil
	}
	for i := m.FirstN >> 16; i <= (m.FirstN+uint64(len(m.Direct))-1)>>16; i++ {
		if s := d[i]; s != nil && m.FirstN < s.lost {
			e := herald.Errorf(herald.CodeStorageUnavailable, "Restore the data folder from a backup; the disk has changed stored bytes.",
				"the states of message %s are damaged", m.ID)
			e.Err = record.ErrDamaged
			return e
		}
	}
	return nil
}

func (d numbers) stretch(index uint64) *stretch {
	s := d[index]
	if s == nil {
		s = &stretch{}
		d[index] = s
	}
	return s
}

func (d numbers) mask(n uint64) mask {
	if s := d[n>>16]; s != nil {
		return s.mask(herald.Ordinal(n & 0xffff))
	}
	return 0
}

func (d numbers) has(s herald.DeliveryState, n uint64) bool { return d.mask(n)&bit(s) != 0 }

func (d numbers) add(n uint64, states mask) {
	d.stretch(n>>16).add(herald.Ordinal(n&0xffff), states)
}

// number is the delivery number of a device in a direct message.
func number(m *record.Message, o herald.Ordinal) (uint64, bool) {
	return numberIn(m.FirstN, m.Direct, o)
}

func numberIn(first uint64, direct []herald.Ordinal, o herald.Ordinal) (uint64, bool) {
	i, ok := slices.BinarySearch(direct, o)
	return first + uint64(i), ok
}

// directStates shows the deliveries of one direct message in terms of devices.
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

// newsOf leaves of an event of a direct message what changes something: as the
// same state, or as unconfirmed. b.mu is held for reading.
func (b *book) newsOf(f *facts, e record.Event, out []piece) []piece {
	event, late := bit(e.State), f.late(e)
	if o, one := e.Set.Only(); one { // most receipts are of one device
		switch after := b.after(f, o, event, late); after {
		case 0:
			return out
		case event:
		default:
			e.State, e.Detail = herald.StateUnconfirmed, string(e.State)
		}
		return append(out, piece{e: e, facts: f})
	}
	var same, unsure *sets.Set
	all := true
	for o := range e.Set.All() {
		after := b.after(f, o, event, late)
		if after == 0 {
			all = false
			continue
		}
		if after == event {
			same = with(same, o)
			continue
		}
		all, unsure = false, with(unsure, o)
	}
	if unsure != nil {
		u := e
		u.State, u.Detail, u.Set = herald.StateUnconfirmed, string(e.State), unsure
		out = append(out, piece{e: u, facts: f})
	}
	if same != nil {
		if !all {
			e.Set = same
		}
		out = append(out, piece{e: e, facts: f})
	}
	return out
}

// after says to which state an event takes the delivery to a device; 0 if it
// changes nothing. b.mu is held for reading.
func (b *book) after(f *facts, o herald.Ordinal, event mask, late bool) mask {
	if n, ok := f.number(o); ok && n>>16 >= b.purged {
		return b.direct.mask(n).after(event, late)
	}
	return 0
}

func with(s *sets.Set, o herald.Ordinal) *sets.Set {
	if s == nil {
		return sets.New(o)
	}
	s.Add(o)
	return s
}

// applyDirect moves deliveries of a direct message forward; b.mu is held.
func (b *book) applyDirect(f *facts, e record.Event) {
	event, late := bit(e.State), f.late(e)
	for o := range e.Set.All() {
		n, ok := f.number(o)
		if !ok || n>>16 < b.purged {
			continue
		}
		before := b.direct.mask(n)
		after := before.after(event, late)
		if after == 0 {
			continue
		}
		grown := before.with(after) &^ before
		b.direct.add(n, grown)
		if b.loading {
			continue
		}
		for i, s := range known {
			if grown&(1<<i) != 0 {
				b.ledger.observe(s, 1)
			}
		}
	}
}
