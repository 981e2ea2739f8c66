package receipt

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

const (
	// bundleLeast is how many messages a bundle is made of at least: with fewer,
	// each device reads their chunks.
	bundleLeast = 32
	// bundleAfter is how old a message is when it comes into a bundle, and how long
	// it has to live then. A new one changes everywhere, and is in memory.
	bundleAfter = 10 * time.Minute
	// askedMost is how often chunks are read because something was stale, or damaged,
	// until the bundle is made anew, for which some hundred are read.
	askedMost = 256
	// restShare is how long who makes bundles rests, as a multiple of the time that it
	// worked, so that it takes a third of a processor.
	restShare = 2
)

// bundling says of which messages bundles are made.
type bundling struct {
	least int
	after time.Duration
	room  func() bool
	full  atomic.Bool // there was none
}

// hasRoom reports whether the disk has room, and says when it has none any more.
func (b *bundling) hasRoom(log *slog.Logger) bool {
	full := !b.room()
	if was := b.full.Swap(full); full && !was {
		log.Warn("receipt: who waits is not written by devices, because the disk is nearly full: devices that come back to many messages take longer")
	}
	return !full
}

// Bundle makes strips for messages of which the cache has no room for who waits:
// what a device reads of a record of many of them is some kilobytes then, and not
// two chunks of each. Call it about every minute; it takes as long as there is
// something to do, at a part of the speed that it could have.
func (l *Ledger) Bundle(ctx context.Context) error {
	l.mu.Lock()
	books := slices.Collect(maps.Values(l.books))
	l.mu.Unlock()
	for _, b := range books {
		if err := b.bundle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bundle does so in one app.
func (b *book) bundle(ctx context.Context) error {
	slabs, size, err := b.settledIn(ctx)
	if err != nil {
		return err
	}
	if !b.hasBundles() && size < b.ledger.cache.budget && b.ledger.cache.hasRoom() {
		return nil
	}
	b.mu.RLock()
	for slab := range b.bundles {
		if _, ok := slabs[slab]; !ok {
			slabs[slab] = nil
		}
	}
	b.mu.RUnlock()
	began, made := time.Now(), 0
	defer func() {
		if made > 0 {
			b.ledger.log.Info("receipt: who waits was written by devices", "app", b.app, "bundles", made, "took", time.Since(began))
		}
	}()
	for _, slab := range slices.Sorted(maps.Keys(slabs)) {
		if err := b.renew(ctx, slab); err != nil {
			return err
		}
		for loose := b.loose(slab, slabs[slab]); len(loose) >= b.ledger.bundling.least; {
			if !b.ledger.bundling.hasRoom(b.ledger.log) {
				return nil
			}
			some := loose[:min(len(loose), record.BundleSize)]
			loose = loose[len(some):]
			if err := paced(ctx, func() error { return b.makeBundle(ctx, slab, some) }); err != nil {
				return err
			}
			made++
		}
	}
	return nil
}

// settledIn lists, by slab, the messages that may come into a bundle, oldest
// first, and estimates how many bytes who waits for them would take.
func (b *book) settledIn(ctx context.Context) (out map[sets.Slab][]*group, size int64, err error) {
	now, after := b.ledger.now(), b.ledger.bundling.after
	var list []*group
	var targets []int64
	b.mu.RLock()
	for _, g := range b.wide {
		if !g.planned && !g.held && !g.msg.Due.Add(after).After(now) && !g.msg.Expires().Before(now.Add(after)) {
			list, targets = append(list, g), append(targets, g.msg.Target)
		}
	}
	b.mu.RUnlock()
	out = map[sets.Slab][]*group{}
	if len(list) < b.ledger.bundling.least {
		return out, 0, nil
	}
	in, reached := b.inBundles()
	widest, err := b.slabsOf(ctx, list[slices.Index(targets, slices.Max(targets))])
	if err != nil {
		return nil, 0, err
	}
	for _, slab := range widest {
		reached[slab] = true
	}
	for i, g := range list {
		if g.slabs.Load() == nil && widest != nil && in[g.id] == len(reached) {
			continue // of an earlier run, which was not cut short: to list its slabs would be work for nothing
		}
		slabs, err := b.slabsOf(ctx, g)
		if err != nil {
			return nil, 0, err
		}
		for _, slab := range slabs {
			out[slab] = append(out[slab], g)
		}
		// Four bytes a device, or a bit for each that there may be.
		n := int64(len(slabs))
		size += min(4*targets[i], n*sets.SlabSize/8) + n*cellOverhead/2
	}
	return out, size, nil
}

// slabsOf is targetSlabs at the speed of who makes bundles; nil of a message that
// cannot be read.
func (b *book) slabsOf(ctx context.Context, g *group) (out []sets.Slab, err error) {
	if known := g.slabs.Load(); known != nil {
		return *known, nil
	}
	err = paced(ctx, func() error {
		out, err = b.targetSlabs(ctx, g)
		return err
	})
	if unreadable(err) {
		return nil, nil
	}
	return out, err
}

// hasBundles reports whether any message is in a bundle.
func (b *book) hasBundles() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.bundles) > 0
}

