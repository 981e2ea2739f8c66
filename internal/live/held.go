package live

import (
	"net/http"
	"strings"
	"time"
)

// heldPoll is a request of a Poller that waits for its answer with no goroutine:
// the collector, the timer or the end of the client wakes one that writes it.
type heldPoll struct {
	asked
	w     http.ResponseWriter
	run   func(func())
	done  func()
	place *Place
	timer *time.Timer
}

// hold begins to wait, at most for the time given.
func (a *asked) hold(w http.ResponseWriter, holder Holder, wait time.Duration, since string, at *Place) {
	l := &heldPoll{asked: *a, w: w, place: at}
	c := &collector{hub: a.hub, held: l, ended: true} // until all is set
	l.begin(c, since)
	// What is still asked of the request, without the rest of it, of which these
	// would keep the text.
	l.hello = Hello{Cursor: strings.Clone(a.hello.Cursor), Presence: a.hello.Presence}
	l.run, l.done = holder.Hold(l.gone)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.timer = time.AfterFunc(wait, l.late)
	c.ended = false
	c.signal()
}

// clientGone is why nobody is answered any more.
var clientGone = Reason{Code: -1, Text: "the client is gone"}

// gone says that nobody waits any more.
func (l *heldPoll) gone() {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if c.why.Code == 0 {
		c.why = clientGone
	}
	c.signal()
}

// late says that an empty answer will do, or, if the backlog has not been read
// yet and still is not after a while, that there is none.
func (l *heldPoll) late() {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late {
		c.done = true
	}
	c.late = true
	c.signal()
	if !c.ended {
		l.timer.Reset(l.hub.opts.HelloTimeout)
	}
}

// finish writes the answer; it runs once.
func (l *heldPoll) finish() {
	l.timer.Stop()
	if err := l.answer(l.w); err != nil {
		writeProblem(l.w, err, 0)
	}
	l.done()
	l.place.Leave()
}
