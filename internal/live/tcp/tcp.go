// Package tcp carries the session protocol over a bare TCP connection: one
// frame is one line of JSON, in both directions, and the client's first line
// is hello. It is for clients that have sockets and no WebSocket library: PHP,
// C, embedded devices, nc.
package tcp

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Transport is the codec. Its zero value is ready.
type Transport struct{}

// New makes the transport.
func New() *Transport { return &Transport{} }

// Name is "tcp".
func (t *Transport) Name() string { return "tcp" }

// Encode makes a line of a release.
func (t *Transport) Encode(r live.Release) live.Frame { return live.Line(live.ReleaseJSON(r)) }

// Publication makes a line of a publication.
func (t *Transport) Publication(p live.Publication) live.Frame {
	return live.Line(live.TopicJSON(p))
}

// Control makes a line of a control.
func (t *Transport) Control(c live.Control) live.Frame { return live.Line(live.ControlJSON(c)) }

// Refusal is the only line that a connection gets that is not accepted.
func (t *Transport) Refusal(why live.Reason) live.Frame { return live.Line(live.CloseJSON(why)) }

// NewHandler makes the handler of a connection.
func (t *Transport) NewHandler(hub *live.Hub) live.Handler {
	return &handler{start: &start{t, hub}, lines: splitter{limit: herald.MaxFrameBytes}}
}

// handler is one connection. There is one for each that is idle.
type handler struct {
	start   *start // nil once it is open
	session *live.Session
	lines   splitter
}

// start is what a connection begins with.
type start struct {
	transport *Transport
	hub       *live.Hub
}

// Open begins the session, which waits for hello.
func (h *handler) Open(c live.Conn) {
	h.session = h.start.hub.Attach(h.start.transport, c, false)
	h.start = nil
}

// Data reads lines.
func (h *handler) Data(b []byte) error {
	h.session.Heard()
	for {
		line, rest, got := h.lines.next(b)
		switch got {
		case needMore:
			return nil
		case tooLong:
			h.session.Close(live.Reason{Code: live.CloseProtocol, Text: "a line is longer than 16 KiB"})
			return nil
		}
		h.session.Receive(line)
		b = rest
	}
}

// Writable continues a replay.
func (h *handler) Writable() { h.session.Writable() }

// Closed ends the session.
func (h *handler) Closed(error) { h.session.Closed() }

// Farewell is the last line.
func (h *handler) Farewell(why live.Reason) live.Frame { return live.Line(live.CloseJSON(why)) }
