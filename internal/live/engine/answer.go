package engine

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// spareBytes is how much room a connection keeps for its next request.
const spareBytes = 2 << 10

// answer is the ResponseWriter of a request that is served on a loop. It keeps
// the answer until it is whole.
type answer struct {
	web    *web
	on     *reader // on whose goroutine the request is served; nil for one of the pool
	came   []byte  // the request, of which nobody has anything when it is answered
	header http.Header
	status int
	body   []byte
	held   bool // the answer comes later, and is another one
	done   bool
}

// Header is that of the answer.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	return a.header
}

// WriteHeader sets the status; the first one counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write adds to the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

// FlushError does nothing: see [http.ResponseController]. An answer here is
// never longer than what a client waits for at once.
func (a *answer) FlushError() error { return nil }

// SetReadDeadline does nothing: the request is there already.
func (a *answer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the loop has its own.
func (a *answer) SetWriteDeadline(time.Time) error { return nil }

// Prompt is for a handler that has served a call without waiting for anything:
// the next one of this connection for the same path may be served on the loop.
// The handler promises that for such a call it calls MayWait before it waits,
// or works for long.
func (a *answer) Prompt(path string) {
	a.web.prompt = a.web.front.promptOf(path) // nobody else serves this connection
}

// MayWait says that what follows may take its time. If a loop is waiting for it,
// another goroutine goes on with that.
func (a *answer) MayWait() {
	a.web.prompt = 0
	if r := a.on; r != nil {
		a.on, r.spare = nil, nil
		go r.read()
	}
}

// Take makes the connection one of a session: see live.Taker.
func (a *answer) Take(head []byte, h live.Handler, p *live.Place) {
	w, c := a.web, a.web.c
	c.handling.Lock()
	defer c.handling.Unlock()
	a.done, w.taken = true, true
	early := w.buf
	w.buf = nil
	w.front.forget(w)
	c.enter(head, early, h, p)
	c.deafen(false)
}

// enter makes a connection one of a session; handling is held. The session may
// find that the socket is gone already.
func (c *conn) enter(head, early []byte, h live.Handler, p *live.Place) {
	c.mu.Lock()
	c.handler, c.place = h, p
	c.mu.Unlock()
	c.raw(head)
	h.Open(c)
	if c.over {
		h.Closed(errAborted)
		p.Leave()
		return
	}
	if len(early) > 0 && !c.ignores() {
		if h.Data(early) != nil {
			c.hangUp()
		}
	}
}

// Hold lets the answer come later: see live.Holder. This one is not needed any
// more: there is another when there is something to write.
func (a *answer) Hold(h live.Held) live.Pending {
	w, c := a.web, a.web.c
	c.handling.Lock()
	defer c.handling.Unlock()
	a.held, w.header = true, a.header
	if a.on != nil {
		a.on.spare = nil // which has the header
	}
	if c.over {
		go h.Gone()
	} else {
		w.held = h
	}
	w.front.serving.Add(1)
	return w
}

// Run has a function run: see live.Pending.
func (w *web) Run(f func()) { w.front.live.run(f) }

// Answer answers the request that is held: see live.Pending.
func (w *web) Answer(write func(http.ResponseWriter)) {
	defer w.front.serving.Done()
	a := &answer{web: w, header: w.header}
	write(a)
	c := w.c
	c.handling.Lock()
	defer c.handling.Unlock()
	w.held, w.header = nil, nil
	a.send()
}

// end writes the answer, if it is there.
func (a *answer) end() {
	a.web.c.handling.Lock()
	defer a.web.c.handling.Unlock()
	a.send()
}

// send is end; handling is held.
func (a *answer) send() {
	w, c := a.web, a.web.c
	if a.done || a.held || c.over {
		return
	}
	a.done = true
	b, last := a.bytes()
	if last {
		c.finish(b)
		c.loop.due.set(c, waitWrite, live.CloseWithin)
		return
	}
	c.raw(b)
	w.answered()
	if a.on != nil && w.buf == nil && cap(a.came) <= spareBytes {
		w.buf = a.came[:0]
	}
}

// bytes writes the answer, and reports whether it is the last one.
func (a *answer) bytes() (b []byte, last bool) {
	a.WriteHeader(http.StatusOK)
	h := a.Header()
	last = h.Get("Connection") == "close" || a.web.front.stopping.Load()
	if last {
		h.Set("Connection", "close")
	}
	bare := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	if bare {
		a.body = nil
	} else {
		delete(h, "Content-Length")
		if _, ok := h["Content-Type"]; !ok && len(a.body) > 0 {
			h.Set("Content-Type", http.DetectContentType(a.body))
		}
	}
	out := make([]byte, 0, 512+len(a.body))
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(a.status), 10)
	out = append(append(out, ' '), http.StatusText(a.status)...)
	out = append(out, "\r\n"...)
	for name, values := range h {
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n") {
				v = oneLine.Replace(v)
			}
			out = append(append(append(append(out, name...), ": "...), v...), "\r\n"...)
		}
	}
	if _, ok := h["Date"]; !ok {
		out = append(time.Now().UTC().AppendFormat(append(out, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	if !bare {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), int64(len(a.body)), 10), "\r\n"...)
	}
	return append(append(out, "\r\n"...), a.body...), last
}

// oneLine keeps a value from being two fields.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")
