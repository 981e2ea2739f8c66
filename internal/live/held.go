package live

import (
	"net/http"
	"sync"
	"time"
)

// hold begins to wait, at most for the time given, with no goroutine: what comes,
// its time or the end of the client wakes one that writes the answer.
func (c *collector) hold(holder Holder, wait time.Duration) {
	pending := holder.Hold(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = pending
	c.hub.waits.add(c, c.hub.now(), wait)
	c.signal()
}

// clientGone is why nobody is answered any more.
var clientGone = Reason{Code: -1, Text: "the client is gone"}

// Gone says that nobody waits any more.
func (c *collector) Gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if c.why == nil {
		c.why = &clientGone
	}
	c.signal()
}

// isLate says that an empty answer will do, or, if the backlog has not been read
// yet and still is not after a while, that there is none.
func (c *collector) isLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late {
		c.done = true
	}
	c.late = true
	c.signal()
	if !c.ended {
		c.hub.waits.add(c, c.hub.now(), c.hub.opts.HelloTimeout)
	}
}

// finish has the answer written; it runs once.
func (c *collector) finish() {
	c.hub.waits.remove(c)
	c.pending.Answer(c.write)
	c.hub.left()
}

func (c *collector) write(w http.ResponseWriter) {
	if err := c.answer(w); err != nil {
		writeProblem(w, err, 0)
	}
}

// waits are the times of the requests that are held. Who asks for the same time
// to wait stands in one line, in which the first to come is the first to be due:
// so a request needs no timer.
type waits struct {
	mu    sync.Mutex // guards what follows
	lines map[time.Duration]*waitLine
}

// waitLine is those that wait for the same time. It is there while somebody does.
type waitLine struct {
	of          *waits
	wait        time.Duration
	first, last *collector // linked by ahead and behind
	timer       *time.Timer
}

// waitSlack joins what is due within it: polls that were answered together ask
// again together.
const waitSlack = 100 * time.Millisecond

// add has a request told when it has waited for long enough.
func (w *waits) add(c *collector, now, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[wait]
	if l == nil {
		l = &waitLine{of: w, wait: wait}
		if w.lines == nil {
			w.lines = map[time.Duration]*waitLine{}
		}
		w.lines[wait] = l
		l.timer = time.AfterFunc(wait, l.due)
	}
	c.line, c.lateAt = l, now+wait
	if c.ahead = l.last; c.ahead != nil {
		c.ahead.behind = c
	} else {
		l.first = c
	}
	l.last = c
}

func (w *waits) remove(c *collector) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
}

// unlink takes a request out of its line, if it is in one; mu is held. The timer
// runs on, for who comes next.
func (w *waits) unlink(c *collector) {
	l := c.line
	if l == nil {
		return
	}
	if c.ahead != nil {
		c.ahead.behind = c.behind
	} else {
		l.first = c.behind
	}
	if c.behind != nil {
		c.behind.ahead = c.ahead
	} else {
		l.last = c.ahead
	}
	c.line, c.ahead, c.behind = nil, nil, nil
}

// due tells those whose time has come.
func (l *waitLine) due() {
	w := l.of
	for {
		c := w.next(l)
		if c == nil {
			return
		}
		c.isLate()
	}
}

// next takes the first of a line out if it is due. Else the timer is set to when
// it will be, or the line is given up.
func (w *waits) next(l *waitLine) *collector {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := l.first
	if c == nil {
		if w.lines[l.wait] == l {
			delete(w.lines, l.wait)
		}
		return nil
	}
	if left := c.lateAt - c.hub.now(); left > 0 {
		l.timer.Reset(max(left, waitSlack))
		return nil
	}
	w.unlink(c)
	return c
}
