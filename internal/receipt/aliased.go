package receipt

import (
	"cmp"
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// AliasGroup is a group message that was sent by alias, with devices for which
// it may wait.
type AliasGroup struct {
	Msg  herald.MessageID
	Ords *sets.Set
}

// WaitingByAlias finds, among devices, those for which group messages wait that
// were sent by alias, evaluated before a log position and released up to
// another. Messages that were not sent by alias are not looked at, however many
// there are; of the others only the slabs of the devices. Some that a message
// of one cell names may have received it.
func (l *Ledger) WaitingByAlias(ctx context.Context, app herald.AppKey, ords *sets.Set, evaluated, upto herald.Pos) (out []AliasGroup, err error) {
	b := l.book(app)
	found := map[*group]*sets.Set{}
	now := l.now()
	concerns := func(g *group) bool {
		return g.evalPos < evaluated && g.pos <= upto && now.Before(g.msg.Expires())
	}
	for slab, part := range ords.Slabs() {
		var wide []*group
		b.mu.RLock() // also of the messages that concerns reads
		b.aliasedSmall.among(slab, part, func(g *group, has *sets.Set) {
			if !concerns(g) {
				return
			}
			if found[g] == nil {
				found[g] = sets.New()
			}
			found[g].Or(has)
		})
		for _, g := range b.aliased {
			if concerns(g) && g.mayReach(slab) && (g.image == nil || sets.Common(g.image, part) > 0) {
				wide = append(wide, g)
			}
		}
		b.mu.RUnlock()
		for some := range slices.Chunk(wide, testedAtOnce) {
			if err := b.waitAmong(ctx, slab, part, some, found); err != nil {
				return nil, err
			}
		}
	}
	for g, has := range found {
		out = append(out, AliasGroup{g.id, has})
	}
	slices.SortFunc(out, func(x, y AliasGroup) int { return cmp.Compare(x.Msg, y.Msg) })
	return out, nil
}

// waitAmong adds to found who of some devices of one slab waits for messages of
// several cells. One whose states are damaged is left out.
func (b *book) waitAmong(ctx context.Context, slab sets.Slab, part *sets.Set, list []*group, found map[*group]*sets.Set) error {
	cache := b.ledger.cache
	add := func(g *group, waits *sets.Set) {
		if has := sets.Intersect(waits, part); !has.Empty() {
			if found[g] == nil {
				found[g] = sets.New()
			}
			found[g].Or(has)
		}
	}
	var missing []*group
	since := cache.since(b)
	b.mu.RLock()
	for _, g := range list {
		switch c, waits, _ := cache.find(cellKey{b, g.id, slab}); {
		case c != nil:
			add(g, c.waits())
		case waits != nil:
			add(g, waits)
		default:
			missing = append(missing, g)
		}
	}
	b.mu.RUnlock()
	cells, err := b.readable(ctx, slab, missing)
	if err != nil {
		return err
	}
	for _, g := range missing {
		if c := cells[g.id]; c != nil { // else it is damaged
			waits := c.waits()
			b.lessDelta(g, slab, waits)
			add(g, waits)
			cache.putWaits(cellKey{b, g.id, slab}, g, waits, since)
		}
	}
	return nil
}

// lessDelta takes out of who waits in a cell, by the record, who does not any
// more.
func (b *book) lessDelta(g *group, slab sets.Slab, waits *sets.Set) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, d := b.ledger.cache.here(cellKey{b, g.id, slab})
	d.without(waits)
}

// WaitingOf leaves of entries those that are neither received nor ended.
func (l *Ledger) WaitingOf(app herald.AppKey, entries []record.AliasEntry) []record.AliasEntry {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.DeleteFunc(entries, func(e record.AliasEntry) bool { return b.direct.mask(e.N).done() })
}
