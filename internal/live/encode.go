package live

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// frameKey names an encoded frame. Message IDs are unique over all apps. Two
// transports of one name may encode differently, so the transport itself is
// part of the key.
type frameKey struct {
	transport Transport
	platform  herald.Platform // "" unless the message differs there
	msg       herald.MessageID
	kind      record.ReleaseKind
	pos       herald.Pos
}

// frameCache keeps encoded frames, so that a release is encoded once for all
// slabs of its target and for those who replay it soon. When it is full, the
// frames that came first go first.
type frameCache struct {
	mu     sync.Mutex
	room   int // bytes
	frames map[frameKey]Frame
	order  []frameKey // oldest first, from head on
	head   int
}

// frameOverhead is about what an entry takes beside its bytes.
const frameOverhead = 200

func newFrameCache(room int) *frameCache {
	return &frameCache{room: room, frames: map[frameKey]Frame{}}
}

func (c *frameCache) get(k frameKey) Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames[k]
}

// put keeps a frame and gives the one to use: that which came first.
func (c *frameCache) put(k frameKey, f Frame) Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.frames[k]; ok {
		return old
	}
	c.frames[k] = f
	c.order = append(c.order, k)
	c.room -= len(f) + frameOverhead
	for c.room < 0 && c.head < len(c.order) {
		oldest := c.order[c.head]
		c.room += len(c.frames[oldest]) + frameOverhead
		delete(c.frames, oldest)
		c.head++
	}
	if c.head > 1024 && c.head > len(c.order)/2 {
		c.order = append([]frameKey(nil), c.order[c.head:]...)
		c.head = 0
	}
	return f
}

// encoder makes the frames of one release, each once.
type encoder struct {
	hub     *Hub
	kind    record.ReleaseKind
	msg     *record.Message
	pos     herald.Pos
	content *herald.Content // as accepted; nil until it is needed
	err     error           // the content cannot be read
	made    []madeFrame     // few: transports times platforms with overrides
}

type madeFrame struct {
	transport Transport
	platform  herald.Platform
	frame     Frame
}

func (h *Hub) encoder(kind record.ReleaseKind, msg *record.Message, pos herald.Pos) *encoder {
	return &encoder{hub: h, kind: kind, msg: msg, pos: pos}
}

// frame gives the frame for a transport and a platform.
func (e *encoder) frame(t Transport, p herald.Platform) (Frame, error) {
	for i := range e.made {
		if m := &e.made[i]; m.transport == t && m.platform == p {
			return m.frame, nil
		}
	}
	f, err := e.find(t, p)
	if err == nil {
		e.made = append(e.made, madeFrame{t, p, f})
	}
	return f, err
}

func (e *encoder) find(t Transport, p herald.Platform) (Frame, error) {
	k := frameKey{transport: t, msg: e.msg.ID, kind: e.kind, pos: e.pos}
	var content herald.Content
	if e.kind == record.ReleaseMessage {
		all, err := e.decode()
		if err != nil {
			return nil, err
		}
		var differs bool
		if content, differs = all.For(p); differs {
			k.platform = p
		}
	}
	if e.pos != 0 {
		if f := e.hub.cache.get(k); f != nil {
			return f, nil
		}
	}
	f := t.Encode(Release{Kind: e.kind, Msg: e.msg, Content: content, Cursor: e.hub.cursor(e.msg.App, e.pos)})
	if e.pos == 0 {
		return f, nil // TTL 0: nobody will replay it
	}
	return e.hub.cache.put(k, f), nil
}

// decode reads the content, from the body if the record gave only that.
func (e *encoder) decode() (*herald.Content, error) {
	if e.content == nil && e.err == nil {
		c := e.msg.Content
		if c.Notification == nil && c.Data == nil && len(e.msg.Body) > 0 {
			if err := json.Unmarshal(e.msg.Body, &c); err != nil {
				e.err = fmt.Errorf("live: reading the body of message %s: %w", e.msg.ID, err)
			}
		}
		if e.err == nil && e.msg.Content.Data != nil && !json.Valid(c.Data) {
			e.err = fmt.Errorf("live: the data of message %s is not JSON", e.msg.ID)
		}
		e.content = &c
	}
	return e.content, e.err
}
