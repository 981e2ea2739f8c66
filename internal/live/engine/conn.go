package engine

import (
	"errors"
	"io"
	"sync"

	"github.com/herald-push/herald/internal/live"
)

// conn is one socket. It is the Conn of a session, or that of a request.
type conn struct {
	loop    *loop
	handler live.Handler // guarded by handling
	place   *live.Place  // of a live connection; guarded by handling until it is set
	fd      int32

	// What follows the descriptor is guarded by mu, but over by handling.
	dirty   bool // on the loop's list
	writing bool // somebody has claimed it; until wrote the descriptor stays, and nobody else writes
	blocked bool // there is no room to write
	full    bool // Send has answered ErrFull
	closing bool // no more is taken
	last    bool // the farewell is queued; then the end
	shut    bool // the peer was told that nothing more comes
	dead    bool // nothing is written any more
	freed   bool // the descriptor is to be closed as soon as nobody writes
	deaf    bool // nothing is read for now
	over    bool // Closed was called

	disliked bool // the handler has ended it

	handling sync.Mutex // makes the calls of the handler one at a time

	mu      sync.Mutex
	first   live.Frame // of the queue; nil if it is empty
	rest    []live.Frame
	bytes   int32 // of the queue
	counted int32 // of these, in the hub's count
}

// errDisliked is the end of one whose client has sent what its handler does not
// take.
var errDisliked = errors.New("engine: what the client sent was not taken")

// errAborted is the end of a connection that nobody but the server wanted.
var errAborted = errors.New("engine: the connection was cut")

// Place is that of a live connection: see live.Admitted.
func (c *conn) Place() *live.Place { return c.place }

// Send queues a frame: see live.Conn.
func (c *conn) Send(f live.Frame) error {
	c.mu.Lock()
	if c.closing || c.dead {
		c.mu.Unlock()
		return live.ErrClosed
	}
	if c.bytes > 0 && !c.place.Hub().HasRoom(int(c.bytes), len(f)) {
		c.full = true
		c.mu.Unlock()
		return live.ErrFull
	}
	late := c.append(f)
	c.mu.Unlock()
	if late {
		c.loop.later(c)
	}
	return nil
}

// append queues a frame and reports whether the connection is to be put on the
// list of the writer; mu is held.
func (c *conn) append(f live.Frame) bool {
	if len(f) > 0 {
		if c.first == nil {
			c.first = f
		} else {
			c.rest = append(c.rest, f)
		}
		c.bytes += int32(len(f))
		c.count()
	}
	return c.mark()
}

func (c *conn) mark() bool {
	if c.dirty || c.blocked || c.dead || c.writing { // who writes looks again when it has
		return false
	}
	c.dirty = true
	return true
}

// count keeps the hub's count of what waits. A single frame that leaves at once
// is not worth it.
func (c *conn) count() {
	if c.place == nil {
		return
	}
	waits := int32(0)
	if c.blocked || len(c.rest) > 0 {
		waits = c.bytes
	}
	if waits != c.counted {
		c.place.Hub().Queued(int(waits - c.counted))
		c.counted = waits
	}
}

// Close ends the connection after what is queued: see live.Conn.
func (c *conn) Close(why live.Reason) {
	c.mu.Lock()
	if c.closing || c.dead {
		c.mu.Unlock()
		return
	}
	c.closing = true
	c.mu.Unlock()
	c.loop.due.set(c, waitWrite, live.CloseWithin)
	var bye live.Frame
	if f, ok := c.handler.(live.Farewell); ok {
		bye = f.Farewell(why)
	}
	c.finish(bye)
}

// finish queues the last frame.
func (c *conn) finish(bye live.Frame) {
	c.mu.Lock()
	c.closing, c.last = true, true
	late := c.append(bye)
	c.mu.Unlock()
	if late {
		c.loop.later(c)
	}
}

// raw queues what is no frame of a session, whatever room there is.
func (c *conn) raw(b []byte) {
	c.mu.Lock()
	late := !c.closing && c.append(b)
	c.mu.Unlock()
	if late {
		c.loop.later(c)
	}
}

