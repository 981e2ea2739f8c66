// Package websocket carries the session protocol over WebSocket (RFC 6455):
// one frame of the protocol is one text message.
package websocket

import (
	"errors"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire"
)

// Subprotocol is chosen if the client offers it.
const Subprotocol = "herald.v1"

// Config configures the transport. Its zero value is the default.
type Config struct {
	// Path is where it is mounted; default /v1/live/ws.
	Path string
	// NoCompression agrees to no compression, whatever clients offer; default
	// false.
	NoCompression bool
}

// Transport is the codec.
type Transport struct {
	path     string
	deflated *deflated // for the sessions that agreed to it; nil for none
}

// New makes the transport.
func New(c Config) *Transport {
	if c.Path == "" {
		c.Path = "/v1/live/ws"
	}
	t := &Transport{path: c.Path}
	if !c.NoCompression {
		t.deflated = &deflated{t, wire.NewDeflater()}
	}
	return t
}

// Name is "websocket".
func (t *Transport) Name() string { return "websocket" }

// Path is where the transport is mounted.
func (t *Transport) Path() string { return t.path }

// pingFrame is the heartbeat, the same for everybody.
var pingFrame = live.Frame(wire.AppendFrame(nil, wire.Ping, nil))

// before is where the head of a frame comes. It is full, so that what is appended
// to it is a copy.
var before [wire.HeadRoom]byte

// Encode makes a text message of a release.
func (t *Transport) Encode(r live.Release) live.Frame {
	return wire.FrameInPlace(wire.Text, live.AppendReleaseJSON(before[:], r))
}

// Publication makes a text message of a publication.
func (t *Transport) Publication(p live.Publication) live.Frame {
	return wire.AppendFrame(nil, wire.Text, live.TopicJSON(p))
}

// Control makes a text message of a control, and a protocol ping of a ping.
func (t *Transport) Control(c live.Control) live.Frame {
	if c.Kind == live.Ping {
		return pingFrame
	}
	return wire.AppendFrame(nil, wire.Text, live.ControlJSON(c))
}

// Upgrade checks the opening handshake. Whether the token is good is checked
// by the session, because a browser can read a close code, and cannot read why
// a handshake was refused.
func (t *Transport) Upgrade(hub *live.Hub, r *http.Request) (live.Response, live.Handler, error) {
	key, status, err := wire.CheckHandshake(r)
	if err != nil {
		return live.Response{Status: status, Header: wire.RefusalHeader(status)}, nil, err
	}
	offers, err := wire.ParseExtensions(r.Header)
	if err != nil {
		return live.Response{Status: http.StatusBadRequest}, nil, err
	}
	hello, err := live.RequestHello(r)
	if err != nil {
		return live.Response{}, nil, err
	}
	h := wire.AcceptHeader(key)
	if wire.OffersProtocol(r.Header, Subprotocol) {
		h.Set("Sec-WebSocket-Protocol", Subprotocol)
	}
	c := &handler{start: &start{t, hub, hello}, parser: wire.Parser{Limit: herald.MaxFrameBytes}}
	if answer := t.compression(hub, r, hello.Token, offers); answer != "" {
		h.Set("Sec-WebSocket-Extensions", answer)
		c.start.transport, c.parser.Deflate = t.deflated, true
	}
	return live.Response{Status: http.StatusSwitchingProtocols, Header: h}, c, nil
}

// handler is one connection. There is one for each that is idle.
type handler struct {
	start   *start // nil once it is open
	session *live.Session
	parser  wire.Parser
}

// start is what a connection begins with.
type start struct {
	transport live.Transport
	hub       *live.Hub
	hello     live.Hello // from the request
}

// Open begins the session; without a token in the request it waits for hello.
func (h *handler) Open(c live.Conn) {
	s := h.start
	h.start = nil
	h.session = s.hub.Attach(s.transport, c, false)
	if s.hello.Token != "" {
		_ = h.session.Hello(s.hello) // the first call cannot fail
	}
}

// Data reads frames. What breaks the protocol is answered with the close code
// that RFC 6455 section 7.4.1 has for it.
func (h *handler) Data(b []byte) error {
	h.session.Heard()
	for {
		m, rest, ok, err := h.parser.Next(b)
		if err != nil {
			return h.wrong(err)
		}
		if !ok {
			return nil
		}
		h.message(m)
		b = rest
	}
}

// wrong ends the session of a client that breaks the protocol.
func (h *handler) wrong(err error) error {
	if e := (*wire.Error)(nil); errors.As(err, &e) {
		h.session.Close(live.Reason{Code: e.Code, Text: e.Text})
		return nil
	}
	return err
}

func (h *handler) message(m wire.Message) {
	switch m.Op {
	case wire.Text:
		h.session.Receive(m.Payload)
	case wire.Binary:
		h.session.Close(live.Reason{Code: wire.CloseUnsupported, Text: "frames are text messages"})
	case wire.Ping:
		// Without room the answer is dropped; the client will ask again.
		h.session.Reply(wire.AppendFrame(nil, wire.Pong, m.Payload))
	case wire.Close:
		h.session.Close(live.Reason{Code: m.Code}) // the echo of section 5.5.1
	}
}

// Writable continues a replay.
func (h *handler) Writable() { h.session.Writable() }

// Closed ends the session.
func (h *handler) Closed(error) { h.session.Closed() }

// Farewell is the close frame.
func (h *handler) Farewell(why live.Reason) live.Frame {
	return wire.AppendClose(nil, why.Code, why.Text)
}
