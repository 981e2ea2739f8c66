package live

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// Publication is what was published to a topic: for who is subscribed at that
// moment, not stored and not acknowledged.
type Publication struct {
	Topic herald.Topic
	From  herald.RegistrationID // the device that published; "" for an app server
	Data  json.RawMessage       // any JSON value
	Time  time.Time             // zero means now

	json []byte // what TopicJSON gives; shared
}

// outgoing is a publication with its frames, each made once. What goes to many
// sessions and to those that poll is one of these.
type outgoing struct {
	Publication
	number uint64        // among the recent ones of the app; 0 if it is not kept
	at     time.Duration // when, by the hub's clock

	mu   sync.Mutex
	made []madeFrame // few: one for each transport; the platform is not used
}

func (p *outgoing) frame(t Transport) Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.made {
		if p.made[i].transport == t {
			return p.made[i].frame
		}
	}
	f := t.Publication(p.Publication)
	p.made = append(p.made, madeFrame{transport: t, frame: f})
	return f
}

// Publish sends to every session of an app that is subscribed to a topic on
// this node, and answers how many devices those are. A session whose queue is
// full misses it: see [Hub.Dropped]. Publications of one caller to one topic
// reach each session in the order of the calls. Who may publish was checked by
// the caller, and that the name and the data are valid.
func (h *Hub) Publish(key herald.AppKey, p Publication) (devices int) {
	a := h.lookup(key)
	if a == nil {
		return 0 // nobody of this app was ever here
	}
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	if p.json = TopicJSON(p); len(p.json) == 0 {
		return 0
	}
	pub := &outgoing{Publication: p, at: h.now()}
	a.topics.recent.keep(pub)
	var last *codec // of the session before; most have the same
	var frame Frame
	return a.topics.walk(p.Topic, func(list []*Session) {
		for _, s := range list {
			if c, ok := s.conn.(*collector); ok {
				c.published()
				continue
			}
			if s.codec != last {
				last, frame = s.codec, pub.frame(s.codec.Transport)
			}
			if len(frame) > 0 && errors.Is(s.conn.Send(frame), ErrFull) {
				h.dropped.Add(1)
			}
		}
	})
}

// Dropped is how many publications did not reach a session, because its queue
// was full.
func (h *Hub) Dropped() int64 { return h.dropped.Load() }

// Publish publishes for the device of the session. ref is the client's own name
// for it; without one, it is not answered. The error is for the client.
func (s *Session) Publish(name herald.Topic, data json.RawMessage, ref string) *herald.Error {
	_, d, open := s.joinedApp()
	if !open {
		return errNotOpen()
	}
	if !s.mayPublish() {
		e := herald.Errorf(herald.CodeRateLimited, "Publish less often, or from an app server with POST /v1/publish.",
			"this session may publish %d times a second", s.codec.hub.opts.PublishRate)
		e.RetryAfter = time.Second
		return e
	}
	if err := herald.ValidTopic("topic", string(name)); err != nil {
		return topicError(err, "topic")
	}
	if err := s.codec.hub.opts.Directory.MayUse(d, herald.TopicPublish, name); err != nil {
		return topicError(err, "topic")
	}
	s.codec.hub.Publish(d.App, Publication{Topic: name, From: d.ID, Data: data})
	if ref != "" {
		s.control(Control{Kind: Published, Ref: ref})
	}
	return nil
}

// mayPublish takes one from what the session may publish now.
func (s *Session) mayPublish() bool {
	now := s.codec.hub.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics == nil {
		if !s.isOpen() {
			return false
		}
		s.topics = &sessionTopics{}
	}
	return s.topics.rate.take(now, s.codec.hub.opts.PublishRate)
}

// bucket bounds a rate, with twice as many at once. Its zero value is full.
type bucket struct {
	// full is when the bucket will be full again: what is missing from it is
	// the time until then.
	full time.Duration
}

func (b *bucket) take(now time.Duration, perSecond int) bool {
	each := time.Second / time.Duration(perSecond)
	full := max(b.full, now) + each
	if full-now > 2*time.Duration(perSecond)*each {
		return false
	}
	b.full = full
	return true
}
