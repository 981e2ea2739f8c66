package receipt

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Sizes of group messages.
const (
	// smallGroup is how many devices may be in the image of a message that is
	// one cell. More, and it has a cell for each slab.
	smallGroup = 8192
	// maxImage is how many bytes of an image with more devices are held with
	// its message; "all" takes some thousand.
	maxImage = 64 << 10
)

// group is a group message, or a volatile one, without its body. Its states
// are cells.
type group struct {
	id           herald.MessageID
	pos, evalPos herald.Pos
	byAlias      bool
	planned      bool // it is released in steps: pos is where they began
	held         bool // and goes to connections later: see record.Message.Held

	msg   *record.Message // without body and image; book.mu guards it
	image *sets.Set       // if it is compact, and the message not one cell
	whole bool            // it is one cell
	cell  *cell           // of a volatile message, which is in no cache
	lone  *lone           // of one to a single device, in the place of cell
	ended atomic.Bool     // it waits for nobody any more

	number uint32                      // among the small ones of its app
	slabs  atomic.Pointer[[]sets.Slab] // in which its target is; nil if not read yet

	tallies map[sets.Slab]tally // ledger.tallied guards it
}

// newGroup makes a group of a message as the record gives it with its target.
func (l *Ledger) newGroup(m *record.Message) *group {
	g := &group{id: m.ID, pos: m.Pos, evalPos: m.EvalPos, byAlias: m.ByAlias, planned: m.Planned(), held: m.Held(), msg: light(m)}
	g.ended.Store(!m.Ended.IsZero())
	image, ok := m.Group.Whole()
	switch {
	case !ok:
	case image.Len() <= l.small:
		g.whole = true
	case image.Size() <= maxImage:
		g.image = image
	}
	return g
}

// light gives a message without its body and image, to be kept.
func light(m *record.Message) *record.Message {
	out := *m
	out.Body, out.Group = nil, record.ImageApart()
	return &out
}

// slim gives a message without its image, if it has one at hand.
func slim(m *record.Message) *record.Message {
	if _, ok := m.Group.Whole(); !ok {
		return m
	}
	out := *m
	out.Group = record.ImageApart()
	return &out
}

// keepsWaits reports whether devices may ask for who waits in a cell, and that
// is less than the cell.
func (g *group) keepsWaits() bool { return !g.whole && !g.ended.Load() }

func (g *group) slabOf(o herald.Ordinal) sets.Slab {
	if g.whole {
		return 0
	}
	return sets.SlabOf(o)
}

// mayReach reports whether a message of several cells may have a device in one
// slab; it is known when its slabs have been listed.
func (g *group) mayReach(slab sets.Slab) bool {
	known := g.slabs.Load()
	if known == nil {
		return true
	}
	_, ok := slices.BinarySearch(*known, slab)
	return ok
}

// MayTarget gives a function that tells of messages to many devices of an app
// whether a device may be in their target: false, if what is in memory of one
// that has not ended says that it is not.
func (l *Ledger) MayTarget(app herald.AppKey, o herald.Ordinal) func(herald.MessageID) bool {
	b := l.book(app)
	return func(id herald.MessageID) bool {
		b.mu.RLock()
		defer b.mu.RUnlock()
		g := b.byID[id]
		switch {
		case g == nil, g.ended.Load():
			return true
		case g.whole:
			return slices.Contains(b.smallOf(g).find(o), g)
		}
		return g.mayReach(sets.SlabOf(o)) && (g.image == nil || g.image.Contains(o))
	}
}

// parts cuts a set as the message is cut into cells.
func (g *group) parts(s *sets.Set) iter.Seq2[sets.Slab, *sets.Set] {
	if !g.whole {
		return s.Slabs()
	}
	return func(yield func(sets.Slab, *sets.Set) bool) { yield(0, s) }
}

// group finds a group message whose states are held or, if it is an old one,
// takes it up again.
func (b *book) group(ctx context.Context, id herald.MessageID) (*group, error) {
	b.mu.RLock()
	g := b.byID[id]
	b.mu.RUnlock()
	if g != nil {
		return g, nil
	}
	m, err := b.ledger.source.Message(ctx, b.app, id)
	if err != nil {
		return nil, err
	}
	g = b.ledger.newGroup(m)
	b.mu.Lock()
	defer b.mu.Unlock()
	// It may have ended since it was read, when nobody knew it here yet.
	if now := b.ledger.messages.ended(b.app, id); now != nil && m.Ended.IsZero() {
		g.msg = light(now)
		g.ended.Store(true)
	}
	return b.take(g, m), nil
}

