package receipt

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// What a full cache does not keep is read for one device alone: its bit in each
// chunk, without the sets that the chunks are.

// chilled is messages whose cells are not in memory, and do not come there.
type chilled struct {
	found   []*group // known to wait by the record
	several []*group // of several cells
	unsure  []*group // of those, likewise: the device is in their target
	one     []*group // of one cell, all for the device
}

// waitsCold leaves of messages those that wait for a device.
func (b *book) waitsCold(ctx context.Context, o herald.Ordinal, since uint64, of chilled) (out []*group, err error) {
	waits, err := b.heldReadable(ctx, sets.SlabOf(o), o, since, of.several)
	if err != nil {
		return nil, err
	}
	again, err := b.notDone(ctx, o, []sets.Slab{sets.SlabOf(o)}, of.unsure)
	if err != nil {
		return nil, err
	}
	for _, g := range of.unsure {
		b.lately.note(o, since, g, again[g.id])
	}
	whole, err := b.heldWhole(ctx, o, of.one)
	if err != nil {
		return nil, err
	}
	found := of.found
	for _, g := range slices.Concat(of.several, of.unsure, of.one) {
		if waits[g.id] || again[g.id] || whole[g.id] {
			found = append(found, g)
		}
	}
	for _, g := range found {
		// What was reported while the record was read is here now.
		k, still := cellKey{b, g.id, g.slabOf(o)}, true
		b.mu.RLock()
		if c := b.ledger.cache.peek(k); c != nil {
			still = waits1(c, o)
		} else if _, d := b.ledger.cache.here(k); d != nil {
			is, _ := d.of(o)
			still = !is.done()
		}
		b.mu.RUnlock()
		if still {
			out = append(out, g)
		}
	}
	return out, nil
}

// heldReadable is held, and leaves out what is damaged.
func (b *book) heldReadable(ctx context.Context, slab sets.Slab, o herald.Ordinal, since uint64, list []*group) (map[herald.MessageID]bool, error) {
	if len(list) == 0 {
		return nil, nil
	}
	waits, err := b.held(ctx, slab, o, since, list)
	if err == nil || !errors.Is(err, record.ErrDamaged) {
		return waits, err
	}
	if len(list) == 1 {
		b.leftOut(list[0], err)
		return nil, nil
	}
	out := map[herald.MessageID]bool{}
	for _, g := range list {
		one, err := b.heldReadable(ctx, slab, o, since, []*group{g})
		if err != nil {
			return nil, err
		}
		out[g.id] = one[g.id]
	}
	return out, nil
}

// held reads what some messages of several cells have of one device.
func (b *book) held(ctx context.Context, slab sets.Slab, o herald.Ordinal, since uint64, list []*group) (map[herald.MessageID]bool, error) {
	targeted, done, unsure := make(map[herald.MessageID]bool, len(list)), map[herald.MessageID]bool{}, map[herald.MessageID]bool{}
	ids := make([]herald.MessageID, len(list))
	for i, g := range list {
		ids[i] = g.id
		if g.image != nil {
			targeted[g.id] = g.image.Contains(o)
		}
	}
	err := b.ledger.store.Held(ctx, b.app, slab, ids, o, record.WhoWaits, func(id herald.MessageID, s herald.DeliveryState, has bool) {
		switch {
		case s == record.TargetState:
			targeted[id] = has
		case s == record.DamagedState:
			unsure[id] = true
		case has:
			done[id] = true
		}
	})
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		// One that has lost this slab of its target is left out, and said so.
		if _, known := targeted[g.id]; !known && g.slabs.Load() != nil && g.mayReach(slab) {
			if err := b.lost(ctx, g, slab); herald.CodeOf(err) != herald.CodeNotFound {
				return nil, err
			}
		}
		targeted[g.id] = targeted[g.id] && !done[g.id]
		if !unsure[g.id] {
			b.lately.note(o, since, g, targeted[g.id])
		}
	}
	return targeted, nil
}

// heldWhole says which of some messages of one cell, all for a device, it
// has not received and have not ended for it. An older Herald has written their
// states slab by slab.
func (b *book) heldWhole(ctx context.Context, o herald.Ordinal, list []*group) (map[herald.MessageID]bool, error) {
	slabs := []sets.Slab{0}
	if own := sets.SlabOf(o); own != 0 {
		slabs = append(slabs, own)
	}
	return b.notDone(ctx, o, slabs, list)
}

// notDone says which of some messages, all for a device, it has not received and
// have not ended for it by what they have in some slabs.
func (b *book) notDone(ctx context.Context, o herald.Ordinal, slabs []sets.Slab, list []*group) (map[herald.MessageID]bool, error) {
	if len(list) == 0 {
		return nil, nil
	}
	waits, ids := make(map[herald.MessageID]bool, len(list)), make([]herald.MessageID, len(list))
	for i, g := range list {
		ids[i], waits[g.id] = g.id, true
	}
	for _, slab := range slabs {
		err := b.ledger.store.Held(ctx, b.app, slab, ids, o, record.WhoIsDone, func(id herald.MessageID, _ herald.DeliveryState, has bool) {
			if has {
				waits[id] = false
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return waits, nil
}
