package live

import (
	"errors"
	"net/http"

	"github.com/herald-push/herald"
)

// OneWay is a Transport that answers a request with a stream of frames, and
// whose clients have nothing to say after that request.
type OneWay interface {
	Transport
	// Goodbye is the end of the stream, for who looks at it.
	Goodbye(Reason) Frame
}

// Stream does for a one-way transport what its Upgrade has to do. It checks
// the token and the topics before it answers, because such clients see nothing but the head:
// many come back for ever after a status of 200, and give up after one of 401.
// They acknowledge by cursor, with their next request.
func Stream(hub *Hub, t OneWay, contentType string, r *http.Request) (Response, Handler, error) {
	// -1 is a body in chunks. Over HTTP/1 it would be taken for what the client
	// says after its request.
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		return Response{}, nil, herald.Errorf(herald.CodeInvalidRequest, "Leave the body out.", "a request for a stream has no body")
	}
	hello, err := RequestHello(r)
	if err != nil {
		return Response{}, nil, err
	}
	if _, err := hub.Check(r.Context(), hello); err != nil {
		return Response{}, nil, err
	}
	hello.Ack = AckUpto
	h := http.Header{}
	h.Set("Content-Type", contentType)
	// Who compresses a stream on its way holds frames back to do so.
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx passes frames on as they come
	return Response{Status: http.StatusOK, Header: h}, &oneWay{transport: t, start: &oneWayStart{hub, hello}}, nil
}

// oneWay is one connection. There is one for each that is idle.
type oneWay struct {
	transport OneWay
	start     *oneWayStart // nil once it is open
	session   *Session
}

// oneWayStart is what a connection begins with.
type oneWayStart struct {
	hub   *Hub
	hello Hello
}

// Open begins the session.
func (h *oneWay) Open(c Conn) {
	h.session = h.start.hub.Attach(h.transport, c, true)
	_ = h.session.Hello(h.start.hello) // the first call cannot fail
	h.start = nil
}

// Data ends the connection: after its request, a client has nothing to say.
func (h *oneWay) Data([]byte) error { return errSpoke }

var errSpoke = errors.New("live: the client has sent something after its request")

// Writable continues a replay.
func (h *oneWay) Writable() { h.session.Writable() }

// Closed ends the session.
func (h *oneWay) Closed(error) { h.session.Closed() }

// Farewell asks the transport.
func (h *oneWay) Farewell(why Reason) Frame { return h.transport.Goodbye(why) }