// look is group for a question, after which an old message is forgotten again.
func (b *book) look(ctx context.Context, m *record.Message) (*group, error) {
	b.mu.RLock()
	g := b.volatile[m.ID]
	if g == nil {
		g = b.byID[m.ID]
	}
	b.mu.RUnlock()
	if g != nil {
		return g, nil
	}
	m, err := b.ledger.source.Message(ctx, b.app, m.ID)
	if err != nil {
		return nil, err
	}
	return b.ledger.newGroup(m), nil
}

// take takes a group message into the book, unless it is there; b.mu is held.
func (b *book) take(g *group, m *record.Message) *group {
	if old := b.byID[m.ID]; old != nil {
		return old
	}
	b.byID[m.ID] = g
	b.groups = inserted(b.groups, g)
	if g.image != nil {
		b.ledger.cache.reserve(g.image.Size())
	}
	if !g.ended.Load() {
		b.live++
	}
	switch {
	case g.ended.Load():
	case g.whole:
		image, _ := m.Group.Whole()
		b.smallOf(g).add(g, image)
	default:
		b.wide = inserted(b.wide, g)
		if g.planned {
			b.planned = inserted(b.planned, g)
		}
		if g.byAlias {
			b.aliased = inserted(b.aliased, g)
		}
	}
	return g
}

// over takes a message that has ended from those that may wait; b.mu is held.
func (b *book) over(g *group) {
	if g.ended.Swap(true) {
		return
	}
	b.live--
	if g.whole {
		b.smallOf(g).remove(g)
		return
	}
	b.wide = slices.DeleteFunc(b.wide, func(w *group) bool { return w == g })
	if g.planned {
		b.planned = slices.DeleteFunc(b.planned, func(w *group) bool { return w == g })
	}
	if g.byAlias {
		b.aliased = slices.DeleteFunc(b.aliased, func(w *group) bool { return w == g })
	}
}

// smallOf is where a message of one cell is found by its devices: those that
// were sent by alias apart, because a change of aliases asks for them alone.
func (b *book) smallOf(g *group) *postings {
	if g.byAlias {
		return &b.aliasedSmall
	}
	return &b.small
}

// drop forgets a message; b.mu is held.
func (b *book) drop(g *group) {
	b.over(g)
	b.ledger.tallied.drop(g)
	delete(b.byID, g.id)
	if g.image != nil {
		b.ledger.cache.reserve(-g.image.Size())
	}
}

// inserted puts a group in its place in log order.
func inserted(list []*group, g *group) []*group {
	i, _ := slices.BinarySearchFunc(list, g.pos, comparePos)
	return slices.Insert(list, i, g)
}

// targetSlabs lists the cells of a message.
func (b *book) targetSlabs(ctx context.Context, g *group) ([]sets.Slab, error) {
	if known := g.slabs.Load(); known != nil {
		return *known, nil
	}
	var list []sets.Slab
	switch {
	case g.whole:
		list = []sets.Slab{0}
	case g.image != nil:
		for slab := range g.image.Slabs() {
			list = append(list, slab)
		}
	default:
		var err error
		if list, err = b.ledger.store.TargetSlabs(ctx, b.app, g.id); err != nil {
			return nil, err
		}
	}
	g.slabs.Store(&list)
	return list, nil
}

// cellOf gives a cell for reading with b.mu held. It may be that of a moment
// ago.
func (b *book) cellOf(ctx context.Context, g *group, slab sets.Slab) (*cell, error) {
	if g.isVolatile() {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return g.volatileCell(), nil
	}
	k, cache := cellKey{b, g.id, slab}, b.ledger.cache
	for {
		if c := cache.get(k); c != nil {
			return c, nil
		}
		since := cache.since(b)
		c, err := b.load(ctx, g, slab)
		if err != nil {
			return nil, err
		}
		b.mu.RLock()
		_, d := cache.here(k)
		current := cache.since(b) == since
		if d != nil && current {
			d.into(c) // its own: the cell is not taken into the cache for a question
		}
		b.mu.RUnlock()
		if d != nil && current {
			return c, nil
		}
		if e := cache.put(k, g, c, since, false); e != nil {
			// It may have gone again at once, and left only who waits.
			if now := cache.get(k); now != nil {
				return now, nil
			}
			return c, nil
		}
	}
}

