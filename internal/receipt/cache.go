package receipt

import (
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// cache holds the cells of group messages under a budget of bytes, for all apps
// together. What has changed since the last fold is pinned, so that what is read
// from the record is always what the cell is; the rest goes when it was not used
// for the longest time. A cell that goes leaves behind who waits in it, which is
// a third of it and what devices ask for when they connect.
type cache struct {
	budget int64

	mu      sync.Mutex // guards what follows, and the lists and counts of entries
	entries map[cellKey]*entry
	used    int64 // bytes, with those that are pinned or reserved
	pinned  int64
	folds   map[*book]uint64
	oldest  *entry
	newest  *entry
	stats   CacheStats
	refused int // by admits
}

// admit says how many times who waits in a cell is read until it comes into a
// full cache. When devices connect from everywhere, and more is asked for than
// the cache holds, taking all of it would push out each before it is asked for
// again; so most stays, and is found.
const (
	admit      = 8
	admitWhole = 64 // for a cell that is a whole message: more is read for it
)

// roomy is how many bytes are free in a cache that is not full: some cells.
const roomy = 64 << 10

// CacheStats is what the cache of cells has done since the start.
type CacheStats struct {
	Bytes     int64 // taken now, with what cannot leave
	Hits      int64 // cells that were there when they were asked for
	Misses    int64 // cells that had to be read from the record
	Evictions int64 // cells that went, or left only who waits in them
}

// maxPinned is how many bytes of changed cells wait for a fold at most: a fold
// copies and writes them in one commit.
const maxPinned = 64 << 20

type cellKey struct {
	b    *book
	msg  herald.MessageID
	slab sets.Slab // 0 for a message of one cell
}

// entry is a cell in the cache, or only who waits in it.
type entry struct {
	key        cellKey
	group      *group
	cell       *cell
	waits      *sets.Set // if cell is nil
	delta      *delta    // likewise, for some devices; what waits takes it in
	size       int64
	pins       int
	prev, next *entry // by use, while it is not pinned
}

func newCache(budget int64) *cache {
	return &cache{budget: budget, entries: map[cellKey]*entry{}, folds: map[*book]uint64{}}
}

// get gives a cell for reading; nil if it is not here.
func (c *cache) get(k cellKey) *cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil || e.cell == nil {
		c.stats.Misses++
		return nil
	}
	c.stats.Hits++
	c.touch(e)
	return e.cell
}

// peek is get for who does not read the cell if it is not here.
func (c *cache) peek(k cellKey) *cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		return e.cell
	}
	return nil
}

// find gives a cell, or else who waits in it and what is known of some devices;
// all nil if it is not here.
func (c *cache) find(k cellKey) (*cell, *sets.Set, *delta) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil {
		c.stats.Misses++
		return nil, nil, nil
	}
	c.stats.Hits++
	c.touch(e)
	return e.cell, e.waits, e.delta
}

// here tells whether a cell is here, or else what is known of some devices.
func (c *cache) here(k cellKey) (loaded bool, d *delta) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		return e.cell != nil, e.delta
	}
	return false, nil
}

// pin gives a cell that stays until it is let go; nil if it is not here.
func (c *cache) pin(k cellKey) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil || e.cell == nil {
		c.stats.Misses++
		return nil
	}
	c.stats.Hits++
	c.hold(e)
	return e
}

// pinDelta is pin for a cell of which some devices are known.
func (c *cache) pinDelta(k cellKey) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil || e.delta == nil {
		return nil
	}
	c.stats.Hits++
	c.hold(e)
	return e
}

// putDelta takes where a device of a cell stands by the record since the given
// fold, and gives the entry, pinned; nil if the cell is here, or the record has
// moved on. The book's mu is held.
func (c *cache) putDelta(k cellKey, g *group, o herald.Ordinal, is mask, since uint64) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e != nil && e.cell != nil || c.folds[k.b] != since {
		return nil
	}
	if e == nil {
		e = c.enter(k, g, nil)
	}
	c.hold(e)
	if e.delta == nil {
		e.delta = &delta{}
	}
	e.delta.know(o, is)
	c.resized(e, e.coldSize())
	c.evict()
	return e
}

// coldSize is what an entry without a cell takes.
func (e *entry) coldSize() int64 {
	n := e.delta.size()
	if e.waits != nil {
		n += cellOverhead/2 + e.waits.Size()
	}
	return n
}

