package live

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// smallTopic is how many sessions a topic may have for its devices to be found
// by looking at them all. Most topics are smaller, and a set for each would be
// most of their memory.
const smallTopic = 64

// devices are those of a topic that has, or had, more sessions than that.
type devices struct {
	set  *sets.Set
	more map[herald.Ordinal]uint16 // sessions of a device beside its first
}

// sessionsOf counts the sessions of a device; for small topics.
func (t *topic) sessionsOf(ord herald.Ordinal) (n int) {
	for _, b := range t.blocks {
		for _, place := range b.slots {
			if place.s != nil && place.s.ord == ord {
				n++
			}
		}
	}
	return n
}

// arrives notes that a session of a device has a slot now, and reports whether
// it is the only one of that device.
func (t *topic) arrives(ord herald.Ordinal) bool {
	switch {
	case t.devices != nil:
		return t.devices.add(ord)
	case t.sessions <= smallTopic:
		return t.sessionsOf(ord) == 1
	}
	alone := t.sessionsOf(ord) == 1
	t.devices = &devices{sets.New(), map[herald.Ordinal]uint16{}}
	for _, b := range t.blocks {
		for _, place := range b.slots {
			if place.s != nil {
				t.devices.add(place.s.ord)
			}
		}
	}
	return alone
}

func (d *devices) add(ord herald.Ordinal) bool {
	if d.set.Add(ord) {
		return true
	}
	d.more[ord]++
	return false
}

// leaves notes that a session of a device has no slot any more, and reports
// whether it was the last one of that device.
func (t *topic) leaves(ord herald.Ordinal) bool {
	if t.devices == nil {
		return t.sessionsOf(ord) == 0
	}
	switch n := t.devices.more[ord]; n {
	case 0:
		t.devices.set.Remove(ord)
		return true
	case 1:
		delete(t.devices.more, ord)
	default:
		t.devices.more[ord] = n - 1
	}
	return false
}

// subscribers gives the devices as a set of the caller's own.
func (t *topic) subscribers() *sets.Set {
	if t.devices != nil {
		return t.devices.set.Clone()
	}
	out := sets.New()
	for _, b := range t.blocks {
		for _, place := range b.slots {
			if place.s != nil {
				out.Add(place.s.ord)
			}
		}
	}
	return out
}
