package receipt

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// testedAtOnce is how many messages of several cells are tested, and read where
// they are not in memory, before it is asked whether that is enough.
const testedAtOnce = 64

// WaitingEntries leaves of a device's entries those that are neither received
// nor ended.
func (l *Ledger) WaitingEntries(app herald.AppKey, entries []record.Entry) []record.Entry {
	b := l.book(app)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.DeleteFunc(entries, func(e record.Entry) bool { return b.direct.mask(e.N).done() })
}

// WaitingMessages is WaitingEntries for entries with their messages, of which
// it keeps what the receipts of the device will ask for.
func (l *Ledger) WaitingMessages(app herald.AppKey, entries []record.EntryMessage) []record.EntryMessage {
	b := l.book(app)
	b.mu.RLock()
	entries = slices.DeleteFunc(entries, func(e record.EntryMessage) bool { return b.direct.mask(e.N).done() })
	b.mu.RUnlock()
	l.messages.known(entries)
	return entries
}

// WaitingGroups lists, in log order, the group messages released after one
// position and up to another that wait for a device, at most limit: by the
// position of their release and their ID. Of all cells only those of the
// device's own slab are asked.
func (l *Ledger) WaitingGroups(ctx context.Context, app herald.AppKey, o herald.Ordinal, after, upto herald.Pos, limit int) (out []record.Entry, err error) {
	b := l.book(app)
	candidates, at, err := b.placed(ctx, o, b.candidates(o, after, upto), after, upto)
	if err != nil {
		return nil, err
	}
	for len(candidates) > 0 && len(out) < limit {
		// What is asked for together grows: most devices wait for little.
		n := min(len(candidates), max(testedAtOnce, len(out)))
		found, err := b.waitFor(ctx, o, candidates[:n])
		if err != nil {
			return nil, err
		}
		for _, g := range found {
			pos := g.pos
			if at != nil {
				pos = at[g]
			}
			out = append(out, record.Entry{Pos: pos, Msg: g.id})
		}
		candidates = candidates[n:]
	}
	return out[:min(len(out), limit)], nil
}

// candidates lists the live group messages that may have a device in their
// target, in log order; those that are released in steps in the order in which
// they began.
func (b *book) candidates(o herald.Ordinal, after, upto herald.Pos) (out []*group) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(b.wide, after+1, comparePos)
	for _, g := range b.wide[i:] {
		if g.pos > upto {
			break
		}
		if g.mayReach(sets.SlabOf(o)) && (g.image == nil || g.image.Contains(o)) {
			out = append(out, g)
		}
	}
	n := len(out)
	for _, g := range b.planned { // whose steps may come long after it
		if g.pos <= after && g.mayReach(sets.SlabOf(o)) && (g.image == nil || g.image.Contains(o)) {
			out = append(out, g)
		}
	}
	for _, g := range slices.Concat(b.small.find(o), b.aliasedSmall.find(o)) {
		if (g.pos > after || g.planned) && g.pos <= upto {
			out = append(out, g)
		}
	}
	if len(out) > n {
		slices.SortFunc(out, func(x, y *group) int { return comparePos(x, y.pos) })
	}
	return out
}

// foldsMet is how many folds may end while it is found out who waits until that is
// given as it is.
const foldsMet = 8

// waitFor leaves of group messages those that wait for a device. One whose
// states are damaged is left out: it must not hold up the others.
func (b *book) waitFor(ctx context.Context, o herald.Ordinal, list []*group) (out []*group, err error) {
	for range foldsMet {
		since := b.ledger.cache.since(b)
		out, err = b.waitSince(ctx, o, list, since)
		if len(out) == 0 || err != nil || b.ledger.cache.since(b) == since {
			break
		}
		// What was not in the record when it was read may have left memory since.
	}
	return out, err
}

