package mqtt

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// claim is what a session has whose client has asked for more than pushes under
// its registration ID.
type claim struct {
	app    herald.AppKey
	client string
	device live.Device
	expiry uint32 // seconds that the session lives without a connection; guarded by handling from when it is open
	kept   bool   // the session is in the record
	method string // of authentication; "" for user name and password
	will   *will  // nil for none
	again  *again // while the client authenticates again; guarded by handling
}

// clientKey names a session of MQTT.
type clientKey struct {
	app    herald.AppKey
	client string
}

// clients finds the connection of a client ID that is not a registration ID, or
// whose session persists. The other ones are found in the roster of the hub.
type clients struct {
	mu   sync.Mutex // guards what follows
	of   map[clientKey]*conn
	left map[clientKey]gone // of which the record is to be told: see away

	// stripes are held by workers of the hub while they open or leave a session in
	// the record: what becomes of one client ID happens one after the other.
	stripes [64]sync.Mutex
}

var stripeSeed = maphash.MakeSeed()

func (l *clients) lock(app herald.AppKey, client string) (unlock func()) {
	m := &l.stripes[maphash.Comparable(stripeSeed, clientKey{app, client})%uint64(len(l.stripes))]
	m.Lock()
	return m.Unlock
}

// put makes a connection that of its client ID, and gives the one before.
func (l *clients) put(k clientKey, c *conn) (old *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[clientKey]*conn{}
	}
	old, l.of[k] = l.of[k], c
	return old
}

func (l *clients) get(k clientKey) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[k]
}

// remove takes a connection out, if it is that of its client ID.
func (l *clients) remove(c *conn) {
	if c.claim == nil {
		return
	}
	k := clientKey{c.claim.app, c.claim.client}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[k] == c {
		delete(l.of, k)
	}
}

// gone is what the record is to be told of a client that has left.
type gone struct {
	expiry uint32
	at     time.Time
}

// leave notes that a client is gone.
func (l *clients) leave(k clientKey, g gone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == nil {
		l.left = map[clientKey]gone{}
	}
	l.left[k] = g
}

// noted takes back what leave has noted.
func (l *clients) noted(k clientKey) (g gone, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok = l.left[k]
	delete(l.left, k)
	return g, ok
}

// departure is how a connection gives its client ID up.
type departure uint8

const (
	byItself  departure = iota
	continued           // another connection goes on with the session
	replaced            // another connection begins the session anew
)

// takeOver makes a connection that of its client ID, and ends who has it
// (MQTT-3.1.4-3). It is called with the stripe locked.
func (b *Broker) takeOver(c *conn, d live.Device) error {
	k := clientKey{d.App, c.start.client}
	old := b.clients.get(k)
	if old != nil && old.claim.device.ID != d.ID {
		return refuse(packet.ClientIDNotValid, "the client ID is that of another device")
	}
	how := continued
	if c.start.connect.CleanStart {
		how = replaced
	}
	if c.claim != nil {
		b.clients.put(k, c)
	}
	if old != nil {
		old.evict(how)
	}
	if k.client == string(d.ID) {
		for _, other := range b.mains(c.start.hub, d) {
			if other != c {
				other.evict(how)
			}
		}
	}
	return nil
}

// mains gives the connections of a device whose client ID is the registration ID,
// the newest first.
func (b *Broker) mains(hub *live.Hub, d live.Device) (list []*conn) {
	for _, o := range hub.Conns(d.App, d.Ord) {
		if c, ok := o.(*conn); ok && (c.claim == nil || c.claim.client == string(d.ID)) {
			list = append(list, c)
		}
	}
	return list
}

// onlyOne ends older connections of the same registration ID that have joined
// while this one was opening.
func (b *Broker) onlyOne(c *conn, s *start) {
	if s.client != string(s.device.ID) {
		return
	}
	older := false
	for _, other := range b.mains(s.hub, s.device) {
		if older {
			other.evict(continued)
		}
		older = older || other == c
	}
}

// evict ends a connection whose client ID another one has now. When it returns,
// nothing is done any more for the client over it.
func (c *conn) evict(how departure) {
	c.leave(how)
	c.session.Close(live.Reason{Code: int(packet.SessionTakenOver), Text: "another connection has the client ID now"})
}

// leave gives the client ID up, once.
func (c *conn) leave(how departure) {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.phase, c.part = ended, nil
	c.mu.Lock()
	first := !c.left && c.entered
	c.left = true
	c.mu.Unlock()
	if first {
		c.depart(how)
	}
}

// depart does what is to be done when a connection has given its client ID up.
func (c *conn) depart(how departure) {
	c.mu.Lock()
	graceful := c.graceful
	c.mu.Unlock()
	if x := c.x.Load(); x != nil {
		x.closed(graceful)
	}
	if c.claim == nil {
		return
	}
	b := c.broker()
	b.clients.remove(c)
	if w := c.claim.will; w != nil {
		w.departed(c, how, graceful)
	}
	if !c.claim.kept || how != byItself && c.claim.expiry > 0 {
		return
	}
	k := clientKey{c.claim.app, c.claim.client}
	b.clients.leave(k, gone{c.claim.expiry, time.Now()})
	c.work(func(ctx context.Context) {
		defer b.clients.lock(k.app, k.client)()
		b.away(ctx, k)
	})
}

// away tells the record that a client is gone, unless that was done already: who
// comes back does it first, so that his session has ended if it has. It is called
// with the stripe locked.
func (b *Broker) away(ctx context.Context, k clientKey) {
	g, ok := b.clients.noted(k)
	if !ok {
		return
	}
	s := b.config.Sessions
	var err error
	if g.expiry == 0 {
		err = s.End(ctx, k.app, k.client)
	} else {
		err = s.Away(ctx, k.app, k.client, g.at)
	}
	// A server that stops is not in a hurry: those whom it had are taken as away
	// when the next one begins.
	if err != nil && ctx.Err() == nil {
		b.config.Log.Warn("the record was not told that a client of MQTT is gone", "error", err)
	}
}

// last changes for how long a session lives without a connection.
func (cl *claim) last(b *Broker, seconds uint32) {
	if cl.expiry == seconds {
		return
	}
	cl.expiry = seconds
	if cl.kept && seconds > 0 {
		b.config.Sessions.Change(cl.app, cl.client, record.TopicSessionChange{Expiry: &seconds}, nil)
	}
}
