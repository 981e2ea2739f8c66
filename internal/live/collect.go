package live

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// collector is the Conn of a request that is answered as a whole. It takes what
// the session sends until there is an answer: the first page of the backlog if
// anything waits, else the first release or publication that comes, with what is
// there by then.
//
// It is all that is kept of a request while it is held, in one piece. What is
// kept in many small ones lies among the garbage of requests, and holds the pages
// of the heap that this has filled.
type collector struct {
	hub      *Hub
	mu       sync.Mutex    // guards what follows
	ready    chan struct{} // capacity 1: look again whether there is an answer; of a goroutine that waits
	pending  Pending       // of a request that is held: there is none
	frames   []Frame
	bytes    int
	why      *Reason // the session was closed, and why
	paged    bool    // the backlog has been read
	live     bool    // something came after that
	failed   bool    // it cannot be read
	done     bool    // no more is taken
	fed      bool    // something was published
	late     bool    // an empty answer will do
	ended    bool    // there is an answer, or none will come
	presence bool    // is asked for; set once, like what follows

	cursor mark  // of the request
	feed   *feed // of the topics that the request names; nil for none

	line          *waitLine // guarded by waits.mu, like what follows
	ahead, behind *collector
	lateAt        time.Duration

	session Session
}

// Send takes a frame: see Conn.
func (c *collector) Send(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(f)
	switch {
	case c.done:
		return ErrClosed
	case c.bytes > 0 && (c.bytes+n > c.hub.opts.SessionQueue || c.hub.queued.Load()+int64(n) > c.hub.opts.QueueMemory):
		c.done = true
		c.signal()
		return ErrFull
	}
	c.frames = append(c.frames, f)
	c.bytes += n
	c.live = c.live || c.paged
	c.hub.queued.Add(int64(n))
	c.signal()
	return nil
}

// Close ends the session: see Conn.
func (c *collector) Close(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why, c.done = &why, true
	}
	c.signal()
}

// pageSent notes that a page of the backlog is here; more says that another
// follows.
func (c *collector) pageSent(more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err != nil
	if !more || len(c.frames) > 0 {
		c.paged = true
	}
	c.done = c.done || c.failed || len(c.frames) > 0
	c.signal()
}

// published notes that there is something new in a topic.
func (c *collector) published() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fed = true
	c.signal()
}

// look looks for what was published before the session was subscribed.
func (c *collector) look() {
	if c.feed != nil && c.feed.waits() {
		c.published()
	}
}

// signal notes that there may be an answer now; c.mu is held.
func (c *collector) signal() {
	switch {
	case c.pending != nil:
		if !c.ended && c.answered() {
			c.ended = true
			c.pending.Run(c.finish)
		}
	case c.ready != nil:
		select {
		case c.ready <- struct{}{}:
		default:
		}
	}
}

// answered reports whether there is an answer; c.mu is held.
func (c *collector) answered() bool {
	return c.done || c.paged && (c.late || c.fed || len(c.frames) > 0)
}

// hasAnswer reports whether there is an answer; late, whether an empty one will do.
func (c *collector) hasAnswer(late bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = late
	return c.answered()
}

// wait waits for an answer, an empty one after the time given. While the
// backlog has not been read yet it waits longer, within bounds.
func (c *collector) wait(ctx context.Context, d time.Duration) {
	ready, late := make(chan struct{}, 1), false
	c.mu.Lock()
	c.ready = ready
	c.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !c.hasAnswer(late) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if late {
				return
			}
			late = true
			timer.Reset(c.hub.opts.HelloTimeout)
		case <-ready:
		}
	}
}

// take takes nothing more and gives what there is, or why there is no answer.
func (c *collector) take() ([]Frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	c.hub.queued.Add(-int64(c.bytes))
	switch {
	case len(c.frames) > 0 || c.paged && !c.failed && c.why == nil:
		return c.frames, nil
	case c.why != nil:
		return nil, c.hub.errorOf(*c.why)
	}
	return nil, retry(herald.CodeStorageUnavailable, time.Second, "what waits cannot be read now")
}

