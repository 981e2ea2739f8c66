package mqtt

import (
	"errors"
	"net/http"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire"
)

// subprotocols are those that clients offer (MQTT 5.0 section 6), the first of
// which is preferred.
var subprotocols = []string{"mqtt", "mqttv3.1"}

// upgrader is the broker on the shared port.
type upgrader struct{ *Transport }

// Path is where it is mounted.
func (u *upgrader) Path() string { return u.broker.config.Path }

// Upgrade checks the opening handshake. Whoever the client is says its CONNECT.
func (u *upgrader) Upgrade(hub *live.Hub, r *http.Request) (live.Response, live.Handler, error) {
	key, status, err := wire.CheckHandshake(r)
	if err != nil {
		return live.Response{Status: status, Header: wire.RefusalHeader(status)}, nil, err
	}
	at := slices.IndexFunc(subprotocols, func(name string) bool { return wire.OffersProtocol(r.Header, name) })
	if at < 0 { // MQTT-6.0.0-3
		return live.Response{Status: http.StatusBadRequest}, nil,
			herald.Errorf(herald.CodeInvalidRequest, "Offer the subprotocol mqtt.", "a client of MQTT offers the subprotocol mqtt")
	}
	h := wire.AcceptHeader(key)
	h.Set("Sec-WebSocket-Protocol", subprotocols[at])
	c := newConn(u.Transport, hub)
	c.ws = &wire.Parser{Limit: MaxPacket}
	return live.Response{Status: http.StatusSwitchingProtocols, Header: h}, c, nil
}

// messages reads the messages of WebSocket, whose bytes are a stream: a packet
// may begin in one and end in another (MQTT-6.0.0-2). c.handling is held.
func (c *conn) messages(b []byte) error {
	for c.phase != ended {
		m, rest, ok, err := c.ws.Next(b)
		if err != nil {
			if e := (*wire.Error)(nil); errors.As(err, &e) {
				c.end(live.Reason{Code: e.Code, Text: e.Text})
				return nil
			}
			return err
		}
		if !ok {
			return nil
		}
		switch m.Op {
		case wire.Binary:
			if len(m.Payload) > 0 {
				c.bytes(m.Payload)
			}
		case wire.Text: // MQTT-6.0.0-1
			c.end(live.Reason{Code: wire.CloseUnsupported, Text: "packets come in binary messages"})
		case wire.Ping:
			// Without room the answer is dropped; the client will ask again.
			_ = c.out.Send(wire.AppendFrame(nil, wire.Pong, m.Payload))
		case wire.Close:
			c.end(live.Reason{Code: m.Code}) // the echo of RFC 6455 section 5.5.1
		}
		b = rest
	}
	return nil
}

// end ends the WebSocket; c.handling is held.
func (c *conn) end(why live.Reason) {
	c.phase, c.part = ended, nil
	c.session.Close(why)
}
