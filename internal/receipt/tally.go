package receipt

import (
	"context"
	"maps"
	"slices"
	"sync"

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

// tallySize is about what memory the tally of a cell takes in its map.
const tallySize = 256

// tallied bounds the tallies of all messages. Those of the message that was
// first counted longest ago go first, all of them: counting it again is one
// walk.
type tallied struct {
	most int

	mu    sync.Mutex // guards what follows, and the tallies of every group
	cells int
	order []*group
}

// forget drops what was counted in a cell; book.mu is held for writing.
func (t *tallied) forget(g *group, slab sets.Slab) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := g.tallies[slab]; ok {
		delete(g.tallies, slab)
		t.cells--
	}
}

// drop forgets all that was counted of a message.
func (t *tallied) drop(g *group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.tallies == nil {
		return
	}
	t.clear(g)
	t.order = slices.DeleteFunc(t.order, func(o *group) bool { return o == g })
}

// clear is called with t.mu held.
func (t *tallied) clear(g *group) {
	t.cells -= len(g.tallies)
	g.tallies = nil
}

// keep notes what was counted in a cell of a message that is in its book;
// book.mu is held.
func (t *tallied) keep(g *group, slab sets.Slab, is tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.tallies == nil {
		g.tallies = map[sets.Slab]tally{}
		t.order = append(t.order, g)
	}
	if _, ok := g.tallies[slab]; !ok {
		t.cells++
	}
	g.tallies[slab] = is
	for t.cells > t.most && t.order[0] != g {
		t.clear(t.order[0])
		t.order = t.order[1:]
	}
}

func (t *tallied) of(g *group, slab sets.Slab) (tally, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, ok := g.tallies[slab]
	return is, ok
}

// readOneByOne is how many cells are read for counting one by one; more are
// read in one walk, and are not kept.
const readOneByOne = 4

// tally sums up a group message: of the cells that were counted before or are
// in memory, and of the record for the others.
func (b *book) tally(ctx context.Context, g *group) (sum tally, err error) {
	if g.isVolatile() {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return tallyOf(g.volatileCell()), nil
	}
	slabs, err := b.targetSlabs(ctx, g)
	if err != nil {
		return sum, err
	}
	since := b.ledger.cache.since(b)
	missing := map[sets.Slab]bool{}
	var mixed []sets.Slab // neither here nor as the record has them
	b.mu.RLock()
	kept := b.byID[g.id] == g // else nobody would forget what has changed
	for _, slab := range slabs {
		t, ok := b.ledger.tallied.of(g, slab)
		if !ok {
			c := b.ledger.cache.peek(cellKey{b, g.id, slab})
			if c == nil {
				if _, d := b.ledger.cache.here(cellKey{b, g.id, slab}); d != nil {
					mixed = append(mixed, slab)
				} else {
					missing[slab] = true
				}
				continue
			}
			if t = tallyOf(c); kept {
				b.ledger.tallied.keep(g, slab, t)
			}
		}
		sum.add(t)
	}
	b.mu.RUnlock()
	if len(missing) <= readOneByOne {
		mixed = slices.AppendSeq(mixed, maps.Keys(missing))
		clear(missing)
	}
	for _, slab := range mixed {
		c, err := b.cellOf(ctx, g, slab)
		if err != nil {
			return sum, err
		}
		b.mu.RLock()
		sum.add(tallyOf(c))
		b.mu.RUnlock()
	}
	if len(missing) == 0 {
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
		loaded, d := b.ledger.cache.here(k)
		if kept && b.byID[g.id] == g && !loaded && d == nil && b.ledger.cache.since(b) == since {
			b.ledger.tallied.keep(g, slab, t) // else it may have changed since it was read
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
