package livetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Run holds a transport to the contract. Most cases run in memory with a clock
// of their own; those whose point is that things happen at once run over real
// sockets.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name   string
		run    func(*env)
		twoWay bool // only for transports whose clients can send
		head   bool // only for transports that are reached by HTTP
		opts   live.Options
	}{
		{name: "refuses a bad token", run: badToken},
		{name: "refuses no token", run: noToken},
		{name: "refuses a foreign origin", run: badOrigin, head: true, opts: live.Options{AllowOrigin: func(*http.Request) bool { return false }}},
		{name: "refuses too many connections", run: tooMany, opts: live.Options{MaxConnections: 1}},
		{name: "welcomes", run: welcomes},
		{name: "gives a fresh token", run: freshToken},
		{name: "sends live in order", run: liveInOrder},
		{name: "replays pages in order", run: replaysPages},
		{name: "misses nothing that comes while a page is read", run: comesWhileReading},
		{name: "replays what was not acknowledged", run: replaysAgain},
		{name: "resumes by cursor", run: resumes},
		{name: "ignores a foreign cursor", run: foreignCursor},
		{name: "applies platform overrides", run: overrides},
		{name: "sends TTL 0 during a replay", run: volatileInReplay},
		{name: "does not replay what has expired", run: expired},
		{name: "keeps from a new user what was sent by alias", run: rebound},
		{name: "sends withdrawals", run: withdrawals},
		{name: "loses nothing at a slow consumer", run: slowConsumer, opts: live.Options{SessionQueue: 4 << 10}},
		{name: "closes a queue that stays full", run: staysFull, opts: live.Options{SessionQueue: 4 << 10}},
		{name: "replaces the oldest of five sessions", run: fiveSessions},
		{name: "keeps the heartbeat", run: heartbeat},
		{name: "ends a half-open connection", run: halfOpen},
		{name: "notices an abrupt cut", run: abruptCut},
		{name: "drains", run: drains},
		{name: "disconnects a device", run: disconnects},
		{name: "survives a failing backlog", run: failingBacklog},
		{name: "closes on garbage", run: garbage},
		{name: "takes acknowledgements and events", run: acknowledges, twoWay: true},
		{name: "takes a cursor as acknowledgement", run: acknowledgesUpto, twoWay: true},
		{name: "opens by hello", run: opensByHello, twoWay: true},
		{name: "gives no time for dribbling", run: dribbles, twoWay: true},
		{name: "names what it refuses", run: refusesFrames, twoWay: true},
	} {
		if _, head := h.New().(live.Upgrader); c.twoWay && !h.TwoWay || c.head && !head {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(newEnv(t, h, c.opts, newPipes())) })
		})
	}
	t.Run("over real sockets", func(t *testing.T) {
		l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		e := newEnv(t, h, live.Options{SessionQueue: 8 << 10}, socketNet{l})
		t.Run("sends live in order", func(t *testing.T) { liveInOrder(e.at(t)) })
		t.Run("joins replay and live", func(t *testing.T) { interleaves(e.at(t)) })
	})
}

// network is what the server listens on and clients dial.
type network interface {
	net.Listener
	dial() (net.Conn, error)
}

type socketNet struct{ net.Listener }

func (s socketNet) dial() (net.Conn, error) {
	c, err := net.Dial("tcp", s.Addr().String())
	if err == nil {
		err = c.SetDeadline(time.Now().Add(time.Minute))
	}
	return c, err
}

// pipes is a network in memory. A write waits for its reader: nothing is kept
// by a kernel, so that a test decides what has been read.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		// What never comes fails the test instead of letting it run for ever.
		return client, client.SetDeadline(time.Now().Add(30 * time.Minute))
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// env is one server with its world.
type env struct {
	*testing.T
	harness   Harness
	world     *World
	hub       *live.Hub
	transport live.Transport
	net       network
}

func newEnv(t *testing.T, h Harness, o live.Options, n network) *env {
	e := &env{T: t, harness: h, world: NewWorld(), transport: h.New(), net: n}
	o.Directory, o.Backlog, o.Receipts = e.world, e.world, e.world
	e.hub = live.NewHub(o)
	var wg sync.WaitGroup
	stop := e.serve(&wg)
	wg.Go(func() {
		if err := e.hub.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		e.hub.Close()
		stop()
		wg.Wait()
	})
	return e
}

