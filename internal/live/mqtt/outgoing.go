package mqtt

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire/packet"
)

// manner is how a publication goes to one session: once, whatever number of its
// subscriptions match (MQTT-3.3.4-2).
type manner struct {
	qos    packet.QoS
	retain bool
	again  bool // it may have been sent before
	// ids are the subscription identifiers (MQTT-3.3.4-3, MQTT-3.3.4-4).
	ids []uint32
	// groups are the shared subscriptions for which the session was chosen, if no
	// other one matches.
	groups []string
}

// queued is a publication that waits for the window.
type queued struct {
	out *live.Outgoing
	manner
}

func (w *queued) size() int { return len(w.out.Payload) + len(w.out.Data) }

// errTooLarge means that a publication is larger than the client takes: it is
// dropped as if it had been sent (MQTT-3.1.2-25).
var errTooLarge = errors.New("mqtt: larger than the client takes")

// Published sends a publication to the client: see live.Subscriber.
func (c *conn) Published(o *live.Outgoing, filters []herald.TopicFilter, groups []string) error {
	return c.exchange().published(o, filters, groups)
}

// ClientID names the session: see live.Subscriber.
func (c *conn) ClientID() string { return c.clientID() }

// Accepts reports whether the session would take a publication to a shared group
// now: see live.Subscriber.
func (c *conn) Accepts(o *live.Outgoing) bool { return c.exchange().accepts(o) }

func (x *exchange) accepts(o *live.Outgoing) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.over:
		return false
	case o.QoS == 0 || x.keep != nil:
		return true // what it cannot take now, a session that persists reads from the log
	}
	return len(x.behindWith().wait) < maxWaiting/2
}

// published sends a publication, or has it wait.
func (x *exchange) published(o *live.Outgoing, filters []herald.TopicFilter, groups []string) error {
	x.mu.Lock()
	defer x.unlock()
	if x.over {
		return live.ErrClosed
	}
	m, ok := x.choose(&o.Publication, filters, groups)
	if !ok {
		return nil
	}
	if m.qos > 0 && o.Pos != 0 && x.keep != nil {
		x.stored(o, m)
		return nil
	}
	if m.qos > 0 && (len(x.behindWith().wait) > 0 || x.out.n >= x.publicationWindow()) {
		return x.enqueue(queued{o, m})
	}
	err := x.send(o, m)
	switch {
	case errors.Is(err, errTooLarge):
		return nil
	case errors.Is(err, live.ErrFull) && m.qos > 0:
		return x.enqueue(queued{o, m})
	}
	return err
}

// choose tells how a publication goes to this session because of some of its
// subscriptions; false if it does not.
func (x *exchange) choose(p *live.Publication, filters []herald.TopicFilter, groups []string) (m manner, ok bool) {
	for _, f := range filters {
		ok = x.by(p, string(f), &m) || ok
	}
	alone := !ok
	for _, g := range groups {
		if x.by(p, g, &m) {
			ok = true
			if alone {
				m.groups = append(m.groups, g)
			}
		}
	}
	m.qos = min(m.qos, packet.QoS(p.QoS))
	m.retain = p.Retained || m.retain && p.Retain
	return m, ok
}

// by adds what one subscription says, if there is such a one.
func (x *exchange) by(p *live.Publication, filter string, m *manner) bool {
	i, ok := x.find(filter)
	if !ok {
		return false
	}
	s := &x.subs[i]
	if s.noLocal && p.Client != "" && p.Client == x.self.client {
		return false // MQTT-3.8.3-3
	}
	m.qos = max(m.qos, s.qos)
	m.retain = m.retain || s.retain
	if s.id != 0 && !slices.Contains(m.ids, s.id) {
		m.ids = append(m.ids, s.id)
	}
	return true
}

// enqueue has a publication wait; the lock is held.
func (x *exchange) enqueue(w queued) error {
	l := x.lags()
	size := w.size()
	if len(l.wait) >= maxWaiting || l.size+size > maxWaitingBytes {
		x.caughtUp()
		return live.ErrFull
	}
	l.size += size
	w.manner.groups = slices.Clone(w.manner.groups)
	l.wait = append(l.wait, w)
	return nil
}

