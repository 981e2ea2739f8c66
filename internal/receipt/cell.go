package receipt

import (
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// cell is what one slab has of a group message: its part of the target and of
// every state. A message to few devices is one cell, as a small named set is
// one part. A cell is changed only while it is pinned, with book.mu held.
type cell struct {
	target *sets.Set     // of the image, so that dead devices may be in it
	bits   [16]*sets.Set // by the place in known; nil is empty
	dirty  mask          // states that have changed since the last fold
}

func (c *cell) has(state herald.DeliveryState) *sets.Set {
	if i := slices.Index(known, state); i >= 0 {
		return c.bits[i]
	}
	return nil
}

// put takes what the record has of a state; a small message of an older Herald
// has it slab by slab.
func (c *cell) put(state herald.DeliveryState, bits *sets.Set) {
	if i := slices.Index(known, state); i >= 0 {
		if c.bits[i] == nil {
			c.bits[i] = bits
		} else {
			c.bits[i].Or(bits)
		}
	}
}

// waits gives the devices for which the message waits here.
func (c *cell) waits() *sets.Set { return sets.Minus(c.target, over(c)) }

// cellOverhead is about what a cell takes without its sets.
const cellOverhead = 400

func (c *cell) size() int64 {
	n := cellOverhead + c.target.Size()
	for _, s := range c.bits {
		if s != nil {
			n += s.Size()
		}
	}
	return n
}
