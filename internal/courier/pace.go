package courier

import (
	"context"
	"math"
	"sync"
	"time"
)

// rate is how many calls a vendor takes; the zero value is any number.
type rate struct {
	calls int
	per   time.Duration
	// sparing keeps half of the calls back: from there on they are made at even
	// distances, so that what comes in between can become one.
	sparing bool
}

// mostKept bounds how many calls a pace remembers: of a rate that is higher it
// keeps to the same in shorter times.
const mostKept = 1024

// pace keeps to a rate: in no stretch of its time are there more calls, also not
// after a pause. It remembers when the last of them were.
type pace struct {
	mu   sync.Mutex // guards what follows
	rate rate
	last []time.Time // a ring
	at   int
}

// set changes the rate. A twentieth is added to its time, because calls do not
// all take as long to get there.
func (p *pace) set(r rate) {
	if p.mu.Lock(); r == p.rate {
		p.mu.Unlock()
		return
	}
	defer p.mu.Unlock()
	p.rate, p.last, p.at = r, nil, 0
	if r.calls <= 0 {
		return
	}
	p.last = make([]time.Time, min(r.calls, mostKept))
}

func (p *pace) per() time.Duration {
	d := p.rate.per + p.rate.per/20
	return d * time.Duration(len(p.last)) / time.Duration(p.rate.calls)
}

// take has a call made now, or says how long it has to wait.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.last) == 0 {
		return 0
	}
	if wait := p.nextAt(now).Sub(now); wait > 0 {
		return wait
	}
	p.last[p.at] = now
	p.at = (p.at + 1) % len(p.last)
	return 0
}

// room is how many calls may be made up to a time.
func (p *pace) room(end time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.last) == 0 {
		return math.MaxInt
	}
	n := 0
	for _, at := range p.last {
		if at.IsZero() || !at.Add(p.per()).After(end) {
			n++
		}
	}
	return n
}

// next gives when a call may be made, at the earliest.
func (p *pace) next(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nextAt(now)
}

func (p *pace) nextAt(now time.Time) time.Time {
	n := len(p.last)
	if n == 0 {
		return now
	}
	at := now
	if first := p.last[p.at]; !first.IsZero() && first.Add(p.per()).After(at) {
		at = first.Add(p.per())
	}
	// More than half of the calls of the time are made if this one still counts.
	if half := p.last[(p.at+n/2)%n]; p.rate.sparing && !half.IsZero() && half.Add(p.per()).After(now) {
		newest := p.last[(p.at+n-1)%n]
		if even := newest.Add(2 * p.per() / time.Duration(n)); even.After(at) {
			at = even
		}
	}
	return at
}

// idle reports whether nothing of what it remembers matters any more.
func (p *pace) idle(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.last) == 0 {
		return true
	}
	newest := p.last[(p.at+len(p.last)-1)%len(p.last)]
	return now.Sub(newest) > p.per()
}

// gate bounds how many calls are made at once: with one credential, and in all.
// ownCalls of each credential need no token of the common ones.
type gate struct {
	slots, own chan struct{}
	common     chan struct{}
}

const ownCalls = 4

func newGate(calls int, common chan struct{}) *gate {
	return &gate{slots: make(chan struct{}, calls), own: make(chan struct{}, min(calls, ownCalls)), common: common}
}

// enter waits for a place, which leave gives back; nil if ctx has ended or stop
// was closed.
func (g *gate) enter(ctx context.Context, stop <-chan struct{}) (leave func()) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	case <-stop:
		return nil
	}
	select {
	case g.own <- struct{}{}:
		return func() { <-g.own; <-g.slots }
	default:
	}
	select {
	case g.own <- struct{}{}:
		return func() { <-g.own; <-g.slots }
	case g.common <- struct{}{}:
		return func() { <-g.common; <-g.slots }
	case <-ctx.Done():
	case <-stop:
	}
	<-g.slots
	return nil
}
