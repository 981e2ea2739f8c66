package live

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// pace bounds how often a device may poll in vain. A request spends a token of
// its device's bucket; one that brought something new gets it back. So a client
// that works through what waits for it may be as fast as it can, and one that
// asks again and again for nothing, or never acknowledges, may not.
type pace struct {
	mu         sync.Mutex // guards what follows
	young, old map[deviceKey]*pollBucket
	turned     time.Duration // when young began, by the hub's clock
	seed       maphash.Seed  // of marks; set once
}

// mark stands for a cursor or the like, of which only has to be known whether it
// is another one: two that differ have the same mark once in 2^64. 0 is that of
// "".
type mark uint64

func (p *pace) mark(s string) mark {
	if s == "" {
		return 0
	}
	return mark(maphash.String(p.seed, s))
}

// pollBucket is the tokens of a device.
type pollBucket struct {
	tokens float64
	at     time.Duration // when that was counted, by the hub's clock
	last   answered
}

// answered is what an answer brought.
type answered struct {
	cursor mark // how far it went in the log
	since  mark // how far it went in topics
	live   bool // it has what came while the request was held
}

// paceKept is how long an unused bucket is kept at least; it is full by then.
const paceKept = time.Minute

func (p *pace) of(k deviceKey, now time.Duration, full float64) *pollBucket {
	if now-p.turned >= paceKept {
		p.young, p.old, p.turned = nil, p.young, now
	}
	b := p.young[k]
	if b == nil {
		if b = p.old[k]; b == nil {
			b = &pollBucket{tokens: full, at: now}
		}
		if p.young == nil {
			p.young = map[deviceKey]*pollBucket{}
		}
		p.young[k] = b
	}
	return b
}

// take counts a request, or says that it comes too early.
func (p *pace) take(k deviceKey, rate float64, now time.Duration) error {
	if rate <= 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := max(1, 2*rate)
	b := p.of(k, now, full)
	b.tokens = min(full, b.tokens+rate*(now-b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		e := herald.Errorf(herald.CodeRateLimited, "Wait for the seconds in Retry-After; ask with wait=25, which is answered as soon as there is something.", "this device polls too often")
		e.RetryAfter = max(time.Millisecond, time.Duration((1-b.tokens)/rate*float64(time.Second)))
		return e
	}
	b.tokens--
	return nil
}

// brought gives the token back if the answer had frames, and the client had not
// been given them before: it acknowledges what it had, by its cursor, or they
// are of topics or came while the request was held.
func (p *pace) brought(k deviceKey, rate float64, cursor mark, a answered, now time.Duration) {
	if rate <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := max(1, 2*rate)
	b := p.of(k, now, full)
	acknowledged := (cursor == b.last.cursor || b.last.cursor == 0) && a.cursor != cursor
	if a.live || acknowledged || a.since != b.last.since {
		b.tokens = min(full, b.tokens+1)
	}
	b.last = a
}
