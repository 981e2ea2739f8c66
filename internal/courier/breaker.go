package courier

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/provider"
)

// How long a credential rests, at first and at most.
const (
	minRest         = time.Second
	maxRest         = 5 * time.Minute
	minUnauthorized = time.Minute
	maxUnauthorized = 15 * time.Minute
)

// backoff doubles with each time, less up to a half by chance.
func backoff(least, most time.Duration, times int) time.Duration {
	d := most
	if times < 20 {
		d = min(least<<times, most)
	}
	return d - rand.N(d/2) //nolint:gosec // jitter, no secret
}

// breaker keeps calls from a vendor that does not take them. It is closed, or
// open for a time; when that has passed one call is tried.
type breaker struct {
	failures int // in a row open it
	now      func() time.Time

	mu     sync.Mutex // guards what follows
	open   bool
	until  time.Time
	gen    int // grows each time it opens: what was begun before says nothing of what is now
	row    int // failures in a row while it is closed
	opened int // times in a row
	cause  *provider.Error
	probe  chan struct{} // closed when the one that tries is through; nil if nobody does
}

// pass lets calls through, until the breaker opens.
type pass struct {
	gen   int
	probe bool // for one call
}

// enter waits for a pass while somebody else tries. It is false if the credential
// rests, or ctx has ended. Who has one gives it back with leave.
func (b *breaker) enter(ctx context.Context) (pass, bool) {
	for {
		b.mu.Lock()
		p, wait := pass{gen: b.gen}, b.probe
		switch {
		case !b.open:
			b.mu.Unlock()
			return p, true
		case b.now().Before(b.until):
			b.mu.Unlock()
			return p, false
		case wait == nil:
			b.probe, p.probe = make(chan struct{}), true
			b.mu.Unlock()
			return p, true
		}
		b.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return p, false
		}
	}
}

func (b *breaker) leave(p pass) {
	if !p.probe {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.probe)
	b.probe = nil
}

// holds reports whether calls may still be made with a pass.
func (b *breaker) holds(p pass) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.gen == b.gen
}

// note takes down what came of a call, and reports whether it has opened the
// breaker.
func (b *breaker) note(p pass, err *provider.Error) (opens bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := p.gen == b.gen
	var rest time.Duration
	switch {
	case err == nil || err.Kind == provider.Unregistered || err.Kind == provider.Rejected || err.Kind == provider.TooLarge:
		// The vendor works, whatever it thinks of this message.
		if current {
			b.open, b.row, b.opened, b.cause = false, 0, 0, nil
		}
		return false
	case err.Kind == provider.Throttled:
		rest = backoff(minRest, maxRest, b.opened)
		if err.RetryAfter > 0 {
			rest = err.RetryAfter + rand.N(err.RetryAfter/10+1) //nolint:gosec // jitter
		}
	case err.Kind == provider.Unauthorized:
		rest = backoff(minUnauthorized, maxUnauthorized, b.opened)
	case !current:
		return false
	default:
		b.cause = err
		if b.row++; b.row < b.failures && !b.open {
			return false
		}
		rest = max(backoff(minRest, maxRest, b.opened), err.RetryAfter)
	}
	until := b.now().Add(rest)
	if !current { // it is open, and may have to be for longer
		if b.open && until.After(b.until) {
			b.until = until
		}
		return false
	}
	b.gen++
	b.opened++
	b.open, b.until, b.row, b.cause = true, until, 0, err
	return true
}

// retry has the next call tried at once.
func (b *breaker) retry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		b.until, b.opened = b.now(), 0
	}
}

// rests gives until when nothing is to be sent; zero if something may be.
func (b *breaker) rests() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && b.now().Before(b.until) {
		return b.until
	}
	return time.Time{}
}

// trouble is what the vendor said last, if it does not work.
func (b *breaker) trouble() *provider.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}

// forgettable reports whether a new breaker would do as well.
func (b *breaker) forgettable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open && b.cause == nil || b.now().Sub(b.until) > time.Hour
}
