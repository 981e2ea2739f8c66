package mqtt

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire"
	"github.com/herald-push/herald/internal/wire/packet"
)

// phase is where a connection is on its way; it moves forward, but between
// asking and opening.
type phase uint8

const (
	waiting phase = iota // for the CONNECT
	asking               // for an AUTH, in the middle of an enhanced authentication
	opening              // what comes is kept until the session is open
	open
	ended // what comes is thrown away
)

// conn is one connection of MQTT. It is the handler of the socket, and to the
// session it is the Conn. There is one for each client that is idle, so it holds
// nothing that an idle client does not need.
type conn struct {
	out     live.Conn
	kind    *Transport // of what is sent; that of 3.1.1 until the CONNECT
	session *live.Session
	ws      *wire.Parser // nil on a raw port

	handling sync.Mutex // held by who acts on packets; taken before that of the session
	part     []byte     // of the packet that is coming, or what came early; guarded by handling
	start    *start     // until the session is open; guarded by handling, but while it opens

	x atomic.Pointer[exchange] // nil until there is something to exchange

	// claim is set before the session joins, like what the client has asked for;
	// nobody changes it then. It is nil if the client ID is the registration ID,
	// the session does not persist, there is no will, and no method of
	// authentication.
	claim      *claim
	maxPacket  uint32 // that the client takes; 0 for any
	receiveMax uint16 // of the client
	aliasMax   uint16 // of the client
	version    packet.Version
	phase      phase // guarded by handling
	problems   bool  // the client wants reasons in every packet (MQTT 5.0 section 3.1.2.11.7)

	mu       sync.Mutex // guards what follows, and is held for moments
	entered  bool       // the client ID is its own: see Enter
	left     bool       // and not any more: see leave
	welcomed bool       // the CONNACK is sent
	silent   bool       // the client is told nothing: it has said good-bye, or no CONNECT
	graceful bool       // the client has said good-bye, and wants no will published
}

// start is what a connection begins with.
type start struct {
	hub     *live.Hub
	connect packet.Connect // whose bytes are its own
	app     string         // from the user name
	text    bool

	memory any    // of the authenticator
	data   []byte // that goes with the CONNACK

	// Of the session, for the CONNACK and the exchange.
	device   live.Device
	client   string
	assigned bool
	present  bool
	state    record.TopicSessionState
}

func newConn(t *Transport, hub *live.Hub) *conn {
	return &conn{kind: t, start: &start{hub: hub}}
}

// broker is what all connections share.
func (c *conn) broker() *Broker { return c.kind.broker }

// Open begins the session, which waits for the CONNECT.
func (c *conn) Open(out live.Conn) {
	c.out = out
	c.silent = true
	c.session = c.start.hub.Attach(c.kind, c, false)
}

// Data reads packets.
func (c *conn) Data(b []byte) error {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.phase == ended {
		return nil
	}
	c.session.Heard()
	if c.ws != nil {
		return c.messages(b)
	}
	c.bytes(b)
	return nil
}

// bytes reads packets, which may be cut anywhere; c.handling is held.
func (c *conn) bytes(b []byte) {
	if len(c.part) > 0 {
		c.part = append(c.part, b...)
		b = c.part
	}
	rest := c.packets(b)
	switch {
	case len(rest) == 0:
		c.part = nil
	case c.phase == opening && len(rest) > MaxPacket:
		c.fail(packet.QuotaExceeded, "too much was sent before the CONNACK")
	case len(c.part) == 0 || &rest[0] != &c.part[0]:
		c.part = append([]byte(nil), rest...)
	}
}

// packets acts on the packets that are there as a whole, as long as they may be
// acted on, and gives what is left.
func (c *conn) packets(b []byte) (rest []byte) {
	for len(b) > 0 {
		limit := MaxPacket
		switch c.phase {
		case opening:
			return b
		case ended:
			return nil
		case waiting, asking:
			limit = maxConnect
		}
		raw, n, err := packet.Split(b, limit)
		if err != nil {
			c.wrong(err)
			return nil
		}
		if n == 0 {
			return b
		}
		if err := c.packet(raw); err != nil {
			c.wrong(err)
			return nil
		}
		b = b[n:]
	}
	return nil
}

// packet acts on one packet, whose bytes are valid during the call only. An error
// closes the connection.
func (c *conn) packet(raw packet.Raw) error {
	switch {
	case c.phase == waiting:
		return c.connect(raw)
	case raw.Type == packet.CONNECT: // MQTT-3.1.0-2
		return &packet.Error{Code: packet.ProtocolError, Text: "a second CONNECT"}
	case raw.Type == packet.AUTH:
		return c.auth(raw)
	case raw.Type == packet.DISCONNECT:
		return c.disconnect(raw)
	case c.phase == asking: // MQTT-3.1.2-30
		return &packet.Error{Code: packet.ProtocolError, Text: "the authentication is not complete"}
	}
	if raw.Type == packet.PUBLISH {
		return c.published(raw)
	}
	if id, ok := shortAck(raw); ok {
		return c.exchange().ack(&packet.Ack{Type: raw.Type, ID: id})
	}
	p, err := packet.Parse(c.version, raw)
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *packet.Ping:
		if p.Type == packet.PINGREQ {
			c.session.Pong()
			return nil
		}
	case *packet.Ack:
		return c.exchange().ack(p)
	case *packet.Subscribe:
		return c.exchange().subscribe(p)
	case *packet.Unsubscribe:
		return c.exchange().unsubscribe(p)
	}
	return &packet.Error{Code: packet.ProtocolError, Text: "only a server sends such a packet"}
}

