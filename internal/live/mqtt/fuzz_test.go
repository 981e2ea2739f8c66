package mqtt_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// outlet is a socket that keeps what is sent.
type outlet struct {
	mu     sync.Mutex
	out    bytes.Buffer
	closed bool
	first  chan struct{} // closed with the first packet, or the end
	once   sync.Once
	bye    func(live.Reason) live.Frame
}

func (o *outlet) Send(f live.Frame) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return live.ErrClosed
	}
	o.out.Write(f)
	o.once.Do(func() { close(o.first) })
	return nil
}

func (o *outlet) Close(why live.Reason) {
	o.mu.Lock()
	was := o.closed
	o.closed = true
	o.mu.Unlock()
	if was {
		return
	}
	last := o.bye(why)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.out.Write(last)
	o.once.Do(func() { close(o.first) })
}

// FuzzConnection sends anything after the CONNECT, in pieces of any size. It is
// answered with whole packets that a server may send, or ended; never more.
func FuzzConnection(f *testing.F) {
	add := func(v packet.Version, list ...appender) {
		var b []byte
		for _, p := range list {
			b = p.AppendTo(b, v)
		}
		for _, piece := range []uint8{0, 1, 7} {
			f.Add(b, byte(v), piece)
		}
	}
	for _, v := range versions {
		add(v, &packet.Ping{Type: packet.PINGREQ}, &packet.Disconnect{})
		add(v, &packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: "chat/+", QoS: 2}}}, &packet.Publish{Topic: "chat/7", QoS: 2, ID: 5, Payload: []byte("1")},
			&packet.Ack{Type: packet.PUBREL, ID: 5}, &packet.Unsubscribe{ID: 2, Filters: []string{"chat/+"}})
		add(v, &packet.Publish{Topic: "herald/receipt", QoS: 1, ID: 1, Payload: []byte("displayed 1")}, &packet.Ack{Type: packet.PUBACK, ID: 9})
		add(v, &packet.Connect{Version: v})
	}
	add(packet.V5, &packet.Auth{Code: packet.Reauthenticate, Props: packet.Properties{AuthMethod: mqtt.TokenMethod}})
	f.Add([]byte{0x30, 0xFF, 0xFF, 0x7F, 0}, byte(5), byte(0))

	w := livetest.NewWorld()
	w.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"#"}})
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
	done := make(chan error, 1)
	go func() { done <- hub.Run(context.Background()) }()
	f.Cleanup(func() {
		hub.Close()
		<-done
	})
	broker := mqtt.New(mqtt.Config{})
	f.Fuzz(func(t *testing.T, b []byte, version, piece byte) {
		v := versions[int(version)%len(versions)]
		h := broker.Raw().NewHandler(hub)
		o := &outlet{first: make(chan struct{}), bye: h.(live.Farewell).Farewell}
		h.Open(o)
		if err := h.Data(as(w.Join(herald.PlatformLinux), v).AppendTo(nil, v)); err != nil {
			t.Fatal(err)
		}
		<-o.first
		for n := int(piece); len(b) > 0; {
			size := len(b)
			if n > 0 {
				size = min(n, size)
			}
			if err := h.Data(bytes.Clone(b[:size])); err != nil {
				t.Fatal(err)
			}
			b = b[size:]
		}
		h.Closed(nil)
		o.mu.Lock()
		defer o.mu.Unlock()
		answered(t, v, o.out.Bytes())
	})
}

// answered checks that bytes are packets of a server, of which the first is the
// CONNACK and only the last a DISCONNECT.
func answered(t *testing.T, v packet.Version, out []byte) {
	t.Helper()
	for first := true; len(out) > 0; first = false {
		raw, n, err := packet.Split(out, 1<<20)
		if err != nil || n == 0 {
			t.Fatalf("not a packet: %x, %v", out, err)
		}
		p, err := packet.Parse(v, raw)
		if err != nil {
			t.Fatalf("%x: %v", out[:n], err)
		}
		out = out[n:]
		switch p := p.(type) {
		case *packet.Connack:
			if !first || p.Code != packet.Success {
				t.Fatalf("got %+v", p)
			}
		case *packet.Disconnect:
			if first || len(out) > 0 || v < packet.V5 || !p.Code.Failed() {
				t.Fatalf("got %+v", p)
			}
		case *packet.Publish, *packet.Ack, *packet.Suback, *packet.Unsuback, *packet.Auth, *packet.Ping:
			if first {
				t.Fatalf("got %+v first", p)
			}
		default:
			t.Fatalf("a server sent %+v", p)
		}
	}
}
