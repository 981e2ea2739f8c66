package engine

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"

	"github.com/herald-push/herald/internal/live"
)

// maxAhead is how much a client may send while its request is served; then
// nothing more is read until there is an answer.
const maxAhead = 64 << 10

// web is the handler of a connection that speaks HTTP. What follows front is
// guarded by the handling of its conn.
type web struct {
	c     *conn
	front *front

	from   netip.AddrPort
	buf    []byte // what has come of the next request
	busy   bool   // a request is being served
	first  bool   // no request has been served yet
	leaves bool   // what comes next is for net/http, when all is written
	taken  bool   // the connection has got another handler
	gone   func() // to be called when the client goes; nil if nobody asked
}

// Open does nothing: the client speaks first.
func (w *web) Open(live.Conn) {}

// Writable does nothing: what is not a frame of a session always has room.
func (w *web) Writable() {}

// Closed tells who holds the request.
func (w *web) Closed(error) {
	w.buf = nil
	w.front.forget(w)
	if w.gone != nil {
		w.gone()
	}
}

// Data takes bytes of requests.
func (w *web) Data(b []byte) error {
	if len(w.buf) == 0 && !w.first && !w.busy {
		w.c.loop.due.set(w.c, waitRequest, w.front.headTime)
	}
	w.buf = append(w.buf, b...)
	if w.busy || w.leaves {
		if len(w.buf) > maxAhead {
			w.c.deafen(true)
		}
		return nil
	}
	w.next()
	return nil
}

// next serves the next request, if it is there, or leaves.
func (w *web) next() {
	v, head, body := w.front.hot.inspect(w.buf)
	switch v {
	case more:
		if head > 0 {
			w.c.loop.due.set(w.c, waitRequest, w.front.bodyTime)
		}
		return
	case serve:
		if r := w.request(head + body); r != nil {
			w.busy = true
			w.c.loop.due.clear(w.c, waitRequest)
			w.front.serving.Add(1)
			go w.serve(r)
			return
		}
	}
	w.leave()
}

// readers read requests; one is back when its request is served.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// incoming is a request with the reader that its body comes from.
type incoming struct {
	*http.Request
	reader *bufio.Reader
}

// request takes a request of n bytes off the buffer; nil if net/http's reader
// does not like it, which is then for its server to say.
func (w *web) request(n int) *incoming {
	b := w.buf[:n:n]
	reader := readers.Get().(*bufio.Reader)
	reader.Reset(bytes.NewReader(b))
	r, err := http.ReadRequest(reader)
	if err != nil {
		readers.Put(reader)
		return nil
	}
	r.RemoteAddr = w.from.String()
	if w.buf = bytes.Clone(w.buf[n:]); len(w.buf) == 0 {
		w.buf = nil
	}
	return &incoming{r, reader}
}

// serve answers a request, on a goroutine of its own.
func (w *web) serve(r *incoming) {
	defer w.front.serving.Done()
	a := &answer{web: w, header: http.Header{}}
	defer func() {
		r.reader.Reset(nil)
		readers.Put(r.reader)
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				w.front.log.Error("a request made the server panic", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			}
			w.c.abort()
			return
		}
		a.end(nil)
	}()
	w.front.handler.ServeHTTP(a, r.Request)
	_, _ = io.Copy(io.Discard, r.Body)
}

// answered goes on after an answer; handling is held.
func (w *web) answered() {
	w.busy, w.first = false, false
	w.c.deafen(false)
	if w.front.stopping.Load() {
		w.c.finish(nil)
		return
	}
	if len(w.buf) > 0 {
		w.c.loop.due.set(w.c, waitRequest, w.front.headTime)
		w.next()
		return
	}
	w.c.loop.due.set(w.c, waitRequest, w.front.idleTime)
}

// leave gives the connection to net/http as soon as all answers are written.
func (w *web) leave() {
	w.leaves = true
	w.c.room()
}

// detach gives the connection to net/http. Only the loop's reader calls it.
func (w *web) detach() {
	c := w.c
	c.handling.Lock()
	defer c.handling.Unlock()
	if !w.leaves || w.taken || c.over || !c.release() {
		return
	}
	c.over = true
	w.front.forget(w)
	socket, err := c.loop.kernel.Disown(int(c.fd))
	if err == nil {
		w.front.give(&left{Conn: socket, early: w.buf})
	}
	w.buf = nil
	c.engine.gone()
}
