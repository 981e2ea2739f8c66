package mqtt_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// peer reads and writes packets, one after the other.
type peer struct {
	net.Conn
	version packet.Version
	in      *bufio.Reader
	ws      *ws.Dialer // not nil over WebSocket

	mu sync.Mutex // makes writes one at a time
}

func newPeer(conn net.Conn, v packet.Version) *peer {
	return &peer{Conn: conn, version: v, in: bufio.NewReader(conn)}
}

type appender interface {
	AppendTo(b []byte, v packet.Version) []byte
}

// bytesOf gives a packet as it goes out.
func (p *peer) bytesOf(pkt appender) []byte {
	b := pkt.AppendTo(nil, p.version)
	if p.ws == nil {
		return b
	}
	var out bytes.Buffer
	_ = ws.WriteFrame(&out, ws.MaskFrame(ws.NewBinaryFrame(b)))
	return out.Bytes()
}

func (p *peer) put(pkt appender) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.Conn.Write(p.bytesOf(pkt))
	return err
}

// get reads the next packet.
func (p *peer) get() (any, error) {
	var b []byte
	if p.ws != nil {
		f, err := ws.ReadFrame(p.in)
		if err != nil {
			return nil, err
		}
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			return nil, &livetest.Closed{Code: int(code)}
		}
		if f.Header.OpCode != ws.OpBinary {
			return nil, fmt.Errorf("a frame of the kind %d", f.Header.OpCode)
		}
		b = f.Payload
	} else {
		var err error
		if b, err = onePacket(p.in); err != nil {
			return nil, err
		}
	}
	raw, n, err := packet.Split(b, 1<<20)
	if err != nil || n != len(b) {
		return nil, fmt.Errorf("not one packet: %x, %w", b, err)
	}
	return packet.Parse(p.version, raw)
}

func onePacket(in *bufio.Reader) ([]byte, error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	b, size := []byte{first}, 0
	for shift := 0; ; shift += 7 {
		c, err := in.ReadByte()
		if err != nil {
			return nil, err
		}
		b = append(b, c)
		if size |= int(c&0x7F) << shift; c < 0x80 {
			break
		}
	}
	at := len(b)
	b = append(b, make([]byte, size)...)
	_, err = io.ReadFull(in, b[at:])
	return b, err
}

// suite is a client of the conformance suite: it turns packets into frames of the
// session protocol, and back.
type suite struct {
	*peer
	keep    uint16
	got     map[herald.MessageID]uint16 // packet IDs of messages
	next    uint16
	asked   map[uint16][]herald.Topic
	pongs   []bool // for each PINGREQ under way whether it was a ping
	pongsMu sync.Mutex
}

// dialer opens sessions of version 5.0, on a raw port or over WebSocket.
type dialer struct{ ws bool }

func (o dialer) dial(_ context.Context, d livetest.Dial) (livetest.Client, error) {
	c := &suite{peer: newPeer(d.Conn, packet.V5), keep: 50, got: map[herald.MessageID]uint16{}, asked: map[uint16][]herald.Topic{}}
	if d.Heartbeat > 0 {
		c.keep = max(1, uint16(d.Heartbeat/time.Second)*4/3)
	}
	p := &packet.Connect{Version: packet.V5, CleanStart: true, KeepAlive: c.keep, Username: string(livetest.App), HasUsername: true}
	if d.Token != "" {
		p.Password, p.HasPassword = []byte(d.Token), true
	}
	var out []byte
	if o.ws {
		c.ws = &ws.Dialer{}
		out = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: herald.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: other, mqtt\r\n", d.Path)
		if d.Origin != "" {
			out = fmt.Appendf(out, "Origin: %s\r\n", d.Origin)
		}
		out = append(out, "\r\n"...)
	}
	out = append(out, c.bytesOf(p)...)
	go func() { // beside reading, because a server that refuses does not read
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = d.Conn.Write(out)
	}()
	if o.ws {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, livetest.ReadRefusal(resp)
		}
		if resp.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
			return nil, errors.New("the subprotocol was not chosen")
		}
	}
	return c, nil
}

// closeCodes are the way back to those of the other transports where the server
// does not say them.
var closeCodes = map[packet.Code]int{
	packet.BadUserNameOrPassword: live.CloseBadToken, packet.NotAuthorized: live.CloseBadToken, packet.MalformedPacket: live.CloseProtocol,
	packet.ProtocolError: live.CloseProtocol, packet.PacketTooLarge: live.CloseProtocol,
}