// abort cuts the connection. The loop's reader ends it, because it may be about
// to read: until then the descriptor must not be anybody else's.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
}

// cut is abort; mu is held.
func (c *conn) cut() {
	if !c.dead {
		c.dead = true
		c.drop()
	}
	if !c.freed {
		c.loop.kernel.Cut(int(c.fd))
	}
}

// drop gives up what is queued; mu is held.
func (c *conn) drop() {
	c.first, c.rest, c.bytes = nil, nil, 0
	c.count()
}

// claim lists what waits, to be written by who calls it; then comes wrote, also
// if nothing waits: until then the descriptor stays what it is. It reports false
// if there is nothing to be done.
func (c *conn) claim(frames [][]byte) ([][]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty = false
	if c.dead || c.blocked {
		return frames, false
	}
	c.writing = true
	return c.pending(frames), true
}

// flush writes what waits, as far as there is room. It gives the slice of
// frames back for the next call.
func (c *conn) flush(frames [][]byte) [][]byte {
	frames, ok := c.claim(frames[:0])
	if !ok {
		return frames
	}
	n, err := 0, error(nil)
	if len(frames) > 0 {
		n, err = c.loop.kernel.Write(int(c.fd), frames)
		clear(frames)
	}
	c.wrote(n, err)
	return frames
}

// pending lists what may be written at once; mu is held.
func (c *conn) pending(frames [][]byte) [][]byte {
	if c.first == nil {
		return frames
	}
	frames = append(frames, c.first)
	n := len(c.first)
	for _, f := range c.rest {
		if n += len(f); n > batchBytes {
			break
		}
		frames = append(frames, f)
	}
	return frames
}

// wrote notes what came of a write.
func (c *conn) wrote(n int, err error) {
	c.mu.Lock()
	c.writing = false
	if c.freed {
		c.loop.kernel.Close(int(c.fd))
		c.mu.Unlock()
		return
	}
	late := false
	if !c.dead {
		c.consume(n)
		late = c.goOn(err)
	}
	tell := n > 0 && c.full && !c.closing && !c.dead && c.place.Hub().Halved(int(c.bytes))
	if tell {
		c.full = false
	}
	drained := c.bytes == 0 && c.place == nil
	c.mu.Unlock()
	if late {
		c.loop.later(c)
	}
	switch {
	case tell:
		c.writable()
	case drained:
		c.handleDrained()
	}
}

// consume takes what was written off the queue; mu is held.
func (c *conn) consume(n int) {
	c.bytes -= int32(n)
	i := 0
	for n > 0 {
		if n < len(c.first) {
			c.first = c.first[n:]
			break
		}
		n -= len(c.first)
		c.first = nil
		if i < len(c.rest) {
			c.first = c.rest[i]
			c.rest[i] = nil
			i++
		}
	}
	if c.rest = c.rest[i:]; len(c.rest) == 0 {
		c.rest = nil
	}
	c.count()
}

// goOn decides what comes after a write, and reports whether the writer is to
// come again; mu is held.
func (c *conn) goOn(err error) bool {
	switch {
	case errors.Is(err, ErrAgain):
		c.blocked = true
		c.count()
		_ = c.loop.poller.Watch(int(c.fd), !c.deaf, true)
		if !c.closing {
			c.loop.due.set(c, waitWrite, c.loop.engine.writeTimeout(c.place))
		}
	case err != nil:
		c.cut()
	case c.bytes > 0:
		return c.mark()
	case c.last && !c.shut:
		c.shut = true
		if c.loop.kernel.Shutdown(int(c.fd)) != nil {
			c.cut()
			return false
		}
		c.loop.due.set(c, waitWrite, live.LingerFor)
	}
	return false
}

