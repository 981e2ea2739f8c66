package mqtt_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// room is a broker with its hub and its world, in memory and with a clock of its
// own.
type room struct {
	*testing.T
	*livetest.World
	hub    *live.Hub
	broker *mqtt.Broker
}

func inRoom(t *testing.T, c mqtt.Config, o live.Options, f func(*room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		w.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"chat/#", "own/{registration_id}"}})
		o.Directory, o.Backlog, o.Receipts = w, w, w
		r := &room{T: t, World: w, hub: live.NewHub(o), broker: mqtt.New(c)}
		done := make(chan error, 1)
		go func() { done <- r.hub.Run(context.Background()) }()
		t.Cleanup(func() {
			r.hub.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f(r)
	})
}

// client is a connection whose failures end the test.
type client struct {
	*peer
	r *room
}

// dial opens a connection to the raw port.
func (r *room) dial(v packet.Version) *client {
	r.Helper()
	mine, theirs := net.Pipe()
	r.Cleanup(func() { _ = mine.Close() })
	p, err := r.hub.Admit()
	if err != nil {
		r.Fatal(err)
	}
	if !(live.Portable{}).Adopt(theirs, nil, nil, r.broker.Raw().NewHandler(r.hub), p) {
		r.Fatal("the driver does not take a pipe")
	}
	_ = mine.SetDeadline(time.Now().Add(240 * time.Hour)) // what never comes fails the test
	return &client{newPeer(mine, v), r}
}

// as gives the CONNECT of a device in the version of the client.
func as(m livetest.Member, v packet.Version) *packet.Connect {
	return &packet.Connect{
		Version: v, CleanStart: true, KeepAlive: 60, ClientID: string(m.ID),
		Username: string(livetest.App), HasUsername: true, Password: []byte(m.Token), HasPassword: true,
	}
}

// send sends a packet beside reading, because the other end of a pipe may be
// writing too.
func (c *client) send(p appender) {
	c.r.Helper()
	if err := c.put(p); err != nil {
		c.r.Fatal(err)
	}
	synctest.Wait()
}

// raw sends bytes.
func (c *client) raw(b []byte) {
	c.r.Helper()
	if _, err := c.Conn.Write(b); err != nil {
		c.r.Fatal(err)
	}
	synctest.Wait()
}

// read gives the next packet, which must be of a type.
func read[P any](c *client) P {
	c.r.Helper()
	got, err := c.get()
	if err != nil {
		c.r.Fatalf("waiting for a %T: %v", *new(P), err)
	}
	p, ok := got.(P)
	if !ok {
		c.r.Fatalf("got %+v, want a %T", got, *new(P))
	}
	return p
}

// ends reads to the end, which must come without another packet.
func (c *client) ends() {
	c.r.Helper()
	if got, err := c.get(); err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		c.r.Fatalf("got %+v, %v, want the end", got, err)
	}
}

// disconnected expects the end with a reason, which 5.0 alone can tell.
func (c *client) disconnected(code packet.Code) {
	c.r.Helper()
	if c.version >= packet.V5 {
		if d := read[*packet.Disconnect](c); d.Code != code {
			c.r.Fatalf("ended with %s (%s), want %s", d.Code, d.Props.Reason, code)
		}
	}
	c.ends()
}

// connect opens a session and takes its CONNACK.
func (r *room) connect(p *packet.Connect) (*client, *packet.Connack) {
	r.Helper()
	c := r.dial(p.Version)
	c.send(p)
	a := read[*packet.Connack](c)
	if a.Code != packet.Success {
		r.Fatalf("refused with %s (%s)", a.Code, a.Props.Reason)
	}
	synctest.Wait()
	return c, a
}

// enter opens a session of a device under its registration ID.
func (r *room) enter(m livetest.Member, v packet.Version) *client {
	r.Helper()
	c, _ := r.connect(as(m, v))
	return c
}

// hangUp cuts the connection.
func (c *client) hangUp() {
	_ = c.Close()
	synctest.Wait()
}

func (r *room) push(s livetest.Send) herald.MessageID {
	r.Helper()
	h := r.Accept(s)
	if _, err := r.hub.Deliver(r.Context(), h); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
	return h.Msg.ID
}

// watcher is a session over another transport, which gathers what is published.
type watcher struct {
	mu  sync.Mutex
	got []string
}

func (*watcher) Name() string                              { return "watcher" }
func (*watcher) Encode(live.Release) live.Frame            { return live.Frame("release") }
func (*watcher) Control(live.Control) live.Frame           { return nil }
func (*watcher) Publication(p live.Publication) live.Frame { return live.TopicJSON(p) }
func (*watcher) Close(live.Reason)                         {}
func (w *watcher) Send(f live.Frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, string(f))
	return nil
}

// watch subscribes to topics.
func (r *room) watch(names ...herald.Topic) *watcher {
	r.Helper()
	w := &watcher{}
	s := r.hub.Attach(w, w, true)
	if err := s.Hello(live.Hello{Token: r.Join(herald.PlatformWeb).Token, Topics: names}); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
	return w
}

// saw expects what came since, each with these words in it.
func (r *room) saw(w *watcher, want ...string) {
	r.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) != len(want) {
		r.Fatalf("%d publications: %q, want %d", len(w.got), w.got, len(want))
	}
	for i, words := range want {
		if !strings.Contains(w.got[i], words) {
			r.Fatalf("publication %d is %s, want %s", i, w.got[i], words)
		}
	}
	w.got = nil
}
