package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
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
	language  string          // of the message; "" for who has none of them
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
	frames map[frameKey]keptFrame
	order  []frameKey // oldest first, from head on
	head   int
}

// keptFrame is a frame, and for which platforms there are others. Who has it
// need not look into the message to know that.
type keptFrame struct {
	frame  Frame
	except []herald.Platform // nil in the frame of a platform
}

// frameOverhead is about what an entry takes beside its bytes.
const frameOverhead = 200

func (k *keptFrame) size() int { return len(k.frame) + frameOverhead + 16*len(k.except) }

func newFrameCache(room int) *frameCache {
	return &frameCache{room: room, frames: map[frameKey]keptFrame{}}
}

// get finds the frame for a platform: that of its own, or that of all which
// have none. The key is without a platform.
func (c *frameCache) get(k frameKey, p herald.Platform) Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.frames[k]; ok && !slices.Contains(f.except, p) {
		return f.frame
	}
	k.platform = p
	return c.frames[k].frame
}

// put keeps a frame and gives the one to use: that which came first.
func (c *frameCache) put(k frameKey, f keptFrame) Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.frames[k]; ok {
		return old.frame
	}
	c.frames[k] = f
	c.order = append(c.order, k)
	c.room -= f.size()
	for c.room < 0 && c.head < len(c.order) {
		oldest := c.frames[c.order[c.head]]
		c.room += oldest.size()
		delete(c.frames, c.order[c.head])
		c.head++
	}
	if c.head > 1024 && c.head > len(c.order)/2 {
		c.order = append([]frameKey(nil), c.order[c.head:]...)
		c.head = 0
	}
	return f.frame
}

// forget drops the frames of a message.
func (c *frameCache) forget(id herald.MessageID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = slices.DeleteFunc(c.order[c.head:], func(k frameKey) bool {
		f, kept := c.frames[k]
		if k.msg != id || !kept {
			return false
		}
		c.room += f.size()
		delete(c.frames, k)
		return true
	})
	c.head = 0
}

// Forget drops what is kept of messages whose contents were erased.
func (h *Hub) Forget(ids ...herald.MessageID) {
	for _, id := range ids {
		h.cache.forget(id)
	}
}

// encoder makes the frames of one release, each once.
type encoder struct {
	hub     *Hub
	kind    record.ReleaseKind
	msg     *record.Message
	pos     herald.Pos
	content *herald.Content // as accepted; nil until it is needed
	err     error           // the content cannot be read
	made    []encoded       // few: transports times platforms times languages
	last    encoded         // of the session before; most are alike
	// speaks gives the language of the message that a device gets; nil if the
	// message has none, or looked is not set yet.
	speaks func(herald.Ordinal) string
	looked bool
}

// encoded is the frame for the sessions over one transport on one platform.
type encoded struct {
	codec    *codec
	platform platformNumber
	language string
	frame    Frame
}

// madeFrame is the frame for the sessions over one transport.
type madeFrame struct {
	transport Transport
	frame     Frame
}

func (h *Hub) encoder(kind record.ReleaseKind, msg *record.Message, pos herald.Pos) *encoder {
	return &encoder{hub: h, kind: kind, msg: msg, pos: pos}
}

// frame gives the frame for the transport, platform and language of a session.
func (e *encoder) frame(s *Session) (Frame, error) {
	c, p, language := s.codec, s.platform, e.language(s.ord)
	if e.last.codec == c && e.last.platform == p && e.last.language == language {
		return e.last.frame, nil
	}
	for i := range e.made {
		if m := &e.made[i]; m.codec == c && m.platform == p && m.language == language {
			e.last = *m
			return m.frame, nil
		}
	}
	f, err := e.find(c.Transport, p.platform(), language)
	if err == nil {
		e.last = encoded{c, p, language, f}
		e.made = append(e.made, e.last)
	}
	return f, err
}

// language gives the language of the message in which a device gets it; "" if
// it has none for the device. Sessions do not know their language: to ask the
// directory costs only messages that have languages.
func (e *encoder) language(o herald.Ordinal) string {
	if !e.looked {
		e.looked = true
		l, asks := e.hub.opts.Directory.(Linguist)
		if asks && e.kind == record.ReleaseMessage && e.mayHaveLanguages() {
			if c, err := e.decode(); err == nil {
				if tags := c.LanguageTags(); tags != nil {
					e.speaks = l.Languages(e.msg.App, tags)
				}
			}
		}
	}
	if e.speaks == nil {
		return ""
	}
	return e.speaks(o)
}

// mayHaveLanguages is false for the many messages that say the same in every
// language, without reading them.
func (e *encoder) mayHaveLanguages() bool {
	if n := e.msg.Content.Notification; n != nil {
		return n.Languages != nil
	}
	return !e.msg.Plain && bytes.Contains(e.msg.Body, []byte(`"languages"`))
}

func (e *encoder) find(t Transport, p herald.Platform, language string) (Frame, error) {
	k := frameKey{transport: t, language: language, msg: e.msg.ID, kind: e.kind, pos: e.pos}
	// Nobody will replay what has TTL 0, and what is for one device is seldom
	// sent twice; it would only drive out what many get.
	kept := e.pos != 0 && (e.kind != record.ReleaseMessage || len(e.msg.Direct) != 1)
	if kept {
		if f := e.hub.cache.get(k, p); f != nil {
			return f, nil
		}
	}
	r := Release{Kind: e.kind, Msg: e.msg, Cursor: e.hub.cursor(e.msg.App, e.pos), Pos: e.pos}
	var except []herald.Platform
	if e.kind == record.ReleaseMessage && !e.asStored(&r) {
		all, err := e.decode()
		if err != nil {
			return nil, err
		}
		var differs bool
		if r.Content, differs = all.In(p, language); differs {
			k.platform = p
		} else {
			except = all.DiffersOn()
		}
	}
	f := t.Encode(r)
	if !kept {
		return f, nil
	}
	return e.hub.cache.put(k, keptFrame{f, except}), nil
}

// asStored has a release encoded from the body that the record gave, if that
// can stand in a frame as it is.
func (e *encoder) asStored(r *Release) bool {
	c := &e.msg.Content
	if c.Notification != nil || c.Data != nil || e.err != nil {
		return false
	}
	if e.msg.Plain && len(e.msg.Body) > len("{}") {
		r.members = e.msg.Body[1 : len(e.msg.Body)-1]
		return true
	}
	r.members = frameMembers(e.msg.Body)
	return r.members != nil
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
