package live

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	closeWithin = 5 * time.Second // for what is queued when a conn is closed
	lingerFor   = time.Second     // for the peer's end after ours
	headWithin  = 10 * time.Second
	batchBytes  = 64 << 10
	readBytes   = 4 << 10
)

// readBuffers holds buffers for reading; a conn has one while it lives.
var readBuffers = sync.Pool{New: func() any { return new([readBytes]byte) }}

// conn drives a Handler over a link with two goroutines, one that reads and
// one that writes. It is the Conn of the portable listener.
type conn struct {
	hub  *Hub
	link link
	wake chan struct{} // capacity 1: there is something for the writer

	place *Place // nil in tests

	handling sync.Mutex // makes the calls of the handler one at a time
	handler  Handler

	mu      sync.Mutex // guards what follows
	queue   []Frame
	bytes   int // of the queue and of what is being written
	full    bool
	closing bool      // no more is taken
	last    bool      // the farewell is queued; the writer may finish
	dead    bool      // reading or writing has failed
	closeBy time.Time // set with closing
}

func newConn(h *Hub, handler Handler, l link) *conn {
	return &conn{hub: h, link: l, handler: handler, wake: make(chan struct{}, 1)}
}

// Place is that of the connection: see Admitted.
func (c *conn) Place() *Place { return c.place }

// serve runs the connection until it is gone.
func (c *conn) serve(head []byte) {
	err := c.run(head)
	c.fail()
	c.link.close()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	c.handling.Lock()
	defer c.handling.Unlock()
	c.handler.Closed(err)
}

func (c *conn) run(head []byte) error {
	if s, ok := c.link.(*socketLink); ok {
		_ = s.SetReadDeadline(time.Time{}) // that of the HTTP server
	}
	if head != nil {
		_ = c.link.SetWriteDeadline(time.Now().Add(headWithin))
		if err := c.link.write([]Frame{head}); err != nil {
			c.open()
			return err
		}
	}
	c.open()
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	refused, err := c.read()
	if refused {
		// What was sent so far still goes out: a socket that is closed with
		// bytes unread takes it back.
		c.refuse()
		_, _ = c.read()
	}
	c.fail()
	c.link.close()
	<-written
	return err
}

// refuse ends the connection after what is queued, without a word.
func (c *conn) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.dead {
		return
	}
	c.closing, c.last, c.closeBy = true, true, time.Now().Add(closeWithin)
	_ = c.link.SetWriteDeadline(c.closeBy)
	c.signal()
}

func (c *conn) open() {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.handler.Open(c)
}

// read brings what comes to the handler, and throws it away once the
// connection is closing. It reports whether it was the handler that ended it.
func (c *conn) read() (refused bool, err error) {
	buf := readBuffers.Get().(*[readBytes]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := c.link.Read(buf[:])
		if n > 0 {
			if err := c.data(buf[:n]); err != nil {
				return true, err
			}
		}
		if err != nil {
			return false, err
		}
	}
}

func (c *conn) data(b []byte) error {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.mu.Lock()
	ignore := c.closing || c.dead
	c.mu.Unlock()
	if ignore {
		return nil
	}
	return c.handler.Data(b)
}

// Send queues a frame: see Conn.
func (c *conn) Send(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.dead {
		return ErrClosed
	}
	n := len(f)
	if !c.hub.HasRoom(c.bytes, n) {
		c.full = true
		return ErrFull
	}
	c.append(f)
	return nil
}

// append queues a frame; c.mu is held.
func (c *conn) append(f Frame) {
	c.queue = append(c.queue, f)
	c.bytes += len(f)
	c.hub.queued.Add(int64(len(f)))
	c.signal()
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close ends the connection after what is queued: see Conn.
func (c *conn) Close(why Reason) {
	c.mu.Lock()
	if c.closing || c.dead {
		c.mu.Unlock()
		return
	}
	c.closing, c.closeBy = true, time.Now().Add(closeWithin)
	_ = c.link.SetWriteDeadline(c.closeBy) // also for a write that is blocked now
	c.mu.Unlock()
	var bye Frame
	if f, ok := c.handler.(Farewell); ok {
		bye = f.Farewell(why)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(bye) > 0 && !c.dead {
		c.append(bye)
	}
	c.last = true
	c.signal()
}

// fail gives up what is queued; the writer ends.
func (c *conn) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, f := range c.queue {
		c.bytes -= len(f)
		c.hub.queued.Add(-int64(len(f)))
	}
	c.queue = nil
	c.signal()
}

// write writes what is queued until the connection has ended, then ends the
// link, so that the reader ends too.
func (c *conn) write() {
	for range c.wake {
		for {
			batch, n, done := c.take()
			if done {
				if !c.link.finish(time.Now().Add(lingerFor)) {
					c.link.close()
				}
				return
			}
			if n == 0 {
				break
			}
			err := c.link.write(batch)
			if writable := c.wrote(n); err != nil {
				c.fail()
				c.link.close()
				return
			} else if writable {
				c.writable()
			}
		}
	}
}

// take gives the next frames to be written together, and sets the time that
// they may take.
func (c *conn) take() (batch []Frame, n int, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || len(c.queue) == 0 {
		return nil, 0, c.dead || c.last
	}
	i := 0
	for i < len(c.queue) && (i == 0 || n+len(c.queue[i]) <= batchBytes) {
		n += len(c.queue[i])
		i++
	}
	batch = c.queue[:i:i]
	if c.queue = c.queue[i:]; len(c.queue) == 0 {
		c.queue = nil
	}
	by := c.closeBy
	if !c.closing {
		// Later than the session's own limit for a full queue, which can give
		// the client a reason.
		by = time.Now().Add(c.hub.opts.Timeout + closeWithin)
	}
	_ = c.link.SetWriteDeadline(by)
	return batch, n, false
}

// wrote frees the room of what was written, and reports whether the handler is
// to be told.
func (c *conn) wrote(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
	c.hub.queued.Add(-int64(n))
	tell := c.full && !c.closing && c.bytes <= c.hub.opts.SessionQueue/2
	if tell {
		c.full = false
	}
	return tell
}

func (c *conn) writable() {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.mu.Lock()
	ignore := c.closing || c.dead
	c.mu.Unlock()
	if !ignore {
		c.handler.Writable()
	}
}
