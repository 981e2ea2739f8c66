// Package mqtttest is a client of MQTT for tests: it sends packets, right and
// wrong ones, and says what it expects next. It does nothing by itself: no
// acknowledgement, no PINGREQ, so that a test sees every packet. What does not
// come within the patience of a minute, and what comes in place of what is
// expected, fails the test. One goroutine uses it.
package mqtttest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/wire/packet"
)

// patience is how long a packet may take on a slow machine.
const patience = time.Minute

// maxPacket is what the client takes in one packet.
const maxPacket = 1 << 20

// Packet is a pointer to one of the types of package packet.
type Packet interface {
	AppendTo(b []byte, v packet.Version) []byte
}

// Client is one connection.
type Client struct {
	T    testing.TB
	Conn net.Conn
	V    packet.Version
	// ID is the packet identifier that Subscribe, Unsubscribe and Publish used
	// last; they count it up.
	ID uint16

	buf   []byte // what has come and was not read
	aside []kept // what was read and is still to be looked at
}

// kept is a packet with its bytes.
type kept struct {
	p Packet
	b []byte
}

// New speaks over a connection that is there. It is closed when the test ends.
func New(t testing.TB, conn net.Conn, v packet.Version) *Client {
	t.Cleanup(func() { _ = conn.Close() })
	return &Client{T: t, Conn: conn, V: v}
}

// Dial connects over TCP and says nothing yet.
func Dial(t testing.TB, address string, v packet.Version) *Client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return New(t, conn, v)
}

// Send sends packets in one write. That the connection is closed already is no
// error here: what was said before can be read still.
func (c *Client) Send(list ...Packet) {
	c.T.Helper()
	var b []byte
	for _, p := range list {
		b = p.AppendTo(b, c.V)
	}
	c.SendBytes(b)
}

// SendBytes sends bytes as they are.
func (c *Client) SendBytes(b []byte) {
	c.T.Helper()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(patience)) // fails on what is closed, as writing does
	if _, err := c.Conn.Write(b); err != nil {
		c.T.Logf("writing: %v", err)
	}
}

// Hangup closes the connection without a DISCONNECT.
func (c *Client) Hangup() { _ = c.Conn.Close() }

// Read waits for the next packet, with the bytes that it took. The error is
// io.EOF at the end of the connection, however it was closed.
func (c *Client) Read() (Packet, []byte, error) {
	if len(c.aside) > 0 {
		k := c.aside[0]
		c.aside = c.aside[1:]
		return k.p, k.b, nil
	}
	return c.receive()
}

// receive is Read for what has not been put aside.
func (c *Client) receive() (Packet, []byte, error) {
	for {
		raw, n, err := packet.Split(c.buf, maxPacket)
		if err != nil {
			return nil, nil, err
		}
		if n > 0 {
			frame := c.buf[:n:n]
			c.buf = c.buf[n:]
			p, err := packet.Parse(c.V, raw)
			if err != nil {
				return nil, frame, fmt.Errorf("mqtttest: %x: %w", frame, err)
			}
			return p.(Packet), frame, nil
		}
		_ = c.Conn.SetReadDeadline(time.Now().Add(patience)) // fails on what is closed, as reading does
		b := make([]byte, 4096)
		n, err = c.Conn.Read(b)
		c.buf = append(c.buf[:len(c.buf):len(c.buf)], b[:n]...) // what was given away stays as it is
		if timeout := net.Error(nil); n == 0 && errors.As(err, &timeout) && timeout.Timeout() {
			return nil, nil, fmt.Errorf("mqtttest: nothing came within %v", patience)
		}
		if n == 0 && err != nil {
			return nil, nil, io.EOF
		}
	}
}

// Next waits for the next packet.
func (c *Client) Next() Packet {
	c.T.Helper()
	p, _, err := c.Read()
	if err != nil {
		c.T.Fatalf("instead of a packet: %v", err)
	}
	return p
}

// Expect waits for the next packet, which must be of the type P:
//
//	ack := mqtttest.Expect[packet.Suback](c)
func Expect[P any](c *Client) *P {
	c.T.Helper()
	next, _, err := c.Read()
	if err != nil {
		c.T.Fatalf("instead of a %T: %v", *new(P), err)
	}
	p, ok := next.(any).(*P)
	if !ok {
		c.T.Fatalf("got a %T instead of a %T: %+v", next, *new(P), next)
	}
	return p
}

// ExpectAck waits for a PUBACK, PUBREC, PUBREL or PUBCOMP.
func (c *Client) ExpectAck(t packet.Type, id uint16) *packet.Ack {
	c.T.Helper()
	a := Expect[packet.Ack](c)
	if a.Type != t || a.ID != id {
		c.T.Fatalf("got type %d for identifier %d, want type %d for %d", a.Type, a.ID, t, id)
	}
	return a
}

// ExpectClosed waits for the end of the connection, before which nothing comes.
func (c *Client) ExpectClosed() {
	c.T.Helper()
	if p, _, err := c.Read(); !errors.Is(err, io.EOF) {
		c.T.Fatalf("got %T %+v, %v instead of the end of the connection", p, p, err)
	}
}

// ExpectRefused waits for the end of the connection with a reason: over MQTT 5.0
// a DISCONNECT with one of the codes comes first, before it nothing.
func (c *Client) ExpectRefused(codes ...packet.Code) {
	c.T.Helper()
	if c.V >= packet.V5 {
		c.oneOf(Expect[packet.Disconnect](c).Code, codes)
	}
	c.ExpectClosed()
}

// ExpectConnack waits for a CONNACK with one of the codes, and if that is a
// refusal for the end of the connection.
func (c *Client) ExpectConnack(codes ...packet.Code) *packet.Connack {
	c.T.Helper()
	ack := Expect[packet.Connack](c)
	c.oneOf(ack.Code, codes)
	if ack.Code.Failed() {
		c.ExpectClosed()
	}
	return ack
}

func (c *Client) oneOf(got packet.Code, want []packet.Code) {
	c.T.Helper()
	for _, w := range want {
		if got == w {
			return
		}
	}
	c.T.Fatalf("got %v, want one of %v", got, want)
}

// Quiet checks that nothing is under way to the client: it sends a PINGREQ, and
// the next packet is the PINGRESP.
func (c *Client) Quiet() {
	c.T.Helper()
	c.Send(&packet.Ping{Type: packet.PINGREQ})
	if p := Expect[packet.Ping](c); p.Type != packet.PINGRESP {
		c.T.Fatalf("got type %d instead of a PINGRESP", p.Type)
	}
}
