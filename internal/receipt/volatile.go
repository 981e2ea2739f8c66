package receipt

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// lone is what there is of a volatile message to one device, which most of them
// are: a cell of sets would take many times as much, and as long.
type lone struct {
	ord    herald.Ordinal
	states mask // book.mu guards it
}

// cell shows it as what other messages have.
func (l *lone) cell() *cell {
	c := &cell{target: sets.New(l.ord)}
	for i := range c.bits {
		if l.states&(1<<i) != 0 {
			c.bits[i] = sets.New(l.ord)
		}
	}
	return c
}

// volatileCell gives the cell of a volatile message, of this moment, and nil for
// others; book.mu is held.
func (g *group) volatileCell() *cell {
	if g.lone != nil {
		return g.lone.cell()
	}
	return g.cell
}

// isVolatile reports whether it is the group of a volatile message.
func (g *group) isVolatile() bool { return g.lone != nil || g.cell != nil }

// volatileSize is about what it takes when it is taken in, its message included.
func (g *group) volatileSize() int64 {
	size := int64(cellOverhead + messageOverhead + len(g.msg.Body))
	if g.lone == nil {
		size += g.cell.target.Size()
	}
	return size
}

// messageOverhead is about what a message takes beside its body.
const messageOverhead = 1 << 10

// TrackVolatile takes a message with TTL 0. Its states are held for
// herald.VolatileTTL in memory and are never written. Of up to
// herald.MaxDirect devices in its image all were alive at its EvalPos.
func (l *Ledger) TrackVolatile(m *record.Message) {
	image, _ := m.Group.Whole()
	g := &group{id: m.ID, msg: m, whole: true}
	if o, one := image.Only(); one {
		g.lone = &lone{ord: o}
	} else if g.cell = (&cell{target: image}); image.Len() > herald.MaxDirect {
		g.cell.target = sets.Minus(image, l.deadAt(m.App, m.EvalPos))
	}
	b := l.book(m.App)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.volatile[m.ID] = g
	size := g.volatileSize()
	b.recent.put(tracked{m.ID, size})
	b.kept += size
	oldest := l.now().Add(-herald.VolatileTTL)
	for n := b.recent.len(); n > maxVolatile || n > 1 && (b.recent.first().id.Time().Before(oldest) || b.kept > l.cache.budget/4); n-- {
		t := b.recent.take()
		b.kept -= t.size
		delete(b.volatile, t.id)
	}
}

// tracked is a volatile message that is kept, and what it takes: to forget it,
// one need not look at it again.
type tracked struct {
	id   herald.MessageID
	size int64
}

// queue is what is kept, oldest first, in room that is used again.
type queue struct {
	list []tracked
	head int
}

func (q *queue) len() int        { return len(q.list) - q.head }
func (q *queue) first() *tracked { return &q.list[q.head] }

func (q *queue) put(t tracked) {
	if len(q.list) == cap(q.list) && q.head > len(q.list)/2 {
		q.list, q.head = q.list[:copy(q.list, q.list[q.head:])], 0
	}
	q.list = append(q.list, t)
}

func (q *queue) take() tracked {
	q.head++
	return q.list[q.head-1]
}

// applyVolatile takes an event of a message with TTL 0 into the states, and
// reports whether it is one.
func (b *book) applyVolatile(e record.Event) bool {
	b.mu.RLock()
	g := b.volatile[e.Msg]
	b.mu.RUnlock()
	if g == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lone != nil {
		b.applyLone(g, e)
		return true
	}
	e.Set = sets.Intersect(e.Set, g.cell.target)
	b.applyTo(g, nil, e)
	return true
}

// applyLone is applyTo for a message to one device; b.mu is held.
func (b *book) applyLone(g *group, e record.Event) {
	if !e.Set.Contains(g.lone.ord) {
		return
	}
	was := g.lone.states
	now := was
	if state := was.after(bit(e.State), late(g.msg, e)); state != 0 {
		now = was.with(state)
	}
	g.lone.states = now
	for i, state := range known {
		if (now&^was)&(1<<i) != 0 {
			b.ledger.observe(state, 1)
		}
	}
}

// reportVolatile applies the events of messages with TTL 0, which are not
// written and so need not wait for anything, and gives the others.
func (b *book) reportVolatile(events []record.Event) []record.Event {
	for i, e := range events {
		if !b.applyVolatile(e) {
			continue
		}
		rest := append([]record.Event(nil), events[:i]...)
		for _, e := range events[i+1:] {
			if !b.applyVolatile(e) {
				rest = append(rest, e)
			}
		}
		return rest
	}
	return events
}