// errorOf says a close code as an answer over HTTP.
func (h *Hub) errorOf(why Reason) *herald.Error {
	switch why.Code {
	case CloseBadToken:
		return herald.Errorf(herald.CodeUnauthorized, "Register again.", "%s", why.Text)
	case CloseForbidden:
		return herald.Errorf(herald.CodeForbidden, "Do not try again.", "%s", why.Text)
	case CloseReplaced:
		return retry(herald.CodeRateLimited, 30*time.Second, why.Text)
	case CloseDraining:
		h.mu.Lock()
		spread := returnSpread(h.links)
		h.mu.Unlock()
		return retry(herald.CodeDraining, time.Second+rand.N(spread), why.Text)
	}
	return retry(herald.CodeStorageUnavailable, time.Second, why.Text)
}

func retry(code herald.Code, after time.Duration, text string) *herald.Error {
	e := herald.Errorf(code, "Ask again after the time in Retry-After.", "%s", text)
	e.RetryAfter = after
	return e
}

// poll answers one request of a Poller. If it reports true, the answer comes
// later, and the place is left then.
func (h *Hub) poll(w http.ResponseWriter, r *http.Request, p Poller, at *Place) (bool, error) {
	q := r.URL.Query()
	hello, err := requestHello(r, q)
	if err != nil {
		return false, err
	}
	wait, err := p.Wait(q)
	if err != nil {
		return false, err
	}
	d, err := h.Check(r.Context(), hello)
	if err != nil {
		return false, err
	}
	at.known()
	if err := h.pace.take(deviceKey{d.App, d.Ord}, h.opts.PollRate, h.now()); err != nil {
		return false, err
	}
	hello.Ack = AckUpto
	c := &collector{hub: h, cursor: h.pace.mark(hello.Cursor), presence: hello.Presence}
	c.begin(r.Context(), p, d.App, hello, q.Get("since"), wait)
	if holder, ok := w.(Holder); ok && wait > 0 && !c.hasAnswer(false) {
		c.hold(holder, wait)
		return true, nil
	}
	c.wait(r.Context(), wait)
	return false, c.answer(w)
}

// begin opens the session of the request, and reads the first page of its
// backlog. It leaves neither to the hub's workers, which are few: of those that
// ask again at once, many have their cursors written together then.
func (c *collector) begin(ctx context.Context, p Poller, app herald.AppKey, hello Hello, since string, wait time.Duration) {
	if len(hello.Topics) > 0 {
		for i, name := range hello.Topics {
			hello.Topics[i] = herald.Topic(strings.Clone(string(name))) // the request is not kept for them
		}
		c.feed = c.hub.feed(app, hello.Topics, since)
	}
	s := &c.session
	c.hub.attach(s, p, c, true)
	if s.opening(hello) == nil { // else the hub is going, which the collector knows
		limit := within(ctx, wait+c.hub.opts.HelloTimeout)
		defer limit.end()
		c.hub.pool.begin(s, func() (again bool) { return s.open(limit) == stateReplaying && !c.hasAnswer(false) })
	}
}

// answer ends the session and writes what there is.
func (c *collector) answer(w http.ResponseWriter) error {
	h, s := c.hub, &c.session
	frames, err := c.take() // before the position is read: nothing is taken after it
	cursor, since := s.cursor(), ""
	if c.feed != nil {
		if err == nil {
			frames, since = c.feed.answer(s, frames, c.presence)
		}
		c.feed.end()
	}
	s.Closed()
	if err != nil {
		return err
	}
	if len(frames) > 0 {
		d := s.owner()
		h.pace.brought(deviceKey{d.App, d.Ord}, h.opts.PollRate, c.cursor, answered{h.pace.mark(cursor), h.pace.mark(since), c.live}, h.now())
	}
	contentType, body := s.codec.Transport.(Poller).Answer(frames, cursor, since)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx passes it on as it comes
	// A client that does not read holds nothing for ever; the deadline is
	// taken back, because the connection serves other requests after this one.
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(h.opts.Timeout))
	if _, err := w.Write(body); err == nil && rc.Flush() == nil {
		_ = rc.SetWriteDeadline(time.Time{})
	}
	return nil
}

// cursor is the position up to which everything was queued; "" for the start.
func (s *Session) cursor() string {
	s.mu.Lock()
	d, high := s.device(), s.high
	s.mu.Unlock()
	return s.codec.hub.cursor(d.App, high)
}