// bundled reports whether a message is in a bundle of a slab.
func (b *book) bundled(g *group, slab sets.Slab) bool {
	if g.whole {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	n, _ := b.bundleOf(g.id, slab)
	return n != nil
}

// inBundles counts in how many slabs messages are in a bundle, and gives the slabs
// that have any.
func (b *book) inBundles() (in map[herald.MessageID]int, slabs map[sets.Slab]bool) {
	b.mu.RLock()
	all := maps.Clone(b.bundles)
	b.mu.RUnlock()
	in, slabs = map[herald.MessageID]int{}, map[sets.Slab]bool{}
	for slab, list := range all {
		slabs[slab] = true
		for _, n := range list {
			for _, id := range n.Msgs {
				in[id]++
			}
		}
	}
	return in, slabs
}

// loose leaves of messages those that are in no bundle of a slab.
func (b *book) loose(slab sets.Slab, of []*group) []*group {
	b.mu.RLock()
	list := b.bundles[slab]
	b.mu.RUnlock()
	in := map[herald.MessageID]bool{}
	for _, n := range list {
		for _, id := range n.Msgs {
			in[id] = true
		}
	}
	return slices.DeleteFunc(of, func(g *group) bool { return in[g.id] || g.ended.Load() })
}

// paced does something, and then rests.
func paced(ctx context.Context, do func() error) error {
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	rest := time.NewTimer(restShare * time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renew makes bundles of a slab anew of which too much is stale, and drops those
// whose messages have ended, but for a few, which come into another, and those of
// which not everything was written.
func (b *book) renew(ctx context.Context, slab sets.Slab) error {
	b.mu.RLock()
	list := b.bundles[slab]
	b.mu.RUnlock()
	for _, n := range list {
		var live []*group
		b.mu.RLock()
		for _, id := range n.Msgs {
			if g := b.byID[id]; g != nil && !g.ended.Load() {
				live = append(live, g)
			}
		}
		b.mu.RUnlock()
		var do func() error
		switch {
		case len(live) < (b.ledger.bundling.least+1)/2:
			do = func() error { return b.dropBundle(ctx, n) }
		case n.asked.Load() >= askedMost:
			do = func() error { return b.remake(ctx, n, live) }
		default:
			continue
		}
		if err := paced(ctx, do); err != nil {
			return err
		}
	}
	return nil
}

// makeBundle makes a bundle of messages. One that is damaged is left out.
func (b *book) makeBundle(ctx context.Context, slab sets.Slab, list []*group) error {
	b.folding.Lock() // nothing comes into the chunks meanwhile
	defer b.folding.Unlock()
	cells, err := b.readable(ctx, slab, list)
	if err != nil || len(cells) == 0 {
		return err
	}
	b.mu.Lock()
	b.lastBundle++
	n := &bundle{Bundle: record.Bundle{Slab: slab, N: b.lastBundle, Msgs: slices.Sorted(maps.Keys(cells))}}
	b.mu.Unlock()
	err = b.ledger.store.PutBundle(ctx, b.app, n.Bundle, strips(n.Msgs, cells))
	if err != nil {
		n.Msgs = nil // what was written of it is dropped
	}
	b.mu.Lock()
	b.bundles[slab] = append(slices.Clip(b.bundles[slab]), n) // who reads has the list of before
	b.mu.Unlock()
	b.ledger.cache.reserve(n.size())
	return err
}

// remake writes the strips of a bundle anew, for those of its messages that have
// not ended.
func (b *book) remake(ctx context.Context, old *bundle, live []*group) error {
	b.folding.Lock()
	defer b.folding.Unlock()
	cells, err := b.readable(ctx, old.Slab, live)
	if err != nil {
		return err
	}
	old.asked.Store(0)
	if len(cells) < len(live) {
		return nil // something is damaged, and goes on being looked up
	}
	n := &bundle{Bundle: old.Bundle}
	n.Stale = 0
	if err := b.ledger.store.PutBundle(ctx, b.app, n.Bundle, strips(n.Msgs, cells)); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.bundles[old.Slab])
	list[slices.Index(list, old)] = n
	b.bundles[old.Slab] = list
	return nil
}

// dropBundle deletes a bundle; who reads meanwhile finds no strip, or an old one.
func (b *book) dropBundle(ctx context.Context, n *bundle) error {
	b.folding.Lock()
	defer b.folding.Unlock()
	if err := b.ledger.store.DropBundle(ctx, b.app, n.Slab, n.N); err != nil {
		return err
	}
	b.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(b.bundles[n.Slab]), func(x *bundle) bool { return x == n })
	if b.bundles[n.Slab] = list; len(list) == 0 {
		delete(b.bundles, n.Slab)
	}
	b.mu.Unlock()
	b.ledger.cache.reserve(-n.size())
	return nil
}

// strips turns who waits in some cells of a slab round.
func strips(ids []herald.MessageID, cells map[herald.MessageID]*cell) (out [record.StripsInSlab]*sets.Set) {
	words := make([][sets.SlabWords]uint64, record.StripsInSlab)
	room := make([]uint32, 512)
	for i, id := range ids {
		c := cells[id]
		if c == nil {
			continue // it has ended
		}
		for part := range c.waits().Batches(room) {
			for _, o := range part {
				o := herald.Ordinal(o)
				words[record.BlockOf(o)%record.StripsInSlab][record.WordOf(o)] |= 1 << i
			}
		}
	}
	for i := range out {
		out[i] = sets.FromWords(0, &words[i])
	}
	return out
}

// loadBundles takes up the bundles that an earlier run has made.
func (b *book) loadBundles(ctx context.Context) error {
	list, err := b.ledger.store.Bundles(ctx, b.app)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, is := range list {
		n := &bundle{Bundle: is, noted: is.Stale}
		b.bundles[is.Slab] = append(b.bundles[is.Slab], n)
		b.lastBundle = max(b.lastBundle, is.N)
		b.ledger.cache.reserve(n.size())
	}
	return nil
}
