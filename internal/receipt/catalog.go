package receipt

import (
	"container/list"
	"context"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// catalogRoom bounds the messages that a Catalog keeps, in bytes: two thousand
// with the largest bodies, tens of thousands with usual ones.
const catalogRoom = 64 << 20

// messageSize is about what memory a message takes.
func messageSize(m *record.Message) int { return 1024 + len(m.Body) + 4*len(m.Direct) }

// Catalog is a bounded cache of messages. Group messages are in it without the
// image of their audience. What it gives is shared and must not be changed. Of a
// message that has ended it may still give an older State; who needs to be sure
// asks the record.
type Catalog struct {
	source MessageSource

	mu    sync.Mutex // guards what follows
	byKey map[catalogKey]*list.Element
	order *list.List                  // of *record.Message, last used first
	left  int                         // bytes left for messages
	facts map[herald.MessageID]*facts // IDs are unique over all apps
	queue []herald.MessageID          // of facts, oldest first, from head on
	head  int
	room  int // bytes left for facts
}

type catalogKey struct {
	app herald.AppKey
	id  herald.MessageID
}

// NewCatalog makes an empty catalog over a source.
func NewCatalog(source MessageSource) *Catalog {
	return &Catalog{
		source: source, byKey: map[catalogKey]*list.Element{}, order: list.New(), left: catalogRoom,
		facts: map[herald.MessageID]*facts{}, room: factsRoom,
	}
}

// Message finds a message with body, and the devices of a direct one.
func (c *Catalog) Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	k := catalogKey{app, id}
	c.mu.Lock()
	if e := c.byKey[k]; e != nil {
		c.order.MoveToFront(e)
		m := e.Value.(*record.Message)
		c.mu.Unlock()
		return m, nil
	}
	c.mu.Unlock()
	m, err := c.source.Message(ctx, app, id)
	if err != nil {
		return nil, err
	}
	m = slim(m)
	if !m.Unreleased() {
		c.Put(m)
	}
	return m, nil
}

// Messages finds messages as Message does, and reads those that it does not
// have together. Those that there are not are left out.
func (c *Catalog) Messages(ctx context.Context, app herald.AppKey, ids []herald.MessageID) (map[herald.MessageID]*record.Message, error) {
	out := make(map[herald.MessageID]*record.Message, len(ids))
	var missing []herald.MessageID
	c.mu.Lock()
	for _, id := range ids {
		if e := c.byKey[catalogKey{app, id}]; e != nil {
			c.order.MoveToFront(e)
			out[id] = e.Value.(*record.Message)
		} else {
			missing = append(missing, id)
		}
	}
	c.mu.Unlock()
	if missing == nil {
		return out, nil
	}
	list, err := c.source.MessagesByID(ctx, app, missing)
	for _, m := range list {
		m = slim(m)
		out[m.ID] = m
		if !m.Unreleased() && !c.noted(m) {
			c.Put(m)
		}
	}
	return out, err
}

// Put keeps a message that somebody has at hand, in the place of an older copy
// (never in that of one that has ended since).
func (c *Catalog) Put(m *record.Message) {
	k := catalogKey{m.App, m.ID}
	m = slim(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(m)
	if e := c.byKey[k]; e != nil {
		// Who read the record before the message ended must not undo that.
		if m.Ended.IsZero() && !e.Value.(*record.Message).Ended.IsZero() {
			return
		}
		c.left += messageSize(e.Value.(*record.Message)) - messageSize(m)
		e.Value = m
		c.order.MoveToFront(e)
		return
	}
	c.byKey[k] = c.order.PushFront(m)
	for c.left -= messageSize(m); c.left < 0; {
		c.remove(c.order.Back())
	}
}

// noted keeps no more than the facts of a message to one device, if there is no
// room left: the device has asked, what it reports needs no more, and others
// that many ask for would have to go. It reports whether that was done.
func (c *Catalog) noted(m *record.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(m.Direct) != 1 || c.left >= messageSize(m) {
		return false
	}
	c.note(m)
	return true
}

// Has counts which of the messages of some entries are kept.
func (c *Catalog) Has(list []record.EntryMessage) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range list {
		id := list[i].Msg
		if f := c.facts[id]; f != nil && c.byKey[catalogKey{f.app, id}] != nil {
			n++
		}
	}
	return n
}

// remove drops a message; c.mu is held.
func (c *Catalog) remove(e *list.Element) {
	m := c.order.Remove(e).(*record.Message)
	delete(c.byKey, catalogKey{m.App, m.ID})
	c.left += messageSize(m)
}

// ended gives a message that is known to have ended; else nil.
func (c *Catalog) ended(app herald.AppKey, id herald.MessageID) *record.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[catalogKey{app, id}]; e != nil {
		if m := e.Value.(*record.Message); !m.Ended.IsZero() {
			return m
		}
	}
	return nil
}

// Forget drops a message, because it has changed or is gone.
func (c *Catalog) Forget(app herald.AppKey, id herald.MessageID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := catalogKey{app, id}
	delete(c.facts, id)
	if e := c.byKey[k]; e != nil {
		c.remove(e)
	}
}
