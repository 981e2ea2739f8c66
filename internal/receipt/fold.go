package receipt

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// foldAfter is the number of batches after which the log is folded.
const foldAfter = 512

// Fold moves the receipt log of every app into chunks and segments: always, or
// only where it has become long. Call it about every second, and with always
// about every minute.
func (l *Ledger) Fold(ctx context.Context, always bool) error {
	l.mu.Lock()
	books := make([]*book, 0, len(l.books))
	for _, b := range l.books {
		books = append(books, b)
	}
	l.mu.Unlock()
	for _, b := range books {
		if err := b.fold(ctx, always); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) fold(ctx context.Context, always bool) error {
	b.mu.Lock()
	b.forget(b.ledger.now())
	n := len(b.tail)
	if n == 0 || !always && n < foldAfter {
		b.mu.Unlock()
		return nil
	}
	f := record.Fold{App: b.app, Upto: b.tail[n-1].N}
	for k := range b.dirty {
		f.Chunks = append(f.Chunks, record.Chunk{Msg: k.msg, State: k.state, Index: k.index, Bits: b.chunk(k)})
	}
	dirty := b.dirty
	b.dirty = map[chunkKey]struct{}{}
	batches := b.tail[:n:n]
	b.mu.Unlock()

	err := b.segments(ctx, &f, batches)
	if err == nil {
		err = b.ledger.store.FoldReceipts(ctx, f)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for k := range dirty {
			b.dirty[k] = struct{}{}
		}
		return err
	}
	b.tail = slices.Clone(b.tail[n:])
	return nil
}

// chunk copies one stored part of a state set; b.mu is held.
func (b *book) chunk(k chunkKey) *sets.Set {
	if k.msg == 0 {
		return b.direct[numberKey{k.state, k.index}].Clone()
	}
	if g := b.byID[k.msg]; g != nil {
		return g.states[k.state].Slab(sets.Slab(k.index))
	}
	return sets.New()
}

// segments sorts the events of batches by message and slab.
func (b *book) segments(ctx context.Context, f *record.Fold, batches []record.Batch) error {
	type part struct {
		msg  herald.MessageID
		slab sets.Slab
	}
	events := map[part][]record.Event{}
	for _, batch := range batches {
		for _, e := range batch.Events {
			m, err := b.ledger.messages.Message(ctx, b.app, e.Msg)
			if herald.CodeOf(err) == herald.CodeNotFound {
				continue
			} else if err != nil {
				return err
			}
			if m.IsDirect() {
				events[part{e.Msg, 0}] = append(events[part{e.Msg, 0}], e)
				continue
			}
			for slab, set := range e.Set.Slabs() {
				e.Set = set
				events[part{e.Msg, slab}] = append(events[part{e.Msg, slab}], e)
			}
		}
	}
	for p, list := range events {
		batch, err := record.AppendEvents(nil, list)
		if err != nil {
			return err
		}
		f.Segments = append(f.Segments, record.Segment{Msg: p.msg, Slab: p.slab, From: batches[0].N, Batch: batch})
	}
	return nil
}

// forget drops what no receipt can change any more; b.mu is held.
func (b *book) forget(now time.Time) {
	oldest := now.Add(-herald.LateReceipts)
	past := func(m *record.Message) bool { return !m.Ended.IsZero() && m.Ended.Before(oldest) }
	b.notices = slices.DeleteFunc(b.notices, past)
	unfolded := map[herald.MessageID]bool{}
	for k := range b.dirty {
		unfolded[k.msg] = true
	}
	b.groups = slices.DeleteFunc(b.groups, func(g *group) bool {
		drop := past(g.msg) && !unfolded[g.msg.ID]
		if drop {
			delete(b.byID, g.msg.ID)
		}
		return drop
	})
}
