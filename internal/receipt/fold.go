package receipt

import (
	"context"
	"errors"
	"maps"
	"runtime"
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

// foldBytes is how much history is written in one commit, or a batch more: a
// storm of receipts leaves megabytes of it, and who wants to commit meanwhile
// would wait for all of them.
const foldBytes = 256 << 10

// eventsAtOnce is how many events are looked at before others get the processor.
const eventsAtOnce = 256

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
	f := record.Fold{App: b.app}
	cells := b.takeCells(&f)
	stretches := b.direct.take(&f)
	batches := b.tail[:n:n]
	b.mu.Unlock()
	b.applying.Unlock()

	stale, gone := b.stripChanges(&f)
	// What the chunks get is taken out of strips first. Either may be ahead of the
	// fold: the log has it too until then.
	err := b.writeStripChanges(ctx, stale, gone)
	if err == nil {
		err = b.ledger.store.AddToChunks(ctx, b.app, f.Added)
	}
	stored := false // the chunks
	for err == nil && len(batches) > 0 {
		if n, err = b.foldPart(ctx, &f, batches); err == nil {
			b.folded(batches[:n], cells)
			batches, cells, stored = batches[n:], nil, true
		}
	}
	if !stored {
		b.takeBack(cells, stretches)
	}
	return err
}

// foldPart moves the first of some batches, and gives how many they were. The
// first part has the chunks of all: their bits may be there early.
func (b *book) foldPart(ctx context.Context, f *record.Fold, batches []record.Batch) (n int, err error) {
	if n, err = b.segments(ctx, f, batches); err != nil {
		return 0, err
	}
	f.Upto = batches[n-1].N
	faults.Point("before_fold")
	if err := b.ledger.store.FoldReceipts(ctx, *f); err != nil {
		return 0, err
	}
	faults.Point("folded")
	f.Chunks, f.Segments = nil, nil
	return n, nil
}

// folded lets go of batches and cells that are in the record.
func (b *book) folded(batches []record.Batch, cells map[*entry]mask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cells != nil {
		b.giveBack(cells, true)
	}
	b.tail = slices.Clone(b.tail[len(batches):])
	for _, batch := range batches {
		b.unfolded -= len(batch.Events)
	}
}

// takeBack marks as changed again what was not written.
func (b *book) takeBack(cells map[*entry]mask, stretches map[uint64]mask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveBack(cells, false)
	for index, states := range stretches {
		if s := b.direct[index]; s != nil { // else it was purged meanwhile
			s.dirty |= states
		}
	}
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

// segments sorts the events of batches by place, until it has foldBytes of them,
// and gives of how many batches they are.
func (b *book) segments(ctx context.Context, f *record.Fold, batches []record.Batch) (n int, err error) {
	events := map[place]*record.EventList{}
	size := 0
	put := func(at place, e *record.Event) {
		list := events[at]
		if list == nil {
			list = &record.EventList{}
			events[at] = list
		}
		before := list.Len()
		err = errors.Join(err, list.Add(e))
		size += list.Len() - before
	}
	for n < len(batches) && size < foldBytes {
		for i := range batches[n].Events {
			if i%eventsAtOnce == 0 {
				runtime.Gosched()
			}
			if err := b.sort(ctx, &batches[n].Events[i], put); err != nil {
				return 0, err
			}
		}
		n++
	}
	for at, list := range events {
		f.Segments = append(f.Segments, record.Segment{Msg: at.msg, Index: at.index, From: batches[0].N, Batch: list.Append(nil)})
	}
	return n, err
}

// sort puts an event where its history is kept.
func (b *book) sort(ctx context.Context, e *record.Event, put func(place, *record.Event)) error {
	about, err := b.ledger.messages.about(ctx, b.app, e.Msg)
	switch {
	case unreadable(err): // purged meanwhile, or damaged
	case err != nil:
		return err
	case about.group:
		part := *e
		for slab, set := range e.Set.Slabs() {
			part.Set = set
			put(place{e.Msg, uint64(slab)}, &part)
		}
	default:
		about.split(e, put)
	}
	return nil
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
