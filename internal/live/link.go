package live

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// link is what a conn reads from and writes to: a socket that was taken from
// net/http, or one stream of HTTP/2.
type link interface {
	io.Reader
	// write writes all the frames; one call at a time.
	write(frames []Frame) error
	SetWriteDeadline(time.Time) error
	// finish tells the peer that nothing more comes, and reports whether it is
	// worth waiting for its answer, at most until the time given.
	finish(until time.Time) bool
	// close frees the socket; reads and writes end. It may be called again.
	close()
}

// Early is a socket of which somebody has read something already.
type Early struct {
	net.Conn
	Bytes []byte // what was read, and is to be read first
}

// Read gives first what was read before.
func (e *Early) Read(p []byte) (int, error) {
	if len(e.Bytes) > 0 {
		n := copy(p, e.Bytes)
		if e.Bytes = e.Bytes[n:]; len(e.Bytes) == 0 {
			e.Bytes = nil
		}
		return n, nil
	}
	return e.Conn.Read(p)
}

// socketLink is a socket, of which net/http may have read something.
type socketLink struct{ Early }

// bareTCP is the socket that writes go to as they are: of a connection of TCP,
// or of one that began with a PROXY header, which changes nothing of what
// follows it. It is nil for TLS.
func bareTCP(c net.Conn) *net.TCPConn {
	switch c := c.(type) {
	case *net.TCPConn:
		return c
	case interface{ TCPConn() (*net.TCPConn, bool) }:
		tcp, _ := c.TCPConn()
		return tcp
	}
	return nil
}

// write joins the frames: in one call of writev where the socket can, else in
// one buffer, so that TLS makes few records of them.
func (l *socketLink) write(frames []Frame) error {
	if len(frames) == 1 {
		_, err := l.Conn.Write(frames[0])
		return err
	}
	if tcp := bareTCP(l.Conn); tcp != nil {
		list := make(net.Buffers, len(frames))
		for i, f := range frames {
			list[i] = f
		}
		_, err := list.WriteTo(tcp)
		return err
	}
	_, err := l.Conn.Write(join(frames))
	return err
}

// finish half-closes, so that what the client still sends does not make the
// kernel reset the connection before our last bytes are read (RFC 9112
// section 9.6).
func (l *socketLink) finish(until time.Time) bool {
	half, ok := l.Conn.(interface{ CloseWrite() error })
	if tcp := bareTCP(l.Conn); !ok && tcp != nil {
		half, ok = tcp, true
	}
	return ok && half.CloseWrite() == nil && l.SetReadDeadline(until) == nil
}

func (l *socketLink) close() { _ = l.Conn.Close() }

func join(frames []Frame) []byte {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	out := make([]byte, 0, n)
	for _, f := range frames {
		out = append(out, f...)
	}
	return out
}

// streamLink is the answer to a request that stays in net/http.
type streamLink struct {
	ctx  context.Context // of the request
	gone chan struct{}

	mu sync.Mutex // guards closed, and that w and rc are not used after it
	w  http.ResponseWriter
	rc *http.ResponseController

	closed bool
}

func newStreamLink(w http.ResponseWriter, rc *http.ResponseController, r *http.Request) *streamLink {
	return &streamLink{ctx: r.Context(), gone: make(chan struct{}), w: w, rc: rc}
}

// Read waits for the end: a GET has no body, so nothing comes.
func (l *streamLink) Read([]byte) (int, error) {
	select {
	case <-l.ctx.Done():
	case <-l.gone:
	}
	return 0, io.EOF
}

func (l *streamLink) write(frames []Frame) error {
	if _, err := l.w.Write(join(frames)); err != nil {
		return err
	}
	return l.rc.Flush()
}

func (l *streamLink) SetWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	return l.rc.SetWriteDeadline(t)
}

// finish ends the stream in order: the writer is done, and the handler returns.
// The deadline of close would reset it (RFC 9113 section 8.1), and the client
// would take a whole answer for a broken one.
func (l *streamLink) finish(time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.gone)
	}
	return true
}

// close makes a blocked write fail; the conn waits for its writer before the
// response may no longer be used.
func (l *streamLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		_ = l.rc.SetWriteDeadline(time.Now())
		close(l.gone)
	}
}