// exchange gives the exchange of the session, which it has from now on. Any
// goroutine may call it.
func (c *conn) exchange() *exchange {
	if x := c.x.Load(); x != nil {
		return x
	}
	c.x.CompareAndSwap(nil, newExchange(c))
	return c.x.Load()
}

// disconnect acts on a good-bye (MQTT 5.0 section 3.14): after it nothing else is
// said, and the will is only published if the client wants it.
func (c *conn) disconnect(raw packet.Raw) error {
	var d packet.Disconnect
	if err := packet.ParseDisconnect(c.version, raw, &d); err != nil {
		return err
	}
	if e := d.Props.SessionExpiry; e != nil {
		if *e != 0 && (c.claim == nil || c.claim.expiry == 0) { // MQTT-3.14.2-2
			return &packet.Error{Code: packet.ProtocolError, Text: "a session that ends with its connection cannot be made to last"}
		}
		if c.claim != nil {
			c.claim.last(c.broker(), c.broker().lasting(*e))
		}
	}
	c.mu.Lock()
	c.silent, c.graceful = true, d.Code == packet.Success
	c.mu.Unlock()
	c.phase = ended
	c.session.Close(live.Reason{Code: int(packet.Success)})
	return nil
}

// wrong ends the connection of a client that breaks the protocol.
func (c *conn) wrong(err error) {
	e := &packet.Error{Code: packet.UnspecifiedError, Text: "the server failed"}
	if !errors.As(err, &e) {
		c.broker().config.Log.Error("a packet of MQTT was not acted on", "error", err)
	}
	c.fail(e.Code, e.Text)
}

// fail ends the connection and says why, as far as the version can; nothing of
// what came or comes is acted on. c.handling is held.
func (c *conn) fail(code packet.Code, why string) {
	c.phase, c.part = ended, nil
	c.session.Close(live.Reason{Code: int(code), Text: why})
}

// Writable continues a replay.
func (c *conn) Writable() {
	if x := c.x.Load(); x != nil {
		x.writable()
	}
	c.session.Writable()
}

// Closed ends the session.
func (c *conn) Closed(error) {
	c.leave(byItself)
	c.session.Closed()
}

// Send queues a frame: see live.Conn.
func (c *conn) Send(f live.Frame) error {
	if c.ws == nil {
		f = packetIn(f)
	}
	return c.out.Send(f)
}

// Close ends the connection: see live.Conn. Its client is gone from now on,
// however long the socket takes.
func (c *conn) Close(why live.Reason) {
	c.out.Close(why)
	c.mu.Lock()
	leaves := c.entered && !c.left
	c.mu.Unlock()
	if leaves {
		c.work(func(context.Context) { c.leave(byItself) })
	}
}

// Place is that of the connection: see live.Admitted.
func (c *conn) Place() *live.Place {
	if a, ok := c.out.(live.Admitted); ok {
		return a.Place()
	}
	return nil
}

// clientID is the client ID of an open session.
func (c *conn) clientID() string {
	if c.claim != nil {
		return c.claim.client
	}
	d, _ := c.session.Device()
	return string(d.ID)
}

// work has a function run on a worker of the hub, after those that were given
// before.
func (c *conn) work(f func(context.Context)) { c.session.Do(f) }

// answer queues a packet, unless it is larger than the client takes
// (MQTT-3.1.2-24). A client that does not read what it is answered is slow. It is
// not to be called while the session is locked.
func (c *conn) answer(p writer) error {
	f := frame(p, c.version)
	if len(f) == 0 || !c.takes(f) {
		return nil
	}
	if errors.Is(c.Send(f), live.ErrFull) {
		c.session.Close(live.Reason{Code: live.CloseSlow, Text: "answers are not read"})
	}
	return nil
}

// takes tells whether a frame is not larger than the client takes.
func (c *conn) takes(f live.Frame) bool {
	return c.maxPacket == 0 || uint64(len(packetIn(f))) <= uint64(c.maxPacket)
}

// acknowledged says that the client has a release: a message, or the notice that
// one was withdrawn.
func (c *conn) acknowledged(kind record.ReleaseKind, id herald.MessageID) {
	if kind == record.ReleaseWithdraw {
		_ = c.session.Event(herald.StateWithdrawn, []herald.MessageID{id})
		return
	}
	_ = c.session.Ack([]herald.MessageID{id})
}
