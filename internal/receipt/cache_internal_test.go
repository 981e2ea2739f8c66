package receipt

import (
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// The tallies of all messages have a bound; those counted longest ago go.
func TestTalliesAreBounded(t *testing.T) {
	tl := &tallied{most: 10}
	var list []*group
	for i := range 6 {
		g := &group{id: herald.MessageID(i)}
		list = append(list, g)
		for slab := range sets.Slab(4) {
			tl.keep(g, slab, tally{sent: 1})
			tl.keep(g, slab, tally{sent: 2})
		}
	}
	if tl.cells != 8 || len(tl.order) != 2 {
		t.Errorf("%d cells of %d messages", tl.cells, len(tl.order))
	}
	if _, ok := tl.of(list[0], 0); ok {
		t.Error("the first is still there")
	}
	if is, ok := tl.of(list[5], 3); !ok || is.sent != 2 {
		t.Errorf("the last has %+v, %v", is, ok)
	}
	tl.forget(list[5], 3)
	tl.forget(list[5], 3)
	tl.drop(list[4])
	tl.drop(list[4])
	if tl.cells != 3 || len(tl.order) != 1 {
		t.Errorf("%d cells of %d messages", tl.cells, len(tl.order))
	}
	// One message alone may have more than the bound.
	for slab := range sets.Slab(30) {
		tl.keep(list[0], slab, tally{})
	}
	if tl.cells != 30 || len(tl.order) != 1 {
		t.Errorf("%d cells of %d messages", tl.cells, len(tl.order))
	}
}

// A cell that leaves the cache leaves who waits in it; what has changed stays
// until it is folded, and what was read before that is refused.
func TestCache(t *testing.T) {
	b := &book{}
	g := &group{id: 1}
	one := func() *cell { return &cell{target: sets.Range(8000)} }
	size := one().size()
	c := newCache(2 * size)
	key := func(slab sets.Slab) cellKey { return cellKey{b, 1, slab} }
	e := c.put(key(0), g, one(), c.since(b), true)
	c.put(key(1), g, one(), c.since(b), false)
	c.put(key(2), g, one(), c.since(b), false)
	if c.peek(key(0)) == nil || c.peek(key(1)) != nil {
		t.Fatal("the one that is not pinned should have gone")
	}
	if is, waits, _ := c.find(key(1)); is != nil || waits != nil && waits.Len() != 8000 {
		t.Errorf("who waits: %v", waits)
	}
	if s := c.now(); s.Bytes > 2*size || s.Evictions == 0 {
		t.Errorf("%+v", s)
	}
	since := c.since(b)
	c.folded(b, []*entry{e})
	if c.put(key(3), g, one(), since, true) != nil {
		t.Error("took what was read before the fold")
	}
	c.putWaits(key(4), g, sets.New(1), since)
	if is, waits, _ := c.find(key(4)); is != nil || waits != nil {
		t.Error("took who waited before the fold")
	}
	for range admit { // a full cache takes one of so many
		c.putWaits(key(4), g, sets.New(1), c.since(b))
	}
	if _, waits, _ := c.find(key(4)); waits == nil {
		t.Error("does not know who waits")
	}
	if got := c.put(key(4), g, one(), c.since(b), true); got.cell == nil || got.waits != nil {
		t.Error("the cell has not come in the place of who waits")
	} else {
		c.unpin(got)
	}
	// When the memory is needed for something else all goes.
	c.reserve(10 * size)
	if len(c.entries) != 0 || c.used != 10*size || c.pinned != 0 || c.oldest != nil || c.newest != nil {
		t.Errorf("%d entries, %d bytes, %d pinned", len(c.entries), c.used, c.pinned)
	}
}
