package livetest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// socketCell is a case over real sockets, where the kernel keeps what nobody
// reads and the clock is everybody's. Nothing in it is timed: a case waits for
// what has to come, and fails when that has not come within minutes.
type socketCell struct {
	cell
	head time.Duration // for a request head; 0 is as in the product
	long bool          // it waits for time-outs, so it runs beside the others
}

// shortTimes are the least that the hub's clock can tell apart by some way.
var shortTimes = live.Options{Heartbeat: time.Second, Timeout: 2 * time.Second}

func socketCells() []socketCell {
	with := func(o live.Options, change func(*live.Options)) live.Options {
		change(&o)
		return o
	}
	one := with(shortTimes, func(o *live.Options) { o.MaxConnections = 1 })
	hasty := with(one, func(o *live.Options) { o.HelloTimeout = time.Second })
	small := with(shortTimes, func(o *live.Options) { o.SessionQueue = 64 << 10 })
	return []socketCell{
		{cell: cell{name: "live in order", run: liveInOrder, opts: live.Options{SessionQueue: 8 << 10}}},
		{cell: cell{name: "replay and live joined", run: interleaves, opts: live.Options{SessionQueue: 8 << 10}}},
		{cell: cell{name: "an opening cut at every byte", run: cutOpenings}},
		{cell: cell{name: "a frame cut at every byte", run: cutFrames, needs: []need{sends}}},
		{cell: cell{name: "frames in the packet of the opening", run: earlyFrames, needs: []need{sends}}},
		{cell: cell{name: "bytes in the packet of the request", run: earlyBytes, needs: []need{request, lasts}}},
		{cell: cell{name: "two requests in a packet", run: earlyRequest, needs: []need{polls}}},
		{cell: cell{name: "request heads", run: heads, needs: []need{head}}},
		{cell: cell{name: "a request with a body", run: refusesBody, needs: []need{head, lasts}}},
		{cell: cell{name: "resets during a broadcast", run: resetsInBroadcast}},
		{cell: cell{name: "many who come and go at once", run: comeAndGoAtOnce}},
		{cell: cell{name: "no descriptors left", run: noDescriptors}},
		{cell: cell{name: "a head byte by byte", run: dribblesHead, needs: []need{head}}, head: time.Second, long: true},
		{cell: cell{name: "a hello byte by byte", run: dribblesHello, opts: hasty, needs: []need{sends, frames}}, long: true},
		{cell: cell{name: "a client that is silent", run: silentOverSockets, opts: one, needs: []need{speaks}}, long: true},
		{cell: cell{name: "a client that has vanished", run: vanishes, opts: one, needs: []need{lasts}}, long: true},
		{cell: cell{name: "a window that stays shut", run: zeroWindow, opts: small, needs: []need{lasts}}, long: true},
	}
}

// overSockets runs them, those that wait side by side: however few may run in
// parallel, waiting takes no processor.
func overSockets(t *testing.T, h Harness, d Driver) {
	s := shapeOf(h)
	var long sync.WaitGroup
	defer long.Wait()
	for _, c := range socketCells() {
		run := func() {
			t.Run(c.name, func(t *testing.T) {
				if why := c.absent(s); why != "" {
					t.Log("does not apply: " + why)
					return
				}
				c.run(newEnvFor(t, h, d, c.opts, newSocketNet(t), c.head))
			})
		}
		if c.long {
			long.Go(run)
		} else {
			run()
		}
	}
}

// over opens a session over a connection that is there.
func (e *env) over(conn net.Conn, d Dial) (*client, error) {
	d.Conn, d.Path, d.Heartbeat = conn, e.path(), e.heartbeat
	c, err := e.harness.Dial(context.Background(), d)
	return &client{c, e, conn}, err
}

// socket dials, and closes what is dialled when the test ends.
func (e *env) socket() *net.TCPConn {
	e.Helper()
	conn, err := e.net.dial()
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// reset ends a connection with a reset instead of an end of its data.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// calm is a client that nothing which happens to others may disturb. What it
// gives checks that, hangs up, and waits until the server has let go of every
// connection that there was.
func (e *env) calm() (done func()) {
	e.Helper()
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	return func() {
		e.Helper()
		c.expectMessages(e.push(Send{Content: Text("calm"), To: []Member{m}}))
		_ = c.conn.Close()
		e.empties()
	}
}

// empties waits until no connection is left. The server takes no more then.
func (e *env) empties() {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.hub.Drain(ctx); err != nil {
		e.Fatalf("connections are left: %v", err)
	}
	if n := e.hub.Count(App); n != 0 {
		e.Fatalf("%d sessions are left", n)
	}
}

// cutter is a connection that lets so many bytes of the client through, and
// then ends: with a reset, or with the end of its data.
type cutter struct {
	*net.TCPConn
	reset bool
	done  chan struct{} // closed when it has been cut

	mu   sync.Mutex // guards what follows
	left int
	sent int
}

func newCutter(conn *net.TCPConn, left int, reset bool) *cutter {
	return &cutter{TCPConn: conn, left: left, reset: reset, done: make(chan struct{})}
}

var errCut = errors.New("livetest: the connection was cut")

// Write takes what is left, and cuts behind it.
func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return 0, errCut
	}
	n := min(c.left, len(b))
	c.left -= n
	c.sent += n
	if n > 0 {
		if _, err := c.TCPConn.Write(b[:n]); err != nil {
			c.cut() // the server was first
			return 0, err
		}
	}
	if c.left == 0 {
		c.cut()
	}
	if n < len(b) {
		return n, errCut
	}
	return n, nil
}

// cut ends the connection; c.mu is held.
func (c *cutter) cut() {
	c.left = -1
	if c.reset {
		reset(c.TCPConn)
	} else {
		_ = c.CloseWrite()
	}
	close(c.done)
}

// now cuts if that has not happened.
func (c *cutter) now() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left >= 0 {
		c.cut()
	}
}

// after cuts after so many bytes more.
func (c *cutter) after(left int, reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.reset, c.sent = left, reset, 0
}

// count is how many bytes went through since the last call of after.
func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// tail is a connection that adds bytes to the first that the client writes, its
// opening, in the same packet.
type tail struct {
	net.Conn
	opened chan struct{} // closed when the opening is out
	mu     sync.Mutex    // guards what follows
	extra  []byte
	sent   []byte // all that went out
}

func newTail(conn net.Conn, extra []byte) *tail {
	return &tail{Conn: conn, opened: make(chan struct{}), extra: extra}
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sent) == 0 {
		defer close(t.opened)
	}
	out := append(b[:len(b):len(b)], t.extra...)
	t.extra = nil
	t.sent = append(t.sent, out...)
	_, err := t.Conn.Write(out)
	return len(b), err
}

// bytes is all that went out so far.
func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.sent)
}

func asTCP(c net.Conn) *net.TCPConn { return c.(*net.TCPConn) }

func containsID(body []byte, id herald.MessageID) bool {
	return bytes.Contains(body, []byte(`"`+id.String()+`"`))
}