// unblock says that there is room to write again.
func (c *conn) unblock() {
	c.mu.Lock()
	late := false
	if c.blocked {
		c.blocked = false
		_ = c.loop.poller.Watch(int(c.fd), !c.deaf, false)
		if !c.closing {
			c.loop.due.clear(c, waitWrite)
		}
		late = c.mark()
	}
	speaks := c.place == nil
	c.mu.Unlock()
	if late {
		c.loop.later(c)
	}
	if speaks {
		c.handleRoom()
	}
}

func (c *conn) writable() {
	c.handling.Lock()
	defer c.handling.Unlock()
	if !c.over && !c.ignores() {
		c.handler.Writable()
	}
}

// ignores reports whether the handler is to be told nothing more but the end.
func (c *conn) ignores() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing || c.dead
}

// readable brings what has come to the handler. Only the loop's reader calls it.
func (c *conn) readable(buf []byte) {
	n, err := c.loop.kernel.Read(int(c.fd), buf)
	switch {
	case errors.Is(err, ErrAgain):
		return
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		if c.data(buf[:n]) != nil {
			c.hangUp()
		}
		return
	}
	c.end(err)
}

// hangUp ends the connection after what is queued, without a word, because its
// handler did not like what came. Until the peer's end its bytes are read: a
// socket that is closed with bytes unread takes back what was sent.
func (c *conn) hangUp() {
	c.mu.Lock()
	c.disliked = true
	c.mu.Unlock()
	c.loop.due.set(c, waitWrite, live.CloseWithin)
	c.finish(nil)
}

func (c *conn) data(b []byte) error {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.ignores() {
		return nil
	}
	return c.handler.Data(b)
}

// end ends the connection: the socket is gone. Only the loop's reader calls it.
func (c *conn) end(err error) {
	c.mu.Lock()
	switch {
	case c.disliked:
		err = errDisliked
	case c.dead:
		err = errAborted
	}
	c.dead = true
	c.drop()
	c.loop.take(int(c.fd))
	c.freed = true
	if c.writing { // wrote closes it; until then the poller would tell of its end again and again
		_ = c.loop.poller.Remove(int(c.fd))
	} else {
		c.loop.kernel.Close(int(c.fd))
	}
	c.mu.Unlock()
	c.loop.due.forget(c)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	c.closed(err)
	c.loop.engine.gone()
}

// closed tells the handler, and leaves the hub.
func (c *conn) closed(err error) {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.over = true
	c.handler.Closed(err)
	if c.place != nil {
		c.place.Leave()
	}
}

// deafen stops or begins again to read.
func (c *conn) deafen(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf != deaf && !c.freed {
		c.deaf = deaf
		_ = c.loop.poller.Watch(int(c.fd), !deaf, c.blocked)
	}
}

// room asks for news of when there is room to write, which for a connection
// that speaks HTTP is when it may leave.
func (c *conn) room() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.freed && !c.blocked {
		c.blocked = true
		_ = c.loop.poller.Watch(int(c.fd), !c.deaf, true)
	}
}

// owes is how many bytes wait to be written.
func (c *conn) owes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.bytes)
}

// release takes a connection off the loop, with its descriptor still open. It
// reports false if something waits to be written, or it is at its end.
func (c *conn) release() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing || c.writing || c.bytes > 0 {
		return false
	}
	c.dead, c.freed = true, true
	c.loop.take(int(c.fd))
	c.loop.due.forget(c)
	return c.loop.poller.Remove(int(c.fd)) == nil
}

// handleDrained says that all is written of a connection that speaks HTTP.
func (c *conn) handleDrained() {
	c.handling.Lock()
	defer c.handling.Unlock()
	w, ok := c.handler.(*web)
	switch {
	case !ok || c.over:
	case w.leaves:
		c.room()
	case w.paused:
		w.answered()
	}
}

// handleRoom lets a connection leave that speaks HTTP; the loop's reader calls it.
func (c *conn) handleRoom() {
	c.handling.Lock()
	w, ok := c.handler.(*web)
	c.handling.Unlock()
	if ok {
		w.detach()
	}
}
