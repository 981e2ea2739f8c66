package live

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Publish is [Hub.PublishThen] for who waits for nothing. It answers how many
// devices it was handed to; 0 if it has to be stored first.
func (h *Hub) Publish(key herald.AppKey, p Publication) (devices int) {
	return h.publish(key, p, func(int, error) {})
}

// PublishThen sends to every session of an app that is subscribed to a topic on
// this node, and tells how many devices those are. With a QoS above 0 it is
// stored first if a session that persists wants it; if it is to be kept for who
// subscribes later (Retain), that is durable when then is called. It does not
// block. A session whose queue is full misses it: see [Hub.Dropped].
// Publications of one caller to one topic, with one QoS, reach each session in
// the order of the calls. Who may publish was checked by the caller, and that
// the name and the data are valid. then is called once, possibly before
// PublishThen returns, and must not block; with an error, the publication was
// not stored or not kept.
func (h *Hub) PublishThen(key herald.AppKey, p Publication, then func(devices int, err error)) {
	h.publish(key, p, then)
}

func (h *Hub) publish(key herald.AppKey, p Publication, then func(int, error)) (devices int) {
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	o := &Outgoing{Publication: p, at: h.now()}
	if p.Payload == nil && len(o.text()) == 0 {
		then(0, herald.Invalid("data", "Send any JSON value.", "is not JSON"))
		return 0
	}
	a := h.lookup(h.listeners(key)) // nil if nobody of this app was ever here
	if a != nil {
		h.choose(a, o)
	}
	if p.Retain && h.opts.Retained != nil {
		then = h.keep(key, o, then)
	}
	if l := h.opts.TopicLog; l != nil && p.QoS > 0 && (p.In != 0 || l.Wanted(key, p.Topic) || l.Pending(key)) {
		h.store(key, o, then)
		return 0
	}
	if a != nil {
		devices = h.spread(a, o)
	}
	then(devices, nil)
	return devices
}

// store has the topic log store a publication, and hands it on when it has.
func (h *Hub) store(key herald.AppKey, o *Outgoing, then func(int, error)) {
	e := o.entry()
	h.opts.TopicLog.Append(key, e, func(err error) {
		if err != nil {
			then(0, err)
			return
		}
		o.Pos, o.Shares = e.Pos, e.Shares
		devices := 0
		if a := h.lookup(h.listeners(key)); a != nil {
			devices = h.spread(a, o)
		}
		if o.Pos != 0 {
			devices = max(devices, 1) // a session that persists gets it, here or later
		}
		then(devices, nil)
	})
}

// entry gives the publication as the record has it.
func (p *Publication) entry() *record.TopicEntry {
	return &record.TopicEntry{
		Topic: p.Topic, From: p.From, Client: p.Client, QoS: p.QoS, Retain: p.Retain, Time: p.Time, Expires: p.Expires,
		Data: p.Data, Payload: p.Payload, Props: p.Props, Shares: p.Shares, In: p.In,
	}
}

// PublicationOf gives an entry of the record as it is published.
func PublicationOf(e *record.TopicEntry) Publication {
	return Publication{
		Topic: e.Topic, From: e.From, Client: e.Client, QoS: e.QoS, Retain: e.Retain, Time: e.Time, Expires: e.Expires,
		Data: e.Data, Payload: e.Payload, Props: e.Props, Shares: e.Shares, Pos: e.Pos,
	}
}

// keep has a publication kept for who subscribes later. It gives what is to be
// called in place of then when the rest is done.
func (h *Hub) keep(key herald.AppKey, o *Outgoing, then func(int, error)) func(int, error) {
	j := &joint{left: 2, then: then}
	h.opts.Retained.Keep(key, o.entry(), func(err error) { j.done(0, err) })
	return j.done
}

// joint waits for two things that are done at the same time.
type joint struct {
	mu      sync.Mutex // guards what follows
	left    int
	devices int
	err     error
	then    func(int, error)
}

func (j *joint) done(devices int, err error) {
	j.mu.Lock()
	j.left--
	j.devices += devices
	if j.err == nil {
		j.err = err
	}
	left, devices, err := j.left, j.devices, j.err
	j.mu.Unlock()
	if left == 0 {
		j.then(devices, err)
	}
}

// Dropped is how many publications did not reach a session, because its queue
// was full.
func (h *Hub) Dropped() int64 { return h.dropped.Load() }

// Publish publishes for the device of the session. ref is the client's own name
// for it; without one, it is not answered. The error is for the client.
func (s *Session) Publish(name herald.Topic, data json.RawMessage, ref string) *herald.Error {
	err := s.PublishThen(Publication{Topic: name, Data: data}, func(int, error) {})
	if err == nil && ref != "" {
		s.control(Control{Kind: Published, Ref: ref})
	}
	return err
}

// PublishThen publishes for the device of the session, as [Hub.PublishThen]
// does, if it may. The error is for the client, and then is not called.
func (s *Session) PublishThen(p Publication, then func(devices int, err error)) *herald.Error {
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
	if err := herald.ValidTopic("topic", string(p.Topic)); err != nil {
		return topicError(err, "topic")
	}
	if err := s.codec.hub.opts.Directory.MayUse(d, herald.TopicPublish, p.Topic); err != nil {
		return topicError(err, "topic")
	}
	p.From = d.ID
	s.codec.hub.publish(d.App, p, then)
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