// pin gives a cell that stays in memory, to be changed.
func (b *book) pin(ctx context.Context, g *group, slab sets.Slab) (*entry, error) {
	k, cache := cellKey{b, g.id, slab}, b.ledger.cache
	for {
		if e := cache.pin(k); e != nil {
			return e, nil
		}
		since := cache.since(b)
		c, err := b.load(ctx, g, slab)
		if err != nil {
			return nil, err
		}
		b.mu.Lock() // it may have to take in a delta
		e := cache.put(k, g, c, since, true)
		b.mu.Unlock()
		if e != nil {
			return e, nil
		}
	}
}

// pinFor is pin for an event of some devices: what is known of them without
// their cell is enough.
func (b *book) pinFor(ctx context.Context, g *group, slab sets.Slab, part *sets.Set) (*entry, error) {
	if part.Len() <= fewOrds {
		if e := b.ledger.cache.pinDelta(cellKey{b, g.id, slab}); e != nil {
			if b.knows(e, part) {
				return e, nil
			}
			b.ledger.cache.unpin(e)
		}
	}
	return b.pin(ctx, g, slab)
}

func (b *book) knows(e *entry, part *sets.Set) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for o := range part.All() {
		if _, ok := e.delta.find(o); !ok {
			return false
		}
	}
	return true
}

// load reads a cell of the record.
func (b *book) load(ctx context.Context, g *group, slab sets.Slab) (*cell, error) {
	if g.whole {
		return b.loadWhole(ctx, g)
	}
	cells, err := b.loadSlab(ctx, slab, []*group{g}, false)
	return cells[g.id], err
}

func (b *book) loadWhole(ctx context.Context, g *group) (*cell, error) {
	m, err := b.ledger.source.Message(ctx, b.app, g.id)
	if err != nil {
		return nil, err
	}
	image, ok := m.Group.Whole()
	if !ok {
		return nil, herald.Errorf(herald.CodeInternal, "Report this as a defect of Herald.",
			"receipt: message %s was tracked with the image of its audience, which the record keeps apart", g.id)
	}
	c := &cell{target: image}
	err = b.ledger.store.StateChunks(ctx, b.app, g.id, func(chunk record.Chunk) error {
		c.put(chunk.State, chunk.Bits)
		return nil
	})
	return c, err
}

// loadSlab reads what messages of several cells have in one slab, in one
// query; with waiting only what decides who waits.
func (b *book) loadSlab(ctx context.Context, slab sets.Slab, list []*group, waiting bool) (map[herald.MessageID]*cell, error) {
	out := make(map[herald.MessageID]*cell, len(list))
	ids := make([]herald.MessageID, len(list))
	for i, g := range list {
		c := &cell{}
		if g.image != nil {
			c.target = g.image.Slab(slab)
		}
		out[g.id], ids[i] = c, g.id
	}
	err := b.ledger.store.Cells(ctx, b.app, slab, ids, waiting, func(chunk record.Chunk) error {
		if chunk.State == record.TargetState {
			out[chunk.Msg].target = chunk.Bits
		} else {
			out[chunk.Msg].put(chunk.State, chunk.Bits)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		c := out[g.id]
		if c.target != nil {
			continue
		}
		if g.slabs.Load() != nil && g.mayReach(slab) {
			if err := b.lost(ctx, g, slab); !waiting || herald.CodeOf(err) != herald.CodeNotFound {
				return nil, err
			}
		}
		c.target = sets.New()
	}
	return out, nil
}

// lost says why a slab of a target is not there: the message was purged
// meanwhile, or it is damaged.
func (b *book) lost(ctx context.Context, g *group, slab sets.Slab) error {
	if _, err := b.ledger.source.Message(ctx, b.app, g.id); err != nil {
		return err
	}
	return fmt.Errorf("receipt: the target of message %s has lost slab %d: %w", g.id, slab, record.ErrDamaged)
}

// past reports whether no receipt can change a message any more.
func past(m *record.Message, now time.Time) bool {
	return !m.Ended.IsZero() && m.Ended.Before(now.Add(-herald.LateReceipts))
}

func comparePos(g *group, p herald.Pos) int { return cmp.Compare(g.pos, p) }