// drain sends what waits, as far as there is room; the lock is held.
func (x *exchange) drain() {
	n := 0
	for _, w := range x.behindWith().wait {
		if x.out.n >= x.publicationWindow() {
			break
		}
		if err := x.send(w.out, w.manner); errors.Is(err, live.ErrFull) {
			break
		}
		n++
		x.lag.size -= w.size()
	}
	if n == 0 {
		return
	}
	clear(x.lag.wait[:n])
	x.lag.wait = x.lag.wait[n:]
	x.caughtUp()
}

// send sends a publication and remembers it if it is to be acknowledged. The
// caller has seen that the window has room. The lock is held.
func (x *exchange) send(o *live.Outgoing, m manner) error {
	if !m.again && !o.Expires.IsZero() && !time.Now().Before(o.Expires) { // what was sent does not expire: MQTT-4.3.3-7
		return nil
	}
	f := x.frame(o, m)
	if !x.c.takes(f) {
		return errTooLarge
	}
	if m.qos == 0 {
		return x.c.Send(f)
	}
	head := len(f) - len(packetIn(f))
	at := head + packet.IDOffset(f[head:])
	id := binary.BigEndian.Uint16(f[at:])
	if x.out.find(id) != nil {
		if o.Pos != 0 && x.keep != nil {
			return live.ErrWindow // the identifier has to be the same again after a restart
		}
		x.next = x.out.free(x.next)
		id = x.next
		f = slices.Clone(f)
		binary.BigEndian.PutUint16(f[at:], id)
	}
	if err := x.c.Send(f); err != nil {
		return err
	}
	fl := flight{id: id, stage: stageAck}
	if m.qos == 2 {
		fl.stage = stageRec
	}
	if x.keep != nil {
		fl.ref = int64(o.Pos)
	} else if len(m.groups) > 0 && m.qos == 1 {
		fl.share = &share{o, slices.Clone(m.groups)}
	}
	x.out.add(fl)
	return nil
}

// frame gives the frame of a publication: one for all sessions that get it in the
// same manner, but for those that have more than one subscription identifier or
// a large one, and for what is sent later and would expire.
func (x *exchange) frame(o *live.Outgoing, m manner) live.Frame {
	kind, shared := x.c.kindOf(m)
	if !shared || !o.Expires.IsZero() && time.Since(o.Time) >= time.Second {
		return x.c.kind.publication(&o.Publication, m)
	}
	return o.Frame(kind, func() live.Frame { return x.c.kind.publication(&o.Publication, m) })
}

// kindOf gives the kind of frame for a manner; false if it is not worth sharing.
func (c *conn) kindOf(m manner) (kind uint32, shared bool) {
	kind = uint32(m.qos)
	if m.retain {
		kind |= 1 << 2
	}
	if c.version >= packet.V5 {
		kind |= 1 << 3
		switch {
		case len(m.ids) == 1 && m.ids[0] < 16:
			kind |= m.ids[0] << 4
		case len(m.ids) > 0:
			return 0, false
		}
	}
	return kind, !m.again
}

// firstNumber is where they begin: not where the log of a young app does.
const firstNumber = 1 << 15

// publication makes a PUBLISH. What has no position in the log of the app gets the
// next of all packet identifiers, so that it is mostly free in every session.
// Topics have no aliases on the way to clients: a frame with one could not be
// shared.
func (t *Transport) publication(p *live.Publication, m manner) live.Frame {
	out := packet.Publish{Topic: string(p.Topic), Payload: p.Payload, QoS: m.qos, Retain: m.retain, Dup: m.again}
	if p.Payload == nil {
		out.Payload = p.Data
	}
	if m.qos > 0 {
		if p.Pos != 0 {
			out.ID = packetID(p.Pos)
		} else {
			out.ID = packetID(herald.Pos(firstNumber + t.broker.counts.numbers.Add(1)))
		}
	}
	if t.version >= packet.V5 {
		publicationProps(&out.Props, p, m)
	}
	return frame(&out, t.version)
}

func publicationProps(v *packet.Properties, p *live.Publication, m manner) {
	if !p.Expires.IsZero() { // MQTT-3.3.2-6
		left := uint32(max(1, (time.Until(p.Expires)+time.Second-1)/time.Second))
		v.MessageExpiry = &left
	}
	v.SubscriptionIDs = m.ids
	if q := p.Props; q != nil {
		v.PayloadFormat, v.ContentType, v.ResponseTopic, v.CorrelationData = q.PayloadFormat, q.ContentType, q.ResponseTopic, q.CorrelationData
		for _, u := range q.User {
			v.User = append(v.User, packet.Pair{Name: u.Name, Value: u.Value})
		}
	}
}