// waitSince does so, if no fold ends meanwhile.
func (b *book) waitSince(ctx context.Context, o herald.Ordinal, list []*group, since uint64) (out []*group, err error) {
	slab, cache := sets.SlabOf(o), b.ledger.cache
	yes := make([]bool, len(list))
	var missing []*group
	at := map[*group]int{}
	b.mu.RLock()
	for i, g := range list {
		c, waits, d := cache.find(cellKey{b, g.id, g.slabOf(o)})
		is, told := d.of(o)
		switch {
		case c != nil:
			yes[i] = c.target.Contains(o) && waits1(c, o)
		case told:
			yes[i] = is&bitTarget != 0 && !is.done()
		case waits != nil:
			yes[i] = waits.Contains(o)
		default:
			at[g] = i
			missing = append(missing, g)
		}
	}
	b.mu.RUnlock()
	var several, wide, cold, coldWhole []*group
	for _, g := range missing {
		switch {
		case g.whole && g.cell == nil && !cache.admits(admitWhole):
			coldWhole = append(coldWhole, g)
			continue
		case !g.whole:
			several = append(several, g)
			continue
		}
		c, err := b.cellOf(ctx, g, 0)
		if errors.Is(err, record.ErrDamaged) {
			c, err = b.waitsWhole(ctx, g)
		}
		if unreadable(err) {
			b.leftOut(g, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		b.mu.RLock()
		yes[at[g]] = c.target.Contains(o) && waits1(c, o)
		b.mu.RUnlock()
	}
	several, _, found := b.lately.known(o, since, several)
	several, sure, unsure, err := b.byStrips(ctx, o, since, several)
	if err != nil {
		return nil, err
	}
	for _, g := range several {
		if cache.admits(admit) {
			wide = append(wide, g)
		} else {
			cold = append(cold, g)
		}
	}
	cells, err := b.readable(ctx, slab, wide)
	if err != nil {
		return nil, err
	}
	for _, g := range wide {
		c := cells[g.id]
		if c == nil {
			continue // damaged
		}
		waits := c.waits()
		b.lessDelta(g, slab, waits)
		yes[at[g]] = waits.Contains(o)
		cache.putWaits(cellKey{b, g.id, slab}, g, waits, since)
	}
	waits, err := b.waitsCold(ctx, o, since, chilled{append(found, sure...), cold, unsure, coldWhole})
	if err != nil {
		return nil, err
	}
	for _, g := range waits {
		yes[at[g]] = true
	}
	for i, g := range list {
		if yes[i] && !g.ended.Load() {
			out = append(out, g)
		}
	}
	return out, nil
}

// readable reads who waits in one slab for several messages, and leaves out
// what is damaged.
func (b *book) readable(ctx context.Context, slab sets.Slab, list []*group) (map[herald.MessageID]*cell, error) {
	if len(list) == 0 {
		return nil, nil
	}
	cells, err := b.loadSlab(ctx, slab, list, true)
	if err == nil || !errors.Is(err, record.ErrDamaged) {
		return cells, err
	}
	if len(list) == 1 {
		b.leftOut(list[0], err)
		return nil, nil
	}
	out := map[herald.MessageID]*cell{}
	for _, g := range list {
		one, err := b.readable(ctx, slab, []*group{g})
		if err != nil {
			return nil, err
		}
		if c := one[g.id]; c != nil {
			out[g.id] = c
		}
	}
	return out, nil
}

// waitsWhole reads who waits in a small message of which something is damaged:
// what the record can still give.
func (b *book) waitsWhole(ctx context.Context, g *group) (*cell, error) {
	m, err := b.ledger.source.Message(ctx, b.app, g.id)
	if err != nil {
		return nil, err
	}
	c := &cell{}
	c.target, _ = m.Group.Whole()
	err = b.ledger.store.Cells(ctx, b.app, 0, []herald.MessageID{g.id}, true, func(chunk record.Chunk) error {
		c.put(chunk.State, chunk.Bits)
		return nil
	})
	return c, err
}

func (b *book) leftOut(g *group, err error) {
	if errors.Is(err, record.ErrDamaged) {
		b.ledger.log.Error("receipt: a message is left out, because what is stored of it is damaged", "app", b.app, "message", g.id, "error", err)
	}
}

// waits1 reports whether one device is neither received nor ended.
func waits1(s states, o herald.Ordinal) bool {
	if s.has(herald.StateReceived).Contains(o) {
		return false
	}
	for _, end := range herald.Ends {
		if s.has(end).Contains(o) {
			return false
		}
	}
	return true
}

// Notices lists, in log order, the withdrawn messages whose notice has a
// position after the given one and concerns a device: it was sent the message
// and has not acknowledged the notice.
func (l *Ledger) Notices(ctx context.Context, app herald.AppKey, o herald.Ordinal, after herald.Pos) (out []*record.Message, err error) {
	b := l.book(app)
	b.mu.RLock()
	notices := slices.Clone(b.notices)
	b.mu.RUnlock()
	oldest := l.now().Add(-herald.LateReceipts)
	for _, m := range notices {
		if m.EndPos <= after || m.Ended.Before(oldest) {
			continue
		}
		if m.IsDirect() {
			b.mu.RLock()
			n, ok := number(m, o)
			if ok && b.direct.mask(n)&(bitSent|bitTold) == bitSent {
				out = append(out, m)
			}
			b.mu.RUnlock()
			continue
		}
		g, err := b.group(ctx, m.ID)
		var c *cell
		if err == nil {
			c, err = b.cellOf(ctx, g, g.slabOf(o))
		}
		if unreadable(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b.mu.RLock()
		if c.has(herald.StateSent).Contains(o) && !c.has(record.ToldState).Contains(o) {
			out = append(out, m)
		}
		b.mu.RUnlock()
	}
	return out, nil
}
