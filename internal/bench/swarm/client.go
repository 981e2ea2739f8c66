package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/herald-push/herald/internal/wire"
)

// The protocols of clients.
const (
	WebSocket = "websocket"
	SSE       = "sse"
	Stream    = "stream"
	Poll      = "poll"
	TCP       = "tcp"
	MQTT      = "mqtt"
)

// Target is a server, as clients of one kind see it.
type Target struct {
	Proto   string `json:"proto"`
	Address string `json:"address"` // host and port
	// Path is the request's path. Of a bare server it ends with the number of
	// the client, which is appended.
	Path     string `json:"path,omitempty"`
	Numbered bool   `json:"numbered,omitempty"`
	// Of MQTT: User is the user name, the tokens being passwords; Topic is what
	// clients subscribe to with QoS, to which the number of the client is
	// appended if Numbered says so. Without it they are there after CONNACK and
	// get pushes. Kept sessions outlive their connections.
	User  string `json:"user,omitempty"`
	Topic string `json:"topic,omitempty"`
	QoS   byte   `json:"qos,omitempty"`
	// Publish is the QoS with which others publish to it.
	Publish byte `json:"-"`
	Kept    bool `json:"kept,omitempty"`
	// Welcome says that a client is there once it got the frame welcome, and
	// that messages are frames of the session protocol. Otherwise it is there
	// after the handshake, and gets bare payloads.
	Welcome bool `json:"welcome,omitempty"`
}

type stage uint8

const (
	connecting stage = iota
	inHead           // waits for the head of the response
	inBody           // reads frames
)

// client is one client without its socket. It is fed what the socket gave, cut
// anywhere.
type client struct {
	index   int
	stage   stage
	up      bool // there, as Target says
	chunked bool
	stalled bool // does not read
	chunk   dechunker
	length  int    // of the response to a poll
	rest    []byte // the beginning of what is not all there yet
	seq     [2]uint32
}

// rules is what all clients of a swarm share.
type rules struct {
	Target
	tokens []string
	ids    []string // of sessions of MQTT
	ack    bool
	lossy  bool
}

