package mqtt

import (
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire"
	"github.com/herald-push/herald/internal/wire/packet"
)

// Limits of an exchange.
const (
	// maxWindow is how much may be in flight to a client whatever it allows; the
	// clients before 5.0 cannot say.
	maxWindow = 1024
	// maxWaiting is how many publications wait for the window of a session that
	// ends with its connection.
	maxWaiting = 100
	// maxWaitingBytes is how many bytes of payload those may have together.
	maxWaitingBytes = 256 << 10
	// maxLate is how many answers wait for the queue of the connection. Who sends
	// on and on and does not read what he is answered is closed then.
	maxLate = 1024
)

// exchange is what publishes and subscribes on one connection: its
// subscriptions, and what is in flight both ways. What a client has that only
// receives pushes is little more than the words of this struct; while nothing is
// in flight it holds no table, list or timer.
//
// Its lock is taken after that of the session, which holds its own when it sends
// a push. So nothing of the session is called while it is held: what is to be
// done there is noted in todo, and done by unlock.
type exchange struct {
	c *conn

	mu    sync.Mutex // guards what follows
	self  *identity  // nil until it is asked for
	subs  []subscription
	out   inflight
	lag   *lag          // nil while nothing waits
	in    *incoming     // nil until the client publishes with QoS 1 or 2, or by alias
	keep  *persist      // nil if the session ends with the connection
	fault *packet.Error // for which the connection is to be closed
	next  uint16        // where a free packet identifier is looked for
	todo  todo
	held  bool // a push was refused for want of room in the window
	over  bool // the connection has ended
}

// todo is what is left to do when the lock is given back.
type todo uint8

const (
	todoWritable todo = 1 << iota // the session is told that there is room
	todoRead                      // the topic log is read
	todoRetained                  // retained messages are sent
	todoChange                    // the record is told what has changed
)

// newExchange makes the exchange of a connection whose CONNECT was accepted.
func newExchange(c *conn) *exchange { return &exchange{c: c} }

// lag is what could not be sent yet.
type lag struct {
	wait []queued      // publications that wait for the window
	size int           // of their payloads
	late []live.Frame  // answers that wait for the queue of the connection
	kept []retainedFor // retained messages to be sent
}

// behindWith tells what waits, not to be changed; the lock is held.
func (x *exchange) behindWith() lag {
	if x.lag == nil {
		return lag{}
	}
	return *x.lag
}

// lags gives what waits, to be changed; the lock is held.
func (x *exchange) lags() *lag {
	if x.lag == nil {
		x.lag = &lag{}
	}
	return x.lag
}

// caughtUp gives the room of what waited up, if nothing is left; the lock is held.
func (x *exchange) caughtUp() {
	if l := x.lag; l != nil && len(l.wait)+len(l.late)+len(l.kept) == 0 {
		x.lag = nil
	}
}

// identity is whose exchange it is.
type identity struct {
	hub    *live.Hub
	device live.Device
	client string
}

// who tells whose exchange it is. Neither the lock nor that of the session is
// held.
func (x *exchange) who() *identity {
	x.mu.Lock()
	self := x.self
	x.mu.Unlock()
	if self != nil {
		return self
	}
	d, _ := x.c.session.Device()
	self = &identity{hub: x.c.session.Hub(), device: d, client: x.c.clientID()}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.self = self
	return self
}

// device is the device as it is now, with the alias that rules may name. The lock
// of the session is not held.
func (x *exchange) device() live.Device {
	d, _ := x.c.session.Device()
	return d
}

// unlock gives the lock back and does what was noted meanwhile.
func (x *exchange) unlock() {
	todo, fault := x.todo, x.fault
	x.todo, x.fault = 0, nil
	if x.over {
		todo &= todoChange
	}
	x.mu.Unlock()
	if fault != nil {
		x.fail(fault)
	}
	if todo == 0 {
		return
	}
	if todo&todoWritable != 0 {
		x.c.session.Writable()
	}
	if todo&todoRead != 0 {
		x.c.session.Do(x.read)
	}
	if todo&todoRetained != 0 {
		x.c.session.Do(x.sendRetained)
	}
	if todo&todoChange != 0 {
		x.change()
	}
}

// window is how many PUBLISH packets may be in flight to the client, pushes and
// publications together (MQTT-3.3.4-9).
func (x *exchange) window() int { return min(int(x.c.receiveMax), maxWindow) }

// publicationWindow is that part of it which publications may fill: some is left
// for pushes, so that neither keeps the other from its turn.
func (x *exchange) publicationWindow() int {
	w := x.window()
	if w < 4 {
		return w
	}
	return w - 1 - w/16
}

// push sends the frame of a release with a packet identifier, and remembers what
// it is: see live.Numbered. The session is locked.
func (x *exchange) push(f live.Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	pid := packetID(pos)
	switch {
	case x.over:
		return live.ErrClosed
	case x.out.n >= x.window() || x.out.find(pid) != nil:
		x.held = true
		return live.ErrWindow
	}
	if err := x.c.Send(f); err != nil {
		return err
	}
	x.out.add(flight{id: pid, stage: stageAck, what: cargoOf(kind), ref: int64(id)})
	return nil
}

// ack takes a PUBACK, PUBREC, PUBREL or PUBCOMP of the client.
func (x *exchange) ack(a *packet.Ack) error {
	if a.Type == packet.PUBREL {
		return x.release(a.ID)
	}
	x.mu.Lock()
	pushed, err := x.acknowledged(a)
	if err == nil {
		x.room()
	}
	x.unlock()
	if pushed.id != 0 {
		x.reportPush(pushed)
	}
	return err
}

