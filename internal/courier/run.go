package courier

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/record"
)

// breath is how long there is at least between two looks for errands, however
// often Wake is called.
const breath = 10 * time.Millisecond

// look is how often errands are looked for at least, whether Wake is called or not.
const look = 5 * time.Second

// Run does errands until ctx ends. Then calls that are under way may take
// Limits.Grace, and what came of them is written down before it returns.
func (c *Courier) Run(ctx context.Context) {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	defer func() {
		defer time.AfterFunc(c.c.Limits.Grace, cancel).Stop()
		wg.Wait()
	}()
	for {
		timer := time.NewTimer(c.round(ctx, calls, &wg))
		select {
		case <-c.wake:
			timer.Reset(breath)
			<-timer.C
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// round has each lane worked on that has something to do, and says how long to
// wait for the next one.
func (c *Courier) round(ctx, calls context.Context, wg *sync.WaitGroup) time.Duration {
	now := c.c.Now()
	lanes, next, err := c.c.Errands.ErrandLanes(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			c.c.Log.Warn("courier: errands cannot be read", "error", err)
		}
		return time.Second
	}
	wait := look
	until := func(at time.Time) {
		if !at.IsZero() {
			wait = max(breath, min(wait, at.Sub(now)))
		}
	}
	until(next)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range lanes {
		l := c.lane(key)
		if l.running {
			poke(l.wake)
			continue
		}
		if at := l.rests(now); at.After(now) {
			until(at)
			continue
		}
		l.running = true
		wg.Go(func() {
			l.run(ctx, calls)
			c.mu.Lock()
			l.running = false
			c.mu.Unlock()
			c.Wake()
		})
	}
	for key, l := range c.lanes {
		if !l.running && l.breaker.forgettable() && l.pace.idle(now) && !l.idle.After(now) {
			delete(c.lanes, key)
		}
	}
	return wait
}

// lane gives what is remembered of a credential. c.mu is held.
func (c *Courier) lane(key record.Lane) *lane {
	l := c.lanes[key]
	if l == nil {
		l = &lane{c: c, key: key, wake: make(chan struct{}, 1), own: make(chan struct{}, 1)}
		l.breaker.failures, l.breaker.now = c.c.Limits.Failures, c.c.Now
		l.gate.Store(newGate(c.c.Limits.Calls, c.allCalls))
		c.lanes[key] = l
	}
	return l
}

// lane is a credential and what is remembered of its vendor.
type lane struct {
	c       *Courier
	key     record.Lane
	breaker breaker
	pace    pace
	gone    gone
	desk    desk
	gate    atomic.Pointer[gate]
	noted   atomic.Bool   // a problem with the credential has been noted
	proven  atomic.Int64  // version of the credential that has been said to work
	wake    chan struct{} // capacity 1: there may be more errands
	own     chan struct{} // the one leased errand that needs no token of the common ones

	// Guarded by Courier.mu.
	running bool
	idle    time.Time // it had nothing to do, and need not be looked at before
	swept   time.Time // when errands were looked at while it rested; run's while it runs
}

// sweep is how often errands are looked at while a credential rests for longer:
// some of their messages may have ended.
const sweep = 5 * time.Second

// rests gives until when nothing is done. Courier.mu is held, and run does not run.
func (l *lane) rests(now time.Time) time.Time {
	at := l.breaker.rests()
	if at.Sub(now) > sweep {
		at = l.swept.Add(sweep)
	}
	if at.After(l.idle) {
		return at
	}
	return l.idle
}

// How many errands are leased at a time: more of them if they are for few.
const (
	lot      = 8
	largeLot = 32
	few      = 16
)

// run leases errands and has each worked on, until there are none that are due.
func (l *lane) run(ctx, calls context.Context) {
	limits := l.c.c.Limits
	done := make(chan int64, limits.Errands)
	inHand, members, size, dry, any := 0, int64(0), lot, false, false
	stopped := ctx.Done()
	for {
		for !dry && ctx.Err() == nil && members < int64(4*limits.Batch) && inHand+min(size, limits.Errands) <= limits.Errands {
			errands, asked := l.lease(ctx, min(size, limits.Errands), limits.Errands-inHand)
			any = any || len(errands) > 0
			dry = len(errands) < asked || asked == 0
			size = largeLot
			for _, e := range errands {
				n := min(e.Left.Len(), int64(limits.Batch))
				if n > few {
					size = lot
				}
				inHand++
				members += n
				go func() {
					defer func() { done <- n }()
					defer e.free()
					l.work(ctx, calls, e.Errand)
				}()
			}
		}
		if inHand == 0 {
			if !any {
				l.c.mu.Lock()
				l.idle = l.c.c.Now().Add(time.Second)
				l.c.mu.Unlock()
			}
			return
		}
		select {
		case n := <-done:
			inHand--
			members -= n
		case <-l.wake:
			dry = false
		case <-stopped:
			stopped = nil
		}
	}
}

// leased is an errand that is in hand, within the bounds of all.
type leased struct {
	record.Errand
	free func()
}

// lease takes up to n errands, or as many as are allowed, which it tells. While
// the credential rests these are most, once in a while.
func (l *lane) lease(ctx context.Context, n, most int) (out []leased, asked int) {
	if at := l.breaker.rests(); !at.IsZero() {
		now := l.c.c.Now()
		if at.Sub(now) <= sweep || now.Sub(l.swept) < sweep {
			return nil, 0
		}
		l.swept, n = now, most
	}
	var frees []func()
	for len(frees) < n {
		free := l.allow()
		if free == nil {
			break
		}
		frees = append(frees, free)
	}
	if len(frees) == 0 {
		return nil, 0
	}
	errands, err := l.c.c.Errands.LeaseErrands(ctx, l.key, l.c.c.Now(), l.c.c.Limits.Lease, len(frees))
	if err != nil && ctx.Err() == nil {
		l.c.c.Log.Warn("courier: errands cannot be leased", "vendor", l.key.Vendor, "app", l.key.App, "error", err)
	}
	for i, e := range errands {
		out = append(out, leased{e, frees[i]})
	}
	for _, free := range frees[len(errands):] {
		free()
	}
	return out, len(frees)
}

// allow gives room for one more errand, nil if there is none.
func (l *lane) allow() (free func()) {
	select {
	case l.own <- struct{}{}:
		return func() { <-l.own }
	default:
	}
	select {
	case l.c.allErrands <- struct{}{}:
		return func() { <-l.c.allErrands }
	default:
		return nil
	}
}
