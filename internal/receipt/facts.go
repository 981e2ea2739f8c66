package receipt

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// factsRoom bounds the facts that a Catalog keeps: about half a million
// messages to one device.
const factsRoom = 64 << 20

// factsSize is about what the facts of a message take, without its devices.
const factsSize = 130

// facts is what a receipt has to know of a message. It is kept for far more
// messages than the message itself, because acknowledgements come for
// messages that were sent to many devices at about the same time.
type facts struct {
	app    herald.AppKey
	group  bool // nothing of the following is set then
	steps  bool // see record.Message.Planned
	direct []herald.Ordinal
	firstN uint64
	endPos herald.Pos
	ended  time.Time
}

func factsOf(m *record.Message) *facts {
	if !m.IsDirect() {
		return &facts{app: m.App, group: true}
	}
	return &facts{app: m.App, direct: m.Direct, firstN: m.FirstN, endPos: m.EndPos, ended: m.Ended, steps: m.Planned()}
}

func (f *facts) size() int { return factsSize + 4*len(f.direct) }

// number is the delivery number of a device.
func (f *facts) number(o herald.Ordinal) (uint64, bool) { return numberIn(f.firstN, f.direct, o) }

// late reports whether an event comes more than herald.LateReceipts after the
// end of its message.
func (f *facts) late(e record.Event) bool {
	return !f.ended.IsZero() && e.Time.Sub(f.ended) > herald.LateReceipts
}

// about gives the facts of a message.
func (c *Catalog) about(ctx context.Context, app herald.AppKey, id herald.MessageID) (*facts, error) {
	c.mu.Lock()
	f := c.facts[id]
	c.mu.Unlock()
	if f != nil && f.app == app {
		return f, nil
	}
	m, err := c.Message(ctx, app, id)
	if err != nil {
		return nil, err
	}
	return factsOf(m), nil
}

// known keeps the facts of messages that were read with entries of a device:
// it is about to report them. The messages themselves many would have to make
// room for.
func (c *Catalog) known(list []record.EntryMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range list {
		m := list[i].Message
		if m == nil {
			continue
		}
		if c.facts[m.ID] == nil {
			c.note(m)
		}
	}
}

// note keeps the facts of a message, unless they are older than what is known;
// c.mu is held.
func (c *Catalog) note(m *record.Message) {
	old := c.facts[m.ID]
	if old != nil && m.Ended.IsZero() && !old.ended.IsZero() {
		return
	}
	f := factsOf(m)
	c.facts[m.ID] = f
	if old != nil {
		return // it has its place and its room already
	}
	c.room -= f.size()
	c.queue = append(c.queue, m.ID)
	for c.room < 0 && c.head < len(c.queue) {
		oldest := c.queue[c.head]
		c.head++
		if f := c.facts[oldest]; f != nil {
			c.room += f.size()
			delete(c.facts, oldest)
		}
	}
	if c.head > 4096 && c.head > len(c.queue)/2 {
		c.queue = append([]herald.MessageID(nil), c.queue[c.head:]...)
		c.head = 0
	}
}
