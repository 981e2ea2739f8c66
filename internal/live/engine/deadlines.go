package engine

import (
	"sync"
	"time"
)

// wait is what a connection waits for with an end. An idle one waits for
// nothing: its session's heartbeat is a matter of the hub.
type wait uint8

const (
	waitRequest wait = iota // for a request, or for more of one
	waitWrite               // for room to write, or for the peer's end
)

type deadline struct {
	c    *conn
	what wait
}

// slack joins what is due within it.
const slack = 20 * time.Millisecond

// deadlines are the times of a loop's connections. There is a timer only while
// there are any.
type deadlines struct {
	mu    sync.Mutex // guards what follows
	at    map[deadline]time.Time
	most  int       // entries that it had room for at least
	next  time.Time // when the timer ends; zero if it does not run
	timer *time.Timer
	over  bool
}

// set sets the end of a wait, in place of an earlier one.
func (d *deadlines) set(c *conn, what wait, after time.Duration) {
	at := time.Now().Add(after)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	if d.at == nil {
		d.at = map[deadline]time.Time{}
	}
	d.at[deadline{c, what}] = at
	d.most = max(d.most, len(d.at))
	if d.next.IsZero() || at.Before(d.next) {
		d.arm(at)
	}
}

func (d *deadlines) arm(at time.Time) {
	d.next = at
	if d.timer == nil {
		d.timer = time.AfterFunc(time.Until(at), d.fire)
		return
	}
	d.timer.Reset(time.Until(at))
}

func (d *deadlines) clear(c *conn, what wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.at, deadline{c, what})
	d.shrink()
}

// shrink gives the room of many up when there are none: a map keeps it for ever.
func (d *deadlines) shrink() {
	if d.most > 1024 && len(d.at) == 0 {
		d.at, d.most = nil, 0
	}
}

// forget is clear for all that a connection waits for.
func (d *deadlines) forget(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.at, deadline{c, waitRequest})
	delete(d.at, deadline{c, waitWrite})
	d.shrink()
}

// fire ends the connections that have waited too long.
func (d *deadlines) fire() {
	now := time.Now()
	var due []deadline
	d.mu.Lock()
	d.next = time.Time{}
	next := time.Time{}
	for k, at := range d.at {
		if !at.After(now) {
			due = append(due, k)
			delete(d.at, k)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if !next.IsZero() && !d.over {
		if soon := now.Add(slack); next.Before(soon) {
			next = soon
		}
		d.arm(next)
	}
	d.mu.Unlock()
	for _, k := range due {
		k.c.abort()
	}
}

func (d *deadlines) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.timer != nil {
		d.timer.Stop()
	}
}
