package live

import (
	"net"
	"net/http"
	"time"
)

// Driver drives connections in place of the two goroutines that each has
// otherwise. It keeps what [Handler] and [Conn] promise, and calls Place.Leave
// when a connection is gone.
type Driver interface {
	// Adopt takes over a socket that has left net/http. early is what has been
	// read from it already, head what is to be written first. It answers false,
	// and has done nothing, if it cannot drive such a socket.
	Adopt(socket net.Conn, early, head []byte, h Handler, p *Place) bool
}

// Portable is the driver of any socket and any system: each connection has two
// goroutines, one that reads and one that writes.
type Portable struct{}

// Adopt takes over any socket: see [Driver].
func (Portable) Adopt(socket net.Conn, early, head []byte, h Handler, p *Place) bool {
	c := newConn(p.hub, h, &socketLink{Early{socket, early}})
	c.place = p
	go func() { // the hub waits for it: see Admit and Leave
		defer p.Leave()
		c.serve(head)
	}()
	return true
}

// Taker is an add-on of the http.ResponseWriter of a Driver that reads requests
// itself.
type Taker interface {
	// Take makes the connection of the request one of a handler, after head is
	// written. The ResponseWriter is not used after it.
	Take(head []byte, h Handler, p *Place)
}

// Holder is an add-on of an http.ResponseWriter whose answer may be written
// after ServeHTTP has returned.
type Holder interface {
	// Hold keeps the request open until it is answered, with what the header of
	// the answer has by now. The ResponseWriter is not used after it.
	Hold(h Held) Pending
}

// Held is who has to answer a request that is held.
type Held interface {
	// Gone is called, from any goroutine, when the client goes before there is an
	// answer. There has to be one then too.
	Gone()
}

// Pending is a request that is held.
type Pending interface {
	// Run has a function run on one of few goroutines, which is where an answer
	// is to be written: there may be thousands at a time.
	Run(f func())
	// Answer ends the request with what is written; it is called once.
	Answer(write func(http.ResponseWriter))
}

// CloseWithin is how long what is queued may take when a connection is closed;
// LingerFor is how long the peer's end is waited for after ours.
const (
	CloseWithin = closeWithin
	LingerFor   = lingerFor
)

// HasRoom tells whether a connection for which queued bytes wait may take n
// more: by its own queue and by the memory for all.
func (h *Hub) HasRoom(queued, n int) bool {
	return queued == 0 || queued+n <= h.opts.SessionQueue && h.queued.Load()+int64(n) <= h.opts.QueueMemory
}

// Queued counts n more bytes that wait on connections, or fewer, and gives how
// many there are.
func (h *Hub) Queued(n int) int64 { return h.queued.Add(int64(n)) }

// Halved tells whether a queue that was full has drained so far that
// Handler.Writable is to be called.
func (h *Hub) Halved(queued int) bool { return queued <= h.opts.SessionQueue/2 }

// WriteTimeout is how long a connection may take nothing of what waits for it.
// It is longer than the session's own limit for a full queue, which can give
// the client a reason.
func (h *Hub) WriteTimeout() time.Duration { return h.opts.Timeout + closeWithin }