// pinAgain pins what is pinned already.
func (c *cache) pinAgain(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.pins++
}

// unpin lets go of cells.
func (c *cache) unpin(list ...*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letGo(list)
}

// folded lets go of cells whose changes the record has now. What was read of
// the record before must not enter the cache any more.
func (c *cache) folded(b *book, list []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folds[b]++
	c.letGo(list)
}

// since tells until when what is read of the record from now on may enter the
// cache.
func (c *cache) since(b *book) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.folds[b]
}

// put takes a cell that was read of the record since the given fold, and gives
// what is in the cache then, pinned if that is asked for; nil if the record has
// moved on. A cell that is to be pinned takes in what is known of some devices,
// and the book's mu is held; else it is not taken then.
func (c *cache) put(k cellKey, g *group, is *cell, since uint64, pin bool) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	switch {
	case e != nil && e.cell != nil:
		c.touch(e)
	case c.folds[k.b] != since || e != nil && e.delta != nil && !pin:
		return nil
	default:
		e = c.enter(k, g, e)
		if e.delta != nil {
			e.delta.into(is)
			is.dirty = e.delta.dirty()
		}
		e.cell, e.waits, e.delta = is, nil, nil
		c.resized(e, is.size())
	}
	if pin {
		c.hold(e)
	}
	c.evict()
	return e
}

// putWaits takes who waits in a cell, if nothing is known of it.
func (c *cache) putWaits(k cellKey, g *group, waits *sets.Set, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[k] != nil || c.folds[k.b] != since {
		return
	}
	e := c.enter(k, g, nil)
	e.waits = waits
	c.resized(e, cellOverhead/2+waits.Size())
	c.evict()
}

// admits reports whether what is read of a cell should be kept: while there is
// room, and seldom in a full cache. Who does not keep it need not read all of
// it.
func (c *cache) admits(often int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free() {
		return true
	}
	c.refused++
	return c.refused%often == 0
}

// hasRoom reports whether the cache is not full.
func (c *cache) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free()
}

// grown notes the size of a pinned cell after it was changed.
func (c *cache) grown(e *entry) {
	size := e.cell.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resized(e, size)
	c.evict()
}

// reserve takes bytes of the budget for what is not a cell.
func (c *cache) reserve(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += n
	c.evict()
}

// crowded reports whether so much waits to be folded that nothing else fits.
func (c *cache) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pinned > min(c.budget/4, maxPinned)
}

func (c *cache) now() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.stats
	out.Bytes = c.used
	return out
}

// What follows is called with c.mu held.

func (c *cache) free() bool { return c.used+roomy <= c.budget }

func (c *cache) enter(k cellKey, g *group, e *entry) *entry {
	if e == nil {
		e = &entry{key: k}
		c.entries[k] = e
		c.link(e)
	} else {
		c.touch(e)
	}
	e.group = g
	return e
}

func (c *cache) resized(e *entry, size int64) {
	c.used += size - e.size
	if e.pins > 0 {
		c.pinned += size - e.size
	}
	e.size = size
}

func (c *cache) hold(e *entry) {
	if e.pins == 0 {
		c.unlink(e)
		c.pinned += e.size
	}
	e.pins++
}

func (c *cache) letGo(list []*entry) {
	for _, e := range list {
		if e.pins--; e.pins == 0 {
			c.pinned -= e.size
			c.link(e)
		}
	}
	c.evict()
}

func (c *cache) touch(e *entry) {
	if e.pins == 0 && e != c.newest {
		c.unlink(e)
		c.link(e)
	}
}

func (c *cache) link(e *entry) {
	e.prev, e.next = c.newest, nil
	if c.newest != nil {
		c.newest.next = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

func (c *cache) unlink(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		c.oldest = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		c.newest = e.prev
	}
	e.prev, e.next = nil, nil
}

func (c *cache) evict() {
	for c.used > c.budget && c.oldest != nil {
		e := c.oldest
		c.stats.Evictions++
		if e.cell != nil && e.group.keepsWaits() {
			waits := e.cell.waits()
			if size := cellOverhead/2 + waits.Size(); size < e.size {
				e.cell, e.waits = nil, waits
				c.resized(e, size)
				c.touch(e)
				continue
			}
		}
		c.unlink(e)
		c.resized(e, 0)
		delete(c.entries, e.key)
	}
}
