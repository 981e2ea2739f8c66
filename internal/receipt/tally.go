package receipt

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// tally is what one cell, or a sum of them, adds to the counts of a message. It
// is made of the cell's sets and forgotten when they change: it is no counter.
type tally struct {
	progress [len(herald.Progress)]int64
	ends     [len(herald.Ends)]int64
	sent     int64 // sent, and nothing more
	begun    int64 // sent or ended
}

func (t *tally) add(u tally) {
	for i, n := range u.progress {
		t.progress[i] += n
	}
	for i, n := range u.ends {
		t.ends[i] += n
	}
	t.sent, t.begun = t.sent+u.sent, t.begun+u.begun
}

func tallyOf(s states) (t tally) {
	for i, p := range herald.Progress {
		t.progress[i] = s.has(p).Len()
	}
	ended := sets.New()
	for i, end := range herald.Ends {
		set := s.has(end)
		ended.Or(set)
		if t.ends[i] = set.Len(); end == herald.StateUnconfirmed {
			t.ends[i] -= sets.Common(set, s.has(herald.StateReceived))
		}
	}
	waiting := sets.Minus(s.has(herald.StateSent), s.has(herald.StateReceived))
	waiting.AndNot(ended)
	t.sent = waiting.Len()
	ended.Or(s.has(herald.StateSent))
	t.begun = ended.Len()
	return t
}

// counts counts a message both ways; see herald.Counts.
func (t tally) counts(target int64) herald.Counts {
	c := herald.Counts{
		Target: target, Sent: t.progress[0], Received: t.progress[1], Displayed: t.progress[2], Clicked: t.progress[3],
		States: map[herald.DeliveryState]int64{},
	}
	put := func(state herald.DeliveryState, n int64) {
		if n != 0 {
			c.States[state] = n
		}
	}
	put(herald.StateClicked, c.Clicked)
	put(herald.StateDisplayed, c.Displayed-c.Clicked)
	put(herald.StateReceived, c.Received-c.Displayed)
	for i, end := range herald.Ends {
		put(end, t.ends[i])
	}
	put(herald.StateSent, t.sent)
	put(herald.StatePending, target-t.begun)
	if faults.Planted("counts_twice") && c.Received > 0 {
		c.Received++
	}
	return c
}

// forget drops what was counted in a cell; book.mu is held for writing.
func (g *group) forget(slab sets.Slab) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.tallies, slab)
}

// keep notes what was counted in a cell; book.mu is held.
func (g *group) keep(slab sets.Slab, t tally) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tallies == nil {
		g.tallies = map[sets.Slab]tally{}
	}
	g.tallies[slab] = t
}

func (g *group) counted(slab sets.Slab) (tally, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.tallies[slab]
	return t, ok
}

// readOneByOne is how many cells are read for counting one by one; more are
// read in one walk, and are not kept.
const readOneByOne = 4

// tally sums up a group message: of the cells that were counted before or are
// in memory, and of the record for the others.
func (b *book) tally(ctx context.Context, g *group) (sum tally, err error) {
	if g.cell != nil {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return tallyOf(g.cell), nil
	}
	slabs, err := b.targetSlabs(ctx, g)
	if err != nil {
		return sum, err
	}
	since := b.ledger.cache.since(b)
	missing := map[sets.Slab]bool{}
	b.mu.RLock()
	for _, slab := range slabs {
		t, ok := g.counted(slab)
		if !ok {
			c := b.ledger.cache.get(cellKey{b, g.id, slab})
			if c == nil {
				missing[slab] = true
				continue
			}
			t = tallyOf(c)
			g.keep(slab, t)
		}
		sum.add(t)
	}
	b.mu.RUnlock()
	if len(missing) <= readOneByOne {
		for slab := range missing {
			c, err := b.cellOf(ctx, g, slab)
			if err != nil {
				return sum, err
			}
			b.mu.RLock()
			sum.add(tallyOf(c))
			b.mu.RUnlock()
		}
		return sum, nil
	}
	read, err := b.readTallies(ctx, g, missing)
	if err != nil {
		return sum, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for slab := range missing {
		t := read[slab] // zero where nothing is reported
		sum.add(t)
		k := cellKey{b, g.id, slab}
		if b.ledger.cache.get(k) == nil && b.ledger.cache.since(b) == since {
			g.keep(slab, t) // else it may have changed since it was read
		}
	}
	return sum, nil
}

// readTallies counts cells of the record, one after the other.
func (b *book) readTallies(ctx context.Context, g *group, missing map[sets.Slab]bool) (map[sets.Slab]tally, error) {
	out := map[sets.Slab]tally{}
	var c *cell
	var at sets.Slab
	done := func() {
		if c != nil && missing[at] {
			out[at] = tallyOf(c)
		}
	}
	err := b.ledger.store.StateChunks(ctx, b.app, g.id, func(chunk record.Chunk) error {
		if slab := sets.Slab(chunk.Index); c == nil || slab != at {
			done()
			c, at = &cell{}, slab
		}
		c.put(chunk.State, chunk.Bits)
		return nil
	})
	done()
	return out, err
}