// acknowledged does what an acknowledgement of the client does to what is in
// flight. It gives the flight of a push that has ended. The lock is held.
func (x *exchange) acknowledged(a *packet.Ack) (pushed flight, _ error) {
	f := x.out.find(a.ID)
	switch a.Type {
	case packet.PUBACK:
		if f == nil {
			return flight{}, nil // of what was answered already
		}
		if f.stage != stageAck {
			return flight{}, violation("a PUBACK of what was sent with QoS 2")
		}
		if f.what != ofPublication {
			pushed = *f
		}
		x.landed(f)
	case packet.PUBREC:
		return flight{}, x.received(a, f)
	case packet.PUBCOMP:
		if f == nil {
			return flight{}, nil
		}
		if f.stage != stageComp {
			return flight{}, violation("a PUBCOMP without a PUBREL")
		}
		x.landed(f)
	}
	return pushed, nil
}

// received takes a PUBREC; the lock is held.
func (x *exchange) received(a *packet.Ack, f *flight) error {
	switch {
	case f == nil && a.Code.Failed():
	case f == nil:
		x.answer(packet.PUBREL, a.ID, packet.PacketIDNotFound)
	case f.stage == stageAck:
		return violation("a PUBREC of what was sent with QoS 1")
	case f.stage == stageRec && a.Code.Failed():
		x.landed(f) // MQTT 5.0 section 4.3.3: that is the end of it
	case f.stage == stageRec && f.pos() != 0:
		f.stage = stageNoted
		x.keep.released(f.pos(), a.ID)
		x.todo |= todoChange
	case f.stage == stageRec && x.keep != nil && x.keep.waits(packet.PUBREL):
		// PUBREL packets go out in the order of the PUBRECs (MQTT-4.6.0-4).
		f.stage = stageNoted
		x.keep.released(0, a.ID)
		x.todo |= todoChange
	case f.stage == stageRec, f.stage == stageComp:
		f.stage = stageComp
		x.answer(packet.PUBREL, a.ID, packet.Success)
	}
	return nil
}

// landed ends a flight; the lock is held.
func (x *exchange) landed(f *flight) {
	if pos := f.pos(); pos != 0 && x.keep != nil {
		x.keep.done(pos)
	}
	x.out.remove(f.id)
	if x.keep != nil && x.keep.due(x.out.n == 0) {
		x.todo |= todoChange
	}
}

// room uses what the window has free now; the lock is held.
func (x *exchange) room() {
	x.drain()
	if x.held && x.out.n < x.window() {
		x.held = false
		x.todo |= todoWritable
	}
	lag := x.behindWith()
	if 2*x.out.n > x.window() || len(lag.wait) > 0 {
		return // the record is not read for one or two
	}
	if x.keep != nil && x.keep.stuck {
		x.keep.stuck = false
		x.todo |= todoRead
	}
	if len(lag.kept) > 0 {
		x.todo |= todoRetained
	}
}

// writable says that the queue of the connection has room again.
func (x *exchange) writable() {
	x.mu.Lock()
	defer x.unlock()
	for len(x.behindWith().late) > 0 {
		if x.c.Send(x.lag.late[0]) != nil {
			return
		}
		x.lag.late = x.lag.late[1:]
	}
	x.caughtUp()
	x.room()
}

// answer sends an acknowledgement; the lock is held.
func (x *exchange) answer(t packet.Type, id uint16, code packet.Code) {
	x.say(wire.FrameInPlace(wire.Binary, packet.AppendAck(before[:], x.c.version, t, id, code)))
}

// say sends what must not be lost: without room it is sent later. The lock is
// held.
func (x *exchange) say(f live.Frame) {
	late := len(x.behindWith().late)
	if late == 0 && x.c.Send(f) == nil {
		return
	}
	if late >= maxLate {
		x.fault = &packet.Error{Code: packet.QuotaExceeded, Text: "the answers to what was sent are not read"}
		return
	}
	x.lags().late = append(x.lags().late, f)
}

// reportPush says what the acknowledgement of a push means. One that the client
// refused counts as received too: it must not be sent again (MQTT-4.4.0-2).
func (x *exchange) reportPush(f flight) {
	kind := record.ReleaseMessage
	if f.what == ofNotice {
		kind = record.ReleaseWithdraw
	}
	x.c.acknowledged(kind, herald.MessageID(f.ref))
}

// fail closes the connection and says why. The lock is not held.
func (x *exchange) fail(e *packet.Error) {
	x.c.session.Close(live.Reason{Code: int(e.Code), Text: e.Text})
}

func violation(text string) error { return &packet.Error{Code: packet.ProtocolError, Text: text} }

// closed ends the exchange, once no packet of the client is acted on any more. The
// record is told the rest. Of a session that ends with its connection, another
// member of a shared group gets what was not acknowledged; but not what was sent
// with QoS 2, which might then be had twice (MQTT-4.8.2-5).
func (x *exchange) closed(bool) {
	x.mu.Lock()
	x.over = true
	var shares []share
	for _, f := range x.out.list() {
		if f.share != nil {
			shares = append(shares, *f.share)
		}
	}
	for _, w := range x.behindWith().wait {
		if len(w.groups) > 0 && x.keep == nil {
			shares = append(shares, share{w.out, w.groups})
		}
	}
	if x.in != nil && x.in.timer != nil {
		x.in.timer.Stop()
	}
	k := x.keep
	if k == nil {
		x.out.clear()
	} else if k.timer != nil {
		k.timer.Stop()
	}
	x.lag = nil
	x.mu.Unlock()
	if k != nil {
		k.closed(x)
	}
	if len(shares) > 0 {
		who := x.who()
		for _, s := range shares {
			who.hub.Reassign(who.device.App, s.out, s.groups)
		}
	}
}