// open writes what a client sends first.
func (r *rules) open(b []byte, index int) []byte {
	token := ""
	if index < len(r.tokens) {
		token = r.tokens[index]
	}
	switch r.Proto {
	case TCP:
		return fmt.Appendf(b, "{\"type\":\"hello\",\"token\":%q}\n", token)
	case MQTT:
		return r.hello(b, index, token)
	}
	path := r.Path
	if r.Numbered {
		path += strconv.Itoa(index)
	}
	b = fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: %s\r\n", path, r.Address)
	switch r.Proto {
	case WebSocket:
		b = append(b, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"...)
	case SSE:
		b = append(b, "Accept: text/event-stream\r\n"...)
	}
	if token != "" {
		b = fmt.Appendf(b, "Authorization: Bearer %s\r\n", token)
	}
	return append(b, "\r\n"...)
}

// feed takes bytes, tells the tally what came and appends the answers to
// t.out. b is changed.
func (c *client) feed(r *rules, t *tally, b []byte) error {
	if len(c.rest) > 0 {
		// Whoever is within chunks keeps decoded bytes.
		if c.stage == inBody && c.chunked {
			data, _, err := c.chunk.decode(b)
			if err != nil {
				return err
			}
			b = data
		}
		c.rest = append(c.rest, b...)
		b = c.rest
	} else if c.stage == inBody && c.chunked {
		data, _, err := c.chunk.decode(b)
		if err != nil {
			return err
		}
		b = data
	}
	for {
		if c.stage == inHead {
			n, err := c.head(r, b)
			if err != nil || n == 0 {
				return c.keep(b, err)
			}
			b = b[n:]
			if c.chunked {
				data, _, err := c.chunk.decode(b)
				if err != nil {
					return err
				}
				b = data
			}
			if !r.Welcome && !c.up {
				c.arrived(t)
			}
		}
		n, err := c.frames(r, t, b)
		b = b[n:]
		if err != nil || c.stage != inHead || len(b) == 0 {
			return c.keep(b, err)
		}
	}
}

// keep stores what is not all there yet.
func (c *client) keep(b []byte, err error) error {
	if len(b) == 0 {
		c.rest = nil // so that thousands of idle clients need no memory
		return err
	}
	if cap(c.rest) > 0 {
		c.rest = append(c.rest[:0], b...)
	} else {
		c.rest = bytes.Clone(b)
	}
	return err
}

func (c *client) arrived(t *tally) {
	if !c.up {
		c.up = true
		t.Up++
	}
}

// head reads the head of a response.
func (c *client) head(r *rules, b []byte) (int, error) {
	h, n, err := readHead(b)
	if err != nil || n == 0 {
		return 0, err
	}
	want := 200
	if r.Proto == WebSocket {
		want = 101
	}
	if h.status != want {
		return 0, fmt.Errorf("the answer is %.300q", b)
	}
	c.stage, c.chunked, c.chunk, c.length = inBody, h.chunked, dechunker{}, h.length
	if r.Proto == Poll && h.length < 0 {
		return 0, errors.New("the answer to a poll has no Content-Length")
	}
	return n, nil
}

// frames reads the frames that are all there, and tells how many bytes those
// were.
func (c *client) frames(r *rules, t *tally, b []byte) (used int, err error) {
	ids := len(t.ids)
	for {
		n := 0
		switch r.Proto {
		case WebSocket:
			n, err = c.wsFrame(r, t, b[used:])
		case SSE:
			var e sseEvent
			if e, n, err = event(b[used:]); n > 0 {
				err = c.sse(r, t, e)
			}
		case Stream, TCP:
			var text []byte
			if text, n, err = line(b[used:]); n > 0 {
				err = c.frame(r, t, text)
			}
		case Poll:
			n, err = c.poll(r, t, b[used:])
		case MQTT:
			n, err = c.mqtt(r, t, b[used:])
		}
		if err != nil || n == 0 {
			break
		}
		if used += n; c.stage == inHead {
			break
		}
	}
	if len(t.ids) > ids && err == nil {
		t.acknowledge(r, ids)
	}
	return used, err
}

func (c *client) wsFrame(r *rules, t *tally, b []byte) (int, error) {
	op, payload, n, err := wsFrame(b)
	if err != nil || n == 0 {
		return 0, err
	}
	switch op {
	case wire.Ping:
		t.Pings++
		t.out = wire.AppendMasked(t.out, true, wire.Pong, [4]byte{}, payload)
	case wire.Close:
		return n, fmt.Errorf("the server has closed: %q", payload)
	case wire.Pong:
	default:
		err = c.frame(r, t, payload)
	}
	return n, err
}

func (c *client) sse(r *rules, t *tally, e sseEvent) error {
	if e.data == nil {
		t.Pings++
		return nil
	}
	return c.frame(r, t, e.data)
}

// poll reads an answer to a poll, and asks again.
func (c *client) poll(r *rules, t *tally, b []byte) (int, error) {
	if len(b) < c.length {
		return 0, nil
	}
	body := b[:c.length]
	for rest := body; ; {
		m, after, ok, err := Find(rest)
		if err != nil {
			return c.length, err
		}
		if !ok {
			break
		}
		if err := c.got(r, t, m); err != nil {
			return c.length, err
		}
		rest = after
	}
	cursor := member(body[max(bytes.LastIndexByte(body, ']'), 0):], `"cursor":"`)
	q := *r
	if len(cursor) > 0 {
		q.Path += "&cursor=" + string(cursor)
	}
	t.out = q.open(t.out, c.index)
	c.stage = inHead
	return c.length, nil
}

// member gives what follows a mark, up to the next quote.
func member(frame []byte, mark string) []byte {
	_, after, _ := bytes.Cut(frame, []byte(mark))
	value, _, _ := bytes.Cut(after, []byte(`"`))
	return value
}

// frame takes a frame of the session protocol, or a bare payload.
func (c *client) frame(r *rules, t *tally, b []byte) error {
	if !r.Welcome {
		return c.payload(r, t, b)
	}
	if bytes.HasPrefix(b, []byte(`{"type":"message"`)) {
		if r.ack {
			t.ids = append(t.ids, string(member(b, `"id":"`)))
		}
		return c.payload(r, t, b)
	}
	switch string(member(b, `"type":"`)) {
	case "welcome":
		c.arrived(t)
	case "ping":
		t.Pings++
		if r.Proto == TCP {
			t.out = append(t.out, "{\"type\":\"pong\"}\n"...)
		}
	case "error", "close", "reconnect":
		return fmt.Errorf("the server says %.300q", b)
	}
	return nil
}

// payload checks a message.
func (c *client) payload(r *rules, t *tally, b []byte) error {
	m, _, ok, err := Find(b)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("a message is none of ours: %.100q", b)
	}
	return c.got(r, t, m)
}

// got checks that a message is the next one.
func (c *client) got(r *rules, t *tally, m Mark) error {
	i, count, first := 0, &t.Broadcasts, m.Seq
	if m.Kind == Unicast {
		i, count, first = 1, &t.Unicasts, 1
		if int(m.Stream) != c.index {
			return fmt.Errorf("%v is that of client %d", m, m.Stream)
		}
	}
	want := c.seq[i] + 1
	if c.seq[i] == 0 {
		want = first // broadcasts from when the client came
	}
	if m.Seq == 0 || m.Seq < want || m.Seq > want && !r.lossy {
		return fmt.Errorf("%v came, want %d", m, want)
	}
	c.seq[i] = m.Seq
	*count++
	if t.timed {
		t.latency.add(t.now() - m.Sent)
	}
	return nil
}