// serve serves the transport until stop is called.
func (e *env) serve(wg *sync.WaitGroup) (stop func()) {
	switch t := e.transport.(type) {
	case live.Server:
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			if err := live.Serve(ctx, e.net, e.hub, t); err != nil {
				e.Error(err)
			}
		})
		return cancel
	case live.Upgrader:
		mux := http.NewServeMux()
		live.Mount(mux, e.hub, t)
		srv := &http.Server{Handler: mux}
		wg.Go(func() { _ = srv.Serve(e.net) })
		return func() { _ = srv.Close() }
	}
	e.Fatalf("%T is neither a live.Upgrader nor a live.Server", e.transport)
	return nil
}

// at is the same server for a subtest.
func (e *env) at(t *testing.T) *env {
	sub := *e
	sub.T = t
	return &sub
}

// client is a Client whose failures end the test.
type client struct {
	Client
	e    *env
	conn net.Conn
}

// tryDial connects without expecting success.
func (e *env) tryDial(d Dial) (*client, error) {
	e.Helper()
	conn, err := e.net.dial()
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = conn.Close() })
	d.Conn, d.Path = conn, e.path()
	c, err := e.harness.Dial(context.Background(), d)
	return &client{c, e, conn}, err
}

// path is where the transport is mounted; "" if it has a port of its own.
func (e *env) path() string {
	if up, ok := e.transport.(live.Upgrader); ok {
		return up.Path()
	}
	return ""
}

func (e *env) dial(d Dial) *client {
	e.Helper()
	c, err := e.tryDial(d)
	if err != nil {
		e.Fatalf("dialling: %v", err)
	}
	return c
}

// connect opens a session and takes its welcome.
func (e *env) connect(m Member) *client {
	e.Helper()
	return e.open(Dial{Token: m.Token})
}

func (e *env) open(d Dial) *client {
	e.Helper()
	c := e.dial(d)
	c.expect("welcome")
	return c
}

// next gives the next frame that is not a heartbeat.
func (c *client) next() Frame {
	c.e.Helper()
	for {
		f, err := c.Next()
		if err != nil {
			c.e.Fatalf("waiting for a frame: %v", err)
		}
		if f.Type != "ping" {
			return f
		}
	}
}

func (c *client) expect(kind string) Frame {
	c.e.Helper()
	f := c.next()
	if f.Type != kind {
		c.e.Fatalf("got %+v, want a frame of type %s", f, kind)
	}
	return f
}

// expectMessages takes messages in exactly this order.
func (c *client) expectMessages(ids ...herald.MessageID) {
	c.e.Helper()
	for i, id := range ids {
		if f := c.expect("message"); f.ID != id {
			c.e.Fatalf("message %d of %d is %s, want %s", i+1, len(ids), f.ID, id)
		}
	}
}

// expectClosed reads to the end, which must have this reason. Over one-way
// transports, and where bytes were cut, a bare end will do.
func (c *client) expectClosed(code int) {
	c.e.Helper()
	for {
		_, err := c.Next()
		if err == nil {
			continue
		}
		if closed := (*Closed)(nil); errors.As(err, &closed) && closed.Code != code {
			c.e.Fatalf("closed with %d, want %d", closed.Code, code)
		} else if closed == nil && c.e.harness.TwoWay {
			c.e.Fatalf("the connection ended with %v, want a close with %d", err, code)
		}
		return
	}
}

func (c *client) send(format string, args ...any) {
	c.e.Helper()
	if err := c.Send(fmt.Sprintf(format, args...)); err != nil {
		c.e.Fatalf("sending: %v", err)
	}
}

// deliver does what dispatch does with a release.
func (e *env) deliver(h record.Handover) *sets.Set {
	e.Helper()
	took, err := e.hub.Deliver(context.Background(), h)
	if err != nil {
		e.Fatal(err)
	}
	return took
}

// reported gives what was reported of a message, which is a moment after it has
// gone out.
func (e *env) reported(id herald.MessageID) []record.Event {
	e.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for range 10_000 {
		if ev := e.world.Events(id); len(ev) > 0 {
			return ev
		}
		<-again.C
	}
	e.Fatalf("nothing was reported of message %s", id)
	return nil
}

// push accepts a message and delivers it.
func (e *env) push(s Send) herald.MessageID {
	e.Helper()
	h := e.world.Accept(s)
	e.deliver(h)
	return h.Msg.ID
}

// pushMany pushes n messages to one device.
func (e *env) pushMany(m Member, n int) []herald.MessageID {
	e.Helper()
	ids := make([]herald.MessageID, n)
	for i := range ids {
		ids[i] = e.push(Send{Content: Text(fmt.Sprint("message ", i)), To: []Member{m}})
	}
	return ids
}
