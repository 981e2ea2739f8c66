package livetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/engine"
)

// Driver is who drives the connections.
type Driver string

// The drivers.
const (
	Portable Driver = "portable" // net/http, and two goroutines for each
	Adopting Driver = "adopting" // net/http, and then the engine
	Engine   Driver = "engine"   // the engine from the first byte on
)

// Drivers lists those that this system has.
func Drivers() []Driver {
	if _, err := engine.NewKernel(); err != nil {
		return []Driver{Portable}
	}
	return []Driver{Portable, Adopting, Engine}
}

// network is what the server listens on and clients dial.
type network interface {
	net.Listener
	dial() (net.Conn, error)
}

type socketNet struct{ net.Listener }

// newSocketNet listens on a port of loopback.
func newSocketNet(t *testing.T) socketNet {
	t.Helper()
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return socketNet{l}
}

func (s socketNet) dial() (net.Conn, error) { return dialTCP(s.Addr()) }

// patience is how long a connection of a test may take, on a machine that has
// much else to do.
const patience = 2 * time.Minute

// dialTCP dials; what never comes fails the test.
func dialTCP(a net.Addr) (net.Conn, error) { return limited(net.Dial("tcp", a.String())) }

// limited gives a connection its time.
func limited(c net.Conn, err error) (net.Conn, error) {
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// What a client may take to send a request head, and how large that may be, as
// in the product.
const (
	headTimeout = 10 * time.Second
	maxHead     = 16 << 10
)

// listener is the network as a server gets it, which for sockets is the
// listener that the kernel knows.
func listener(n network) net.Listener {
	switch s := n.(type) {
	case socketNet:
		return s.Listener
	case behindNet:
		return s.Listener
	}
	return n
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
	driver    Driver
	world     *World
	hub       *live.Hub
	transport live.Transport
	net       network
	head      time.Duration // what a client may take to send a request head
	heartbeat time.Duration // that of the options
}

func newEnv(t *testing.T, h Harness, d Driver, o live.Options, n network) *env {
	return newEnvFor(t, h, d, o, n, headTimeout)
}

// newEnvFor has another time for request heads; 0 is that of the product.
func newEnvFor(t *testing.T, h Harness, d Driver, o live.Options, n network, head time.Duration) *env {
	if head == 0 {
		head = headTimeout
	}
	e := &env{T: t, harness: h, driver: d, world: NewWorld(), transport: h.New(), net: n, head: head, heartbeat: o.Heartbeat}
	o.Directory, o.Backlog, o.Receipts = e.world, e.world, e.world
	eng := e.engine()
	if eng != nil {
		o.Driver = eng
	}
	e.hub = live.NewHub(o)
	var wg sync.WaitGroup
	stop := e.serve(&wg, eng)
	wg.Go(func() {
		if err := e.hub.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		e.hub.Close()
		stop()
		wg.Wait()
		if eng != nil {
			eng.Close()
		}
	})
	// Until the hub runs: a case may end without a word to it.
	if e.inMemory() {
		synctest.Wait()
	} else {
		e.awaitHub()
	}
	return e
}

// engine makes the engine of the driver; nil for the portable one.
func (e *env) engine() *engine.Engine {
	if e.driver == Portable {
		return nil
	}
	k := engine.NewMemory()
	if !e.inMemory() {
		var err error
		if k, err = engine.NewKernel(); err != nil {
			e.Fatal(err)
		}
	}
	eng, err := engine.New(k, engine.Config{Loops: 2})
	if err != nil {
		e.Fatal(err)
	}
	return eng
}

// witness is a connection that tells when the server closes it.
type witness struct {
	closed chan struct{}
	once   sync.Once
}

func (*witness) Send(live.Frame) error { return nil }
func (w *witness) Close(live.Reason)   { w.once.Do(func() { close(w.closed) }) }

// awaitHub has a token refused, which a hub does that runs.
func (e *env) awaitHub() {
	w := &witness{closed: make(chan struct{})}
	s := e.hub.Attach(e.transport, w, false)
	_ = s.Hello(live.Hello{Token: "token-of-nobody"})
	<-w.closed
}

// serve serves the transport until stop is called.
func (e *env) serve(wg *sync.WaitGroup, eng *engine.Engine) (stop func()) {
	switch t := e.transport.(type) {
	case live.Server:
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			serve := live.Serve
			if eng != nil {
				serve = eng.Serve
			}
			if err := serve(ctx, listener(e.net), e.hub, t); err != nil {
				e.Error(err)
			}
		})
		return cancel
	case live.Endpoint:
		mux := http.NewServeMux()
		live.Mount(mux, e.hub, t)
		routes(mux)
		srv := &http.Server{Handler: mux, ReadHeaderTimeout: e.head, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHead}
		wg.Go(func() {
			if e.driver == Engine {
				err := eng.ServeHTTP(listener(e.net), srv, map[string][]string{http.MethodGet: {t.Path(), echoPath}})
				if !errors.Is(err, http.ErrServerClosed) {
					e.Errorf("serving: %v", err)
				}
			} else {
				_ = srv.Serve(listener(e.net))
			}
		})
		return func() {
			_ = srv.Close()
			if e.inMemory() {
				time.Sleep(time.Second) // net/http lingers over a connection whose request it has refused
			}
		}
	}
	e.Fatalf("%T is neither a live.Endpoint nor a live.Server", e.transport)
	return nil
}

// inMemory tells whether the clock is the test's own.
func (e *env) inMemory() bool {
	_, mem := e.net.(*pipes)
	return mem
}
