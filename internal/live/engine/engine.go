package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// Config configures an engine. Its zero value is the default.
type Config struct {
	// Loops is how many loops there are; default one for each processor that Go
	// uses.
	Loops int
	// NoBatches writes to one socket at a time, also where the kernel can write
	// to many at once.
	NoBatches bool
	// Log is told of what goes wrong; default: nobody.
	Log *slog.Logger
}

// Engine drives connections: it is a live.Driver. Its methods may be called
// from any goroutine.
type Engine struct {
	kernel Kernel
	loops  []*loop
	log    *slog.Logger
	turn   atomic.Uint32
	rounds atomic.Int32 // in which calls are served on loops

	mu    sync.Mutex // guards what follows
	conns int
	over  bool
	empty chan struct{} // closed when the last connection is gone after Close
}

// New starts the loops. The error says why they cannot be had.
func New(k Kernel, c Config) (*Engine, error) {
	if c.Loops <= 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{kernel: k, log: c.Log, empty: make(chan struct{})}
	for range c.Loops {
		l, err := newLoop(e, e.newBatch(c))
		if err != nil {
			e.stop()
			return nil, fmt.Errorf("engine: starting a loop: %w", err)
		}
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// newBatch makes what a loop writes with to many sockets; nil if that is not to
// be had, which is said once.
func (e *Engine) newBatch(c Config) Batch {
	k, ok := e.kernel.(Batcher)
	if !ok || c.NoBatches {
		return nil
	}
	b, err := k.NewBatch()
	if err != nil {
		if len(e.loops) == 0 {
			e.log.Info("sockets are written to one by one", "reason", err)
		}
		return nil
	}
	return b
}

// Close cuts the connections that are left, and ends the loops.
func (e *Engine) Close() {
	e.mu.Lock()
	first := !e.over
	e.over = true
	if first && e.conns == 0 {
		close(e.empty)
	}
	e.mu.Unlock()
	for _, l := range e.loops {
		for _, c := range l.list() {
			c.abort()
		}
	}
	<-e.empty
	if first {
		e.stop()
	}
}

func (e *Engine) stop() {
	for _, l := range e.loops {
		l.close()
	}
}

// came counts a connection; false if the engine is at its end.
func (e *Engine) came() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return false
	}
	e.conns++
	return true
}

// gone is called when a connection has ended or left.
func (e *Engine) gone() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns--; e.conns == 0 && e.over {
		close(e.empty)
	}
}

// conn makes a connection of a descriptor; nil, and the descriptor is closed,
// if the engine is at its end.
func (e *Engine) conn(fd int) *conn {
	if !e.came() {
		e.kernel.Close(fd)
		return nil
	}
	l := e.loops[int(e.turn.Add(1))%len(e.loops)]
	return &conn{loop: l, fd: int32(fd)}
}

// start begins to read. From here on the connection ends by its loop.
func (c *conn) start() {
	c.loop.put(c)
	if err := c.loop.poller.Add(int(c.fd)); err != nil {
		c.loop.engine.log.Error("a connection cannot be watched", "error", err)
		c.end(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocked && !c.freed { // what was written before found no room
		_ = c.loop.poller.Watch(int(c.fd), !c.deaf, true)
	}
}

// writeTimeout is how long a connection may take nothing of what waits for it.
func (e *Engine) writeTimeout(p *live.Place) time.Duration {
	if p == nil {
		return time.Minute
	}
	return p.Hub().WriteTimeout()
}

// Adopt takes over the socket of a connection: see live.Driver.
func (e *Engine) Adopt(socket net.Conn, early, head []byte, h live.Handler, p *live.Place) bool {
	fd, ok := e.kernel.Own(socket)
	if !ok {
		return false
	}
	c := e.conn(fd)
	if c == nil {
		h.Closed(errAborted)
		p.Leave()
		return true
	}
	c.handling.Lock()
	c.enter(head, early, h, p)
	c.handling.Unlock()
	c.start()
	return true
}

// accept gives each connection to begin, until over is closed, and the acceptor
// with it, or it fails.
func (e *Engine) accept(over <-chan struct{}, a Acceptor, begin func(*conn, netip.AddrPort)) error {
	for wait := time.Duration(0); ; {
		fd, from, err := a.Accept()
		switch {
		case err == nil:
			wait = 0
			if c := e.conn(fd); c != nil {
				begin(c, from)
			}
		case errors.Is(err, ErrFull):
			// Those that are connected go on; new ones are cut until one has gone.
			if wait == 0 {
				e.log.Warn("no file descriptor is left for a new connection; raise the limit of open files (ulimit -n)")
			}
			wait = min(max(5*time.Millisecond, 2*wait), time.Second)
			select {
			case <-time.After(wait):
			case <-over:
			}
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			return fmt.Errorf("engine: accepting: %w", err)
		}
	}
}

// Serve accepts the connections of a transport with a port of its own until ctx
// ends or the listener fails, and closes the listener: see live.Serve, which
// does it for a listener that is none of the kernel's own.
func (e *Engine) Serve(ctx context.Context, l net.Listener, hub *live.Hub, t live.Server) error {
	a, ok := e.kernel.Listen(l)
	if !ok {
		return live.Serve(ctx, l, hub, t)
	}
	stop := context.AfterFunc(ctx, func() { _ = a.Close() })
	defer func() {
		stop()
		_ = a.Close()
	}()
	refusals := make(chan struct{}, maxRefusals)
	err := e.accept(ctx.Done(), a, func(c *conn, from netip.AddrPort) {
		p, refused := hub.Admit()
		if refused == nil {
			if refused = p.Arrive(from.Addr()); refused != nil {
				p.Leave()
			}
		}
		if refused != nil {
			c.refuse(t.Refusal(live.RefusalOf(refused)), refusals)
			return
		}
		c.handling.Lock()
		c.enter(nil, nil, t.NewHandler(hub), p)
		c.handling.Unlock()
		c.start()
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// maxRefusals is how many connections are told at once why they are refused;
// further ones are cut without a word.
const maxRefusals = 64

// refusal is the handler of a connection that is told why it may not stay.
type refusal struct{ places chan struct{} }

func (refusal) Open(live.Conn)    {}
func (refusal) Data([]byte) error { return nil }
func (refusal) Writable()         {}
func (r refusal) Closed(error)    { <-r.places }

func (c *conn) refuse(word []byte, places chan struct{}) {
	select {
	case places <- struct{}{}:
	default:
		c.loop.kernel.Close(int(c.fd))
		c.loop.engine.gone()
		return
	}
	c.handler = refusal{places}
	c.start()
	c.loop.due.set(c, waitWrite, live.LingerFor)
	c.finish(word)
}

var _ live.Driver = (*Engine)(nil)
