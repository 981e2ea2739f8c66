package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// bodyTime is how long a body may take to come, whole.
const bodyTime = 30 * time.Second

// front accepts the connections of a port that speaks HTTP.
type front struct {
	engine  *Engine
	handler http.Handler
	hot     paths
	waits   []string // paths
	log     *slog.Logger

	headTime, bodyTime, idleTime time.Duration

	live, calls *workers
	waiting     *workers // of requests to waits
	stopping    atomic.Bool
	serving     sync.WaitGroup // requests, the held ones too

	mu    sync.Mutex
	conns map[*web]struct{} // that wait for a request or are being served

	others chan net.Conn // for net/http
	over   chan struct{}
	once   sync.Once
	under  net.Listener
	from   Acceptor
}

// ServeHTTP serves a listener for a server of net/http, until the listener or
// the server is closed. Requests with these methods and paths are served on the
// loops; their ResponseWriter has the add-ons [live.Taker] and [live.Holder].
// They have to be short: the whole answer is kept in memory. Every other
// connection is served by the server itself. The error is that of
// http.Server.Serve.
//
// To become a live connection is over in a moment. A GET of one of the paths in
// waits may wait for the record first, and the others do not wait for it.
//
// A listener that is not the kernel's own is served by net/http alone.
func (e *Engine) ServeHTTP(l net.Listener, srv *http.Server, hot map[string][]string, waits ...string) error {
	a, ok := e.kernel.Listen(l)
	if !ok {
		return srv.Serve(l)
	}
	f := &front{
		engine: e, handler: srv.Handler, hot: hot, waits: waits, log: e.log, under: l, from: a,
		headTime: srv.ReadHeaderTimeout, bodyTime: bodyTime, idleTime: srv.IdleTimeout,
		live: newWorkers(liveWorkers, true), calls: newWorkers(callWorkers, false), waiting: newWorkers(liveWorkers, true),
		conns: map[*web]struct{}{}, others: make(chan net.Conn), over: make(chan struct{}),
	}
	accepted := make(chan error, 1)
	go func() { accepted <- f.accept() }()
	err := srv.Serve(f)
	_ = f.Close()
	if e := <-accepted; e != nil && errors.Is(err, net.ErrClosed) {
		err = e
	}
	f.serving.Wait()
	f.live.close()
	f.calls.close()
	f.waiting.close()
	return err
}

func (f *front) accept() error {
	err := f.engine.accept(f.over, f.from, f.begin)
	_ = f.Close()
	return err
}

// begin waits for the first request of a connection.
func (f *front) begin(c *conn, from netip.AddrPort) {
	w := &web{c: c, front: f, from: from, first: true}
	c.handler = w
	f.mu.Lock()
	f.conns[w] = struct{}{}
	f.mu.Unlock()
	c.loop.due.set(c, waitRequest, f.headTime)
	c.start()
	if f.stopping.Load() {
		c.abort()
	}
}

func (f *front) forget(w *web) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, w)
}

// give hands a connection to net/http.
func (f *front) give(c net.Conn) {
	go func() {
		select {
		case f.others <- c:
		case <-f.over:
			_ = c.Close()
		}
	}()
}

// Accept gives net/http what is not served here.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.others:
		return c, nil
	case <-f.over:
		return nil, net.ErrClosed
	}
}

// Close ends the listener. Requests that are being served are finished, and
// their connections end then; those that wait for a request end now.
func (f *front) Close() error {
	err := net.ErrClosed
	f.once.Do(func() {
		f.stopping.Store(true)
		close(f.over)
		err = f.from.Close()
		f.mu.Lock()
		list := make([]*web, 0, len(f.conns))
		for w := range f.conns {
			list = append(list, w)
		}
		f.mu.Unlock()
		for _, w := range list {
			w.c.handling.Lock()
			waits := !w.busy && !w.taken && len(w.buf) == 0
			w.c.handling.Unlock()
			if waits {
				w.c.abort()
			}
		}
	})
	return err
}

// Addr is that of the listener.
func (f *front) Addr() net.Addr { return f.under.Addr() }

// left is a connection that has left the loop, with what was read of it.
type left struct{ live.Early }

// ReadFrom lets the kernel copy files to the socket.
func (l *left) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := l.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{l.Conn}, r)
}

// CloseWrite tells the client that nothing more comes.
func (l *left) CloseWrite() error {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("engine: half closing: %w", errors.ErrUnsupported)
}

// TCPConn is the bare socket: nothing that the loop has read changes what is
// written.
func (l *left) TCPConn() (*net.TCPConn, bool) {
	c, ok := l.Conn.(*net.TCPConn)
	return c, ok && len(l.Bytes) == 0
}
