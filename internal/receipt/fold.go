package receipt

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// The log is folded after so many batches or events: batches grow with the
// load, and what is not folded is held in memory.
const (
	foldAfter       = 512
	foldAfterEvents = 100_000
)

// historyBits says how many direct deliveries share a segment: 1,024, so that
// a hundred thousand receipts make some hundred rows and not one each, and a
// trace reads no more than it must.
const historyBits = 10

// Fold moves the receipt log of every app into chunks and segments: always, or
// only where it has become long. Call it about every second, and with always
// about every minute.
func (l *Ledger) Fold(ctx context.Context, always bool) error {
	l.mu.Lock()
	books := slices.Collect(maps.Values(l.books))
	l.mu.Unlock()
	for _, b := range books {
		if err := b.fold(ctx, always); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) fold(ctx context.Context, always bool) error {
	b.folding.Lock()
	defer b.folding.Unlock()
	b.applying.Lock() // a batch is folded when all of it is applied
	b.mu.Lock()
	b.forget(b.ledger.now())
	n := len(b.tail)
	if n == 0 || !always && n < foldAfter && b.unfolded < foldAfterEvents && !b.ledger.cache.crowded() {
		b.mu.Unlock()
		b.applying.Unlock()
		return nil
	}
	f := record.Fold{App: b.app, Upto: b.tail[n-1].N}
	cells := b.takeCells(&f)
	stretches := b.direct.take(&f)
	batches, events := b.tail[:n:n], b.unfolded
	b.mu.Unlock()
	b.applying.Unlock()

	err := b.segments(ctx, &f, batches)
	if err == nil {
		// Bits may be there before their fold: the log has them too until then.
		err = b.ledger.store.AddToChunks(ctx, b.app, f.Added)
	}
	if err == nil {
		faults.Point("before_fold")
		err = b.ledger.store.FoldReceipts(ctx, f)
		faults.Point("folded")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveBack(cells, err == nil)
	if err != nil {
		for index, states := range stretches {
			if s := b.direct[index]; s != nil { // else it was purged meanwhile
				s.dirty |= states
			}
		}
		return err
	}
	b.tail = slices.Clone(b.tail[n:])
	b.unfolded -= events
	return nil
}

// take puts copies of the chunks that have changed into a fold, and gives
// which they are.
func (d numbers) take(f *record.Fold) map[uint64]mask {
	taken := map[uint64]mask{}
	for index, s := range d {
		if s.dirty == 0 {
			continue
		}
		for i, state := range known {
			if s.dirty&(1<<i) != 0 {
				f.Chunks = append(f.Chunks, record.Chunk{State: state, Index: index, Bits: s.bits[i].Clone()})
			}
		}
		taken[index], s.dirty = s.dirty, 0
	}
	return taken
}

// takeCells puts copies of the chunks of cells that have changed into a fold,
// and gives what it took. The cells stay pinned; b.mu is held.
func (b *book) takeCells(f *record.Fold) map[*entry]mask {
	taken := make(map[*entry]mask, len(b.dirty))
	for k, e := range b.dirty {
		c := e.cell
		if c == nil {
			taken[e] = e.delta.take(k, f)
			continue
		}
		for i, state := range known {
			if c.dirty&(1<<i) != 0 {
				f.Chunks = append(f.Chunks, record.Chunk{Msg: k.msg, State: state, Index: uint64(k.slab), Bits: c.bits[i].Clone()})
			}
		}
		taken[e], c.dirty = c.dirty, 0
	}
	clear(b.dirty)
	return taken
}

// giveBack lets go of cells that were folded, or marks them as changed again;
// b.mu is held.
func (b *book) giveBack(cells map[*entry]mask, folded bool) {
	list := make([]*entry, 0, len(cells))
	for e, states := range cells {
		if !folded && e.dirty() == 0 {
			b.dirty[e.key] = e // it keeps its pin
		} else {
			list = append(list, e)
		}
		switch {
		case e.cell == nil:
			e.delta.ended(folded)
		case !folded:
			e.cell.dirty |= states
		}
	}
	if folded {
		b.ledger.cache.folded(b, list)
	} else {
		b.ledger.cache.unpin(list...)
	}
}

// dirty gives the states of a cell that have changed since the last fold.
func (e *entry) dirty() mask {
	if e.cell == nil {
		return e.delta.dirty()
	}
	return e.cell.dirty
}

// place is where the history of a delivery is kept: with its message and slab,
// or, for direct messages, with deliveries of neighbouring numbers.
type place struct {
	msg   herald.MessageID // 0 for direct messages
	index uint64
}

// segments sorts the events of batches by place.
func (b *book) segments(ctx context.Context, f *record.Fold, batches []record.Batch) error {
	events := map[place]*record.EventList{}
	var err error
	put := func(at place, e *record.Event) {
		list := events[at]
		if list == nil {
			list = &record.EventList{}
			events[at] = list
		}
		err = errors.Join(err, list.Add(e))
	}
	for _, batch := range batches {
		for i := range batch.Events {
			e := &batch.Events[i]
			about, unknown := b.ledger.messages.about(ctx, b.app, e.Msg)
			switch {
			case unreadable(unknown): // purged meanwhile, or damaged
			case unknown != nil:
				return unknown
			case about.group:
				part := *e
				for slab, set := range e.Set.Slabs() {
					part.Set = set
					put(place{e.Msg, uint64(slab)}, &part)
				}
			default:
				about.split(e, put)
			}
		}
	}
	for at, list := range events {
		f.Segments = append(f.Segments, record.Segment{Msg: at.msg, Index: at.index, From: batches[0].N, Batch: list.Append(nil)})
	}
	return err
}

// split puts an event of a direct message where the history of its deliveries
// is kept; most have one.
func (f *facts) split(e *record.Event, put func(place, *record.Event)) {
	last := f.firstN + uint64(len(f.direct)) - 1
	if f.firstN>>historyBits == last>>historyBits {
		put(place{0, f.firstN >> historyBits}, e)
		return
	}
	parts := map[place]*sets.Set{}
	for o := range e.Set.All() {
		if n, ok := f.number(o); ok {
			at := place{0, n >> historyBits}
			parts[at] = with(parts[at], o)
		}
	}
	for at, set := range parts {
		part := *e
		part.Set = set
		put(at, &part)
	}
}

// Purged forgets the states of direct deliveries whose messages were purged, in
// all apps. Call it after messages were.
func (l *Ledger) Purged(ctx context.Context) error {
	l.mu.Lock()
	books := slices.Collect(maps.Values(l.books))
	l.mu.Unlock()
	for _, b := range books {
		first, err := l.store.FirstDelivery(ctx, b.app)
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.purged = max(b.purged, first>>16)
		maps.DeleteFunc(b.direct, func(index uint64, _ *stretch) bool { return index < b.purged })
		b.mu.Unlock()
	}
	return nil
}

// forget drops what no receipt can change any more; b.mu is held.
func (b *book) forget(now time.Time) {
	b.notices = slices.DeleteFunc(b.notices, func(m *record.Message) bool { return past(m, now) })
	unfolded := map[herald.MessageID]bool{}
	for k := range b.dirty {
		unfolded[k.msg] = true
	}
	b.groups = slices.DeleteFunc(b.groups, func(g *group) bool {
		if !past(g.msg, now) || unfolded[g.id] {
			return false
		}
		b.drop(g)
		return true
	})
}
