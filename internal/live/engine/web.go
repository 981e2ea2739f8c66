package engine

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/herald-push/herald/internal/live"
)

// maxAhead is how much a client may send while its request is served; then
// nothing more is read until there is an answer.
const maxAhead = 64 << 10

// promptBytes is how long a request may be that is served on the loop: to read a
// long one takes too long.
const promptBytes = 16 << 10

// web is the handler of a connection that speaks HTTP. What follows front is
// guarded by the handling of its conn.
type web struct {
	c     *conn
	front *front

	from   netip.AddrPort
	peer   string // from in words, once there was a call; of its goroutine
	buf    []byte // what has come of the next request
	headed bool   // the head of a request is there, and its body has its own time
	busy   bool   // a request is being served
	first  bool   // no request has been served yet
	paused bool   // the client has not read what it was answered
	leaves bool   // what comes next is for net/http, when all is written
	taken  bool   // the connection has got another handler
	prompt uint8  // the path whose calls do not wait, see answer.Prompt: 1 + its number; 0 for none

	held   live.Held   // who has to answer the request; nil if it is not held
	header http.Header // of its answer, as far as it was set; nil if it was not
}

// Open does nothing: the client speaks first.
func (w *web) Open(live.Conn) {}

// Writable does nothing: what is not a frame of a session always has room.
func (w *web) Writable() {}

// Closed tells who holds the request.
func (w *web) Closed(error) {
	w.buf = nil
	w.front.forget(w)
	if w.held != nil {
		w.held.Gone()
	}
}

// Data takes bytes of requests.
func (w *web) Data(b []byte) error {
	if len(w.buf) == 0 && !w.first && !w.busy {
		w.c.loop.due.set(w.c, waitRequest, w.front.headTime)
	}
	w.buf = append(w.buf, b...)
	if w.busy || w.paused || w.leaves {
		if len(w.buf) > maxAhead {
			w.c.deafen(true)
		}
		return nil
	}
	w.next(w.c.loop.reader)
	return nil
}

// next serves the next request, if it is there, or leaves. r is the caller's
// role, if it has one.
func (w *web) next(r *reader) {
	v, head, body := w.front.hot.inspect(w.buf)
	switch v {
	case more:
		if head > 0 && !w.headed {
			w.headed = true
			w.c.loop.due.set(w.c, waitRequest, w.front.bodyTime)
		}
	case serve:
		w.busy, w.headed = true, false
		w.c.loop.due.clear(w.c, waitRequest)
		w.front.serving.Add(1)
		n := head + body
		b := w.buf[:n:n]
		if w.buf = bytes.Clone(w.buf[n:]); len(w.buf) == 0 {
			w.buf = nil
		}
		if r != nil && n <= promptBytes && w.isPrompt(b) {
			r.take(errand{w, b, head})
			return
		}
		w.front.workers(b).run(func() { w.serve(b, head, nil) })
	default:
		w.leave()
	}
}

// workers gives those who serve a request.
func (f *front) workers(b []byte) *workers {
	if b[0] != 'G' {
		return f.calls
	}
	for _, path := range f.waits {
		if hasStart(b, http.MethodGet, path) {
			return f.waiting
		}
	}
	return f.live
}

// isPrompt reports whether a request is like those that did not have to wait.
func (w *web) isPrompt(b []byte) bool {
	if w.prompt == 0 {
		return false
	}
	const method = "POST "
	path := w.front.hot[http.MethodPost][w.prompt-1]
	n := len(method) + len(path)
	return len(b) > n && b[n] == ' ' && string(b[:len(method)]) == method && string(b[len(method):n]) == path
}

// promptOf gives the number of a path to which calls are served here; 0 for none.
func (f *front) promptOf(path string) uint8 {
	return uint8(slices.Index(f.hot[http.MethodPost], path) + 1)
}

// serve answers a request: on a goroutine of the pool, or on that of a reader.
// It reports false if the latter is no reader any more.
func (w *web) serve(b []byte, head int, on *reader) (still bool) {
	defer w.front.serving.Done()
	var q *request
	var a *answer
	if on != nil {
		q, a = on.room()
	} else {
		q, a = requests.Get().(*request), &answer{}
	}
	r := q.parse(b[:head], b[head:])
	if r == nil {
		w.refuse(b)
		return true
	}
	if r.RemoteAddr = w.peer; w.peer == "" {
		r.RemoteAddr = w.from.String()
		if b[0] == 'P' { // one that calls does so again; a request that is held keeps nothing
			w.peer = r.RemoteAddr
		}
	}
	a.web, a.on = w, on
	if on != nil {
		a.came = b
	}
	defer func() {
		still = on == nil || a.on != nil
		if v := recover(); v != nil {
			if err, _ := v.(error); !errors.Is(err, http.ErrAbortHandler) {
				w.front.log.Error("a request made the server panic", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			}
			w.c.abort()
			return
		}
		a.end()
	}()
	w.front.handler.ServeHTTP(a, r)
	if on == nil && r.Method == http.MethodGet { // and no transport keeps anything of it
		q.reset()
		requests.Put(q)
	}
	return true
}

// requests are those that are over.
var requests = sync.Pool{New: func() any { return &request{} }}

// refuse leaves a request whose target is none, which is for net/http to say.
func (w *web) refuse(b []byte) {
	w.c.handling.Lock()
	defer w.c.handling.Unlock()
	w.busy = false
	w.buf = append(b, w.buf...)
	w.leave()
}

// answered goes on after an answer; handling is held.
func (w *web) answered() {
	w.busy, w.first = false, false
	if w.paused = w.c.owes() > maxAhead; w.paused {
		return // it goes on when all is written; until then the time is that of a write
	}
	w.c.deafen(false)
	if w.front.stopping.Load() {
		w.c.finish(nil)
		return
	}
	if len(w.buf) > 0 {
		w.c.loop.due.set(w.c, waitRequest, w.front.headTime)
		w.next(nil)
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
		w.front.give(&left{live.Early{Conn: socket, Bytes: w.buf}})
	}
	w.buf = nil
	c.loop.engine.gone()
}