func closedWith(code packet.Code, p packet.Properties) error {
	for _, u := range p.User {
		if u.Name == "close" {
			n, err := strconv.Atoi(u.Value)
			if err != nil {
				return err
			}
			return &livetest.Closed{Code: n}
		}
	}
	if n, ok := closeCodes[code]; ok {
		return &livetest.Closed{Code: n}
	}
	return fmt.Errorf("ended with %s: %s", code, p.Reason)
}

func (c *suite) Next() (livetest.Frame, error) {
	for {
		got, err := c.get()
		if err != nil {
			return livetest.Frame{}, err
		}
		switch p := got.(type) {
		case *packet.Connack:
			if p.Code.Failed() {
				return livetest.Frame{}, closedWith(p.Code, p.Props)
			}
			f := livetest.Frame{Type: "welcome", Heartbeat: int(c.keep), Timeout: int(c.keep) * 3 / 2}
			for _, u := range p.Props.User {
				switch u.Name {
				case "session":
					f.Session = u.Value
				case "registration_id":
					f.RegistrationID = herald.RegistrationID(u.Value)
				case "token":
					f.Token = u.Value
				}
			}
			return f, nil
		case *packet.Disconnect:
			return livetest.Frame{}, closedWith(p.Code, p.Props)
		case *packet.Publish:
			if p.Topic != "herald/push" {
				return livetest.Frame{Type: "topic", Topic: herald.Topic(p.Topic), Data: bytes.Clone(p.Payload), Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}, nil
			}
			f, err := livetest.ParseLine(p.Payload)
			if p.QoS > 0 {
				c.got[f.ID] = p.ID
			}
			return f, err
		case *packet.Ping:
			c.pongsMu.Lock()
			asked := c.pongs[0]
			c.pongs = c.pongs[1:]
			c.pongsMu.Unlock()
			if asked {
				return livetest.Frame{Type: "pong"}, nil
			}
		case *packet.Suback:
			return livetest.Frame{Type: "subscribed", Topics: c.asked[p.ID], Ref: c.ref(p.ID)}, nil
		case *packet.Unsuback:
			return livetest.Frame{Type: "unsubscribed", Topics: c.asked[p.ID], Ref: c.ref(p.ID)}, nil
		case *packet.Ack: // of a receipt
		default:
			return livetest.Frame{}, fmt.Errorf("got %+v", p)
		}
	}
}

// ref is what a frame would have: the packet ID, if the client did not give it.
func (c *suite) ref(id uint16) string {
	if _, mine := c.asked[id]; mine {
		return ""
	}
	return strconv.Itoa(int(id))
}

func (c *suite) ping(asked bool) error {
	c.pongsMu.Lock()
	c.pongs = append(c.pongs, asked)
	c.pongsMu.Unlock()
	return c.put(&packet.Ping{Type: packet.PINGREQ})
}

// Send turns a frame into packets.
func (c *suite) Send(frame string) error {
	var f struct {
		Type, Event, Ref string
		IDs              []herald.MessageID
		Topics           []herald.Topic
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		return err
	}
	c.next++
	switch f.Type {
	case "ping", "pong":
		return c.ping(f.Type == "ping")
	case "ack":
		for _, id := range f.IDs {
			if n, ok := c.got[id]; ok {
				if err := c.put(&packet.Ack{Type: packet.PUBACK, ID: n}); err != nil {
					return err
				}
				continue
			}
			if err := c.receipt("received", []herald.MessageID{id}); err != nil {
				return err
			}
		}
		return nil
	case "event":
		return c.receipt(f.Event, f.IDs)
	case "subscribe":
		s := &packet.Subscribe{ID: c.next}
		for _, name := range f.Topics {
			s.List = append(s.List, packet.Subscription{Filter: string(name)})
		}
		if f.Ref == "" {
			c.asked[s.ID] = f.Topics
		}
		return c.put(s)
	case "unsubscribe":
		u := &packet.Unsubscribe{ID: c.next}
		for _, name := range f.Topics {
			u.Filters = append(u.Filters, string(name))
		}
		return c.put(u)
	}
	return fmt.Errorf("no packet for %s", frame)
}

func (c *suite) receipt(event string, ids []herald.MessageID) error {
	b, err := json.Marshal(map[string]any{"event": event, "ids": ids})
	if err != nil {
		return err
	}
	return c.put(&packet.Publish{Topic: "herald/receipt", Payload: b})
}
