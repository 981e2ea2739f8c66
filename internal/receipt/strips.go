package receipt

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// What no cache has room for is kept once more the other way round: the messages
// that wait for a device together, and not the devices for which a message waits.
// A bundle is made behind (see Bundle), of what chunks say at a moment. From then
// on a fold takes out of its strips who has received a message, if it knows the
// few devices by name; where it replaces a chunk, the message is stale for the
// slab. States only grow and targets never do, so that a bit which is not there
// is right for ever, and one of a stale message has to be looked up.

// bundle is a bundle as the record has it, but for what is stale.
type bundle struct {
	record.Bundle              // Stale is guarded by book.mu and never shrinks; a bundle made anew takes its place
	noted         uint64       // of Stale: what the record says; only who holds book.folding uses it
	asked         atomic.Int64 // how often chunks were read all the same
}

// size is about what memory a bundle takes.
func (n *bundle) size() int64 { return 120 + 8*int64(len(n.Msgs)) }

// place finds a message in a bundle.
func (n *bundle) place(id herald.MessageID) (int, bool) {
	if len(n.Msgs) == 0 || id < n.Msgs[0] || id > n.Msgs[len(n.Msgs)-1] {
		return 0, false
	}
	return slices.BinarySearch(n.Msgs, id)
}

// bundleOf finds the bundle of a message in a slab, and its place there. It is for
// who holds book.mu or book.folding.
func (b *book) bundleOf(id herald.MessageID, slab sets.Slab) (*bundle, int) {
	for _, n := range b.bundles[slab] {
		if i, ok := n.place(id); ok {
			return n, i
		}
	}
	return nil, 0
}

// stripWords is what the strips of one device say.
type stripWords struct {
	bundles []*bundle
	words   []uint64 // of each bundle
	stale   []uint64 // likewise: before the strips were read
	known   []bool   // likewise: whether there was a strip
}

// verdict is what is said of a message and a device.
type verdict int

const (
	unsaid   verdict = iota
	doesNot          // wait
	mayWait          // the chunks know
	doesWait         // unless memory knows more
)

// of tells what is said of a message, and in which bundle it is.
func (w *stripWords) of(id herald.MessageID) (verdict, *bundle) {
	for at, n := range w.bundles {
		i, ok := n.place(id)
		switch {
		case !ok:
			continue
		case !w.known[at]:
			return unsaid, n
		case w.words[at]&(1<<i) == 0:
			return doesNot, n
		case w.stale[at]&(1<<i) != 0:
			return mayWait, n
		}
		return doesWait, n
	}
	return unsaid, nil
}

// stripsOf gives what the strips of a device say; nil if its slab has none.
func (b *book) stripsOf(ctx context.Context, o herald.Ordinal, since uint64) (*stripWords, error) {
	if w := b.lately.strips(o, since); w != nil {
		return w, nil
	}
	b.mu.RLock()
	list := b.bundles[sets.SlabOf(o)]
	w := &stripWords{list, make([]uint64, len(list)), make([]uint64, len(list)), make([]bool, len(list))}
	for i, n := range list {
		w.stale[i] = n.Stale
	}
	b.mu.RUnlock()
	if len(list) == 0 {
		return nil, nil
	}
	at := make(map[uint64]int, len(list))
	for i, n := range list {
		at[n.N] = i
	}
	err := b.ledger.store.StripsOf(ctx, b.app, o, func(n, messages uint64) {
		if i, ok := at[n]; ok { // else it is being made, or dropped
			w.words[i], w.known[i] = messages, true
		}
	})
	if err != nil {
		return nil, err
	}
	if b.ledger.cache.since(b) != since {
		for i := range w.stale { // a fold has ended meanwhile
			w.stale[i] = ^uint64(0)
		}
	}
	b.lately.keep(o, since, w)
	return w, nil
}

// byStrips parts messages into those of which no strip says anything, those that
// wait for a device by its strips, and those that do unless the chunks know
// better; the others do not wait.
func (b *book) byStrips(ctx context.Context, o herald.Ordinal, since uint64, list []*group) (rest, found, unsure []*group, err error) {
	if len(list) == 0 {
		return nil, nil, nil, nil
	}
	w, err := b.stripsOf(ctx, o, since)
	if w == nil || err != nil {
		return list, nil, nil, err
	}
	for _, g := range list {
		switch v, n := w.of(g.id); v {
		case unsaid:
			if n != nil { // the strip is damaged
				n.asked.Add(1)
			}
			rest = append(rest, g)
		case doesWait:
			b.lately.note(o, since, g, true)
			found = append(found, g)
		case mayWait:
			n.asked.Add(1)
			unsure = append(unsure, g)
		}
	}
	return rest, found, unsure, nil
}

// stripChanges gives what a fold changes of the strips: the bundles of which more
// is stale, and the bits that go. The chunks that it replaces are stale in
// memory from now on. b.folding is held, so that the bundles stay as they are.
func (b *book) stripChanges(f *record.Fold) (stale []*bundle, done []record.Strip) {
	if len(b.bundles) == 0 {
		return nil, nil
	}
	replaced := map[*bundle]uint64{}
	for _, c := range f.Chunks {
		if n, i := b.changed(c); n != nil {
			replaced[n] |= 1 << i
		}
	}
	b.mu.Lock()
	for n, messages := range replaced {
		n.Stale |= messages
	}
	b.mu.Unlock()
	for n := range replaced {
		if n.noted != n.Stale {
			stale = append(stale, n)
		}
	}
	type strip struct{ n, block uint64 }
	at := map[strip]*sets.Set{}
	for _, c := range f.Added {
		n, i := b.changed(c)
		if n == nil || n.Stale&(1<<i) != 0 {
			continue
		}
		for o := range c.Bits.All() {
			k := strip{n.N, record.BlockOf(o)}
			at[k] = with(at[k], record.StripBit(o, i))
		}
	}
	for k, bits := range at {
		done = append(done, record.Strip{N: k.n, Block: k.block, Bits: bits})
	}
	return stale, done
}

// changed finds the bundle of a message, and its place there, for a chunk by which
// it waits for fewer devices.
func (b *book) changed(c record.Chunk) (*bundle, int) {
	if c.Msg == 0 || !bit(c.State).done() {
		return nil, 0
	}
	return b.bundleOf(c.Msg, sets.Slab(c.Index))
}

// writeStripChanges makes them durable with what is written next.
func (b *book) writeStripChanges(ctx context.Context, stale []*bundle, done []record.Strip) error {
	if len(stale)+len(done) == 0 {
		return nil
	}
	list := make([]record.Bundle, len(stale))
	for i, n := range stale {
		list[i] = n.Bundle
	}
	if err := b.ledger.store.ChangeStrips(ctx, b.app, list, done); err != nil {
		return err
	}
	for i, n := range stale {
		n.noted = list[i].Stale
	}
	return nil
}
