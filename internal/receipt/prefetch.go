package receipt

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// asker is a device, for which several messages are looked up together.
type asker struct {
	slab sets.Slab
	ord  herald.Ordinal
}

// prefetch finds out where the devices of some events stand, as far as their
// cells are not in memory and are not to come there, and gives the entries that it
// has pinned for that. Most of such events are those of one device that has come
// back, so that one query serves many messages. What cannot be read here is left
// to who loads the cell.
func (b *book) prefetch(ctx context.Context, events []record.Event) (pinned []*entry) {
	room := b.ledger.cache.hasRoom()
	if room && !b.hasBundles() {
		return nil
	}
	wanted := map[asker][]*group{}
	for _, e := range events {
		if f, err := b.ledger.messages.about(ctx, b.app, e.Msg); err != nil || !f.group {
			continue
		}
		g, err := b.group(ctx, e.Msg)
		if err != nil || g.isVolatile() || g.whole && g.ended.Load() {
			continue
		}
		b.wants(g, e.Set, room, wanted)
	}
	for who, list := range wanted {
		pinned = append(pinned, b.lookUp(ctx, who, list)...)
	}
	return pinned
}

// wants notes which devices of an event have to be looked up: where there is room
// in memory, those of messages in bundles, whose strips say no less then when this
// is folded.
func (b *book) wants(g *group, s *sets.Set, room bool, wanted map[asker][]*group) {
	for slab, part := range g.parts(s) {
		if part.Len() > fewOrds || room && !b.bundled(g, slab) {
			continue
		}
		loaded, d := b.ledger.cache.here(cellKey{b, g.id, slab})
		b.mu.RLock()
		if !loaded && (d == nil || len(d.rows)+int(part.Len()) <= mostRows) {
			for o := range part.All() {
				if _, ok := d.find(o); !ok {
					who := asker{sets.SlabOf(o), o}
					wanted[who] = append(wanted[who], g)
				}
			}
		}
		b.mu.RUnlock()
	}
}

// lookUp reads where one device stands with messages, each once.
func (b *book) lookUp(ctx context.Context, who asker, list []*group) (pinned []*entry) {
	since := b.ledger.cache.since(b)
	is := make(map[*group]mask, len(list))
	var several, one []*group
	b.mu.RLock()
	whole := map[*group]bool{} // those of one cell that are for it, if they have not ended
	for _, p := range []*postings{&b.small, &b.aliasedSmall} {
		for _, g := range p.find(who.ord) {
			whole[g] = true
		}
	}
	for _, g := range list {
		if _, twice := is[g]; twice || g.whole && g.ended.Load() {
			continue
		}
		is[g] = 0
		switch {
		case !g.whole:
			several = append(several, g)
		case whole[g]:
			is[g] = bitTarget
			one = append(one, g)
		}
	}
	b.mu.RUnlock()
	several, done, found := b.lately.known(who.ord, since, several)
	_, sure, _, err := b.byStrips(ctx, who.ord, since, several)
	if err != nil {
		return nil
	}
	found = append(found, sure...)
	for _, g := range found {
		is[g] = bitTarget // and neither received nor ended
	}
	several = slices.DeleteFunc(several, func(g *group) bool { return is[g] != 0 })
	several = append(several, done...) // which state it has is not remembered
	if b.standing(ctx, who, several, is) != nil || b.standingIn(ctx, who.slab, who.ord, found, record.WhoWasSent, is) != nil ||
		b.standingWhole(ctx, who, one, is) != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for g, m := range is {
		if e := b.ledger.cache.putDelta(cellKey{b, g.id, g.slabOf(who.ord)}, g, who.ord, m, since); e != nil {
			pinned = append(pinned, e)
		}
	}
	return pinned
}

// standing reads where a device stands with messages of several cells.
func (b *book) standing(ctx context.Context, who asker, list []*group, is map[*group]mask) error {
	if len(list) == 0 {
		return nil
	}
	ids, of := make([]herald.MessageID, len(list)), make(map[herald.MessageID]*group, len(list))
	targets := make(map[herald.MessageID]bool, len(list))
	for i, g := range list {
		ids[i], of[g.id] = g.id, g
		if g.image != nil {
			targets[g.id] = true
			if g.image.Contains(who.ord) {
				is[g] = bitTarget
			}
		}
	}
	err := b.ledger.store.Held(ctx, b.app, who.slab, ids, who.ord, record.AllStates, func(id herald.MessageID, s herald.DeliveryState, has bool) {
		state := bit(s)
		if s == record.TargetState {
			state, targets[id] = bitTarget, true
		}
		if has {
			is[of[id]] |= state
		}
	})
	for _, g := range list {
		if !targets[g.id] {
			delete(is, g) // who loads the cell says why
		}
	}
	return err
}

// standingWhole does so with messages of one cell; see heldWhole.
func (b *book) standingWhole(ctx context.Context, who asker, list []*group, is map[*group]mask) error {
	err := b.standingIn(ctx, 0, who.ord, list, record.AllStates, is)
	if err == nil && who.slab != 0 {
		err = b.standingIn(ctx, who.slab, who.ord, list, record.AllStates, is)
	}
	return err
}

// standingIn adds which states a device has with messages, by their chunks of
// one slab.
func (b *book) standingIn(ctx context.Context, slab sets.Slab, o herald.Ordinal, list []*group, of record.CellPart, is map[*group]mask) error {
	if len(list) == 0 {
		return nil
	}
	ids, groups := make([]herald.MessageID, len(list)), make(map[herald.MessageID]*group, len(list))
	for i, g := range list {
		ids[i], groups[g.id] = g.id, g
	}
	return b.ledger.store.Held(ctx, b.app, slab, ids, o, of, func(id herald.MessageID, s herald.DeliveryState, has bool) {
		if has && s != record.TargetState {
			is[groups[id]] |= bit(s)
		}
	})
}
