// Package admission counts requests and says when there were too many: token
// buckets by key, device or address, which every API on the port shares, so that
// who calls in two ways has no more than who calls in one.
//
// Nothing here blocks. Everything is safe for use by several goroutines.
package admission

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// Allowance is what a caller is told about a limit.
type Allowance struct {
	Limit string // requests; "" if there is no limit
	Left  int
	Reset int64 // seconds until all of it is there again
}

// maxBuckets bounds one family: two generations of half as many.
const maxBuckets = 1 << 16

// generation is how long an unused bucket is kept at least. All are full again
// by then (bursts are two seconds' worth), so that forgetting one changes
// nothing, unless there are too many at once.
const generation = time.Minute

// Buckets are token buckets by key. Those in use are in young; when it is full
// or old it becomes old, and what was in old is forgotten.
type Buckets struct {
	rate  float64
	burst int
	limit string // burst as text

	mu         sync.Mutex // guards the maps and since
	young, old map[string]*rate.Limiter
	since      time.Time
}

// NewBuckets allows so many requests a second, with bursts of twice as many and
// at least 1. It gives nil for no limit; a nil *Buckets lets everything pass.
func NewBuckets(perSecond float64) *Buckets {
	if perSecond <= 0 {
		return nil
	}
	burst := max(1, int(math.Ceil(2*perSecond)))
	return &Buckets{rate: perSecond, burst: burst, limit: strconv.Itoa(burst), young: map[string]*rate.Limiter{}}
}

// Burst is how many tokens a bucket holds.
func (b *Buckets) Burst() int { return b.burst }

func (b *Buckets) of(key string, now time.Time) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.young) >= maxBuckets/2 || now.Sub(b.since) > generation {
		b.old, b.young, b.since = b.young, map[string]*rate.Limiter{}, now
	}
	l := b.young[key]
	if l == nil {
		if l = b.old[key]; l == nil {
			l = rate.NewLimiter(rate.Limit(b.rate), b.burst)
		}
		b.young[key] = l
	}
	return l
}

// Spend takes n tokens, or none of them. With n = 0 it asks whether there is
// one.
func (b *Buckets) Spend(key string, n int) (Allowance, error) {
	if b == nil {
		return Allowance{}, nil
	}
	now := time.Now()
	l := b.of(key, now)
	ok := true
	if n > 0 {
		ok = l.AllowN(now, n)
	}
	tokens := l.TokensAt(now)
	if n == 0 {
		ok = tokens >= 1
	}
	left := max(0, tokens)
	told := Allowance{b.limit, int(left), WholeSeconds(b.until(float64(b.burst) - left))}
	if ok {
		return told, nil
	}
	return told, &herald.Error{Code: herald.CodeRateLimited, Message: "too many requests",
		Remedy:     "Wait for the seconds in Retry-After; send to many devices with one message, not with many.",
		RetryAfter: max(time.Millisecond, b.until(float64(max(1, n))-left))}
}

// until is the time in which so many tokens come in.
func (b *Buckets) until(tokens float64) time.Duration {
	return time.Duration(min(tokens/b.rate, 1e9) * float64(time.Second))
}

// WholeSeconds rounds up: who comes back at that time is not too early.
func WholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// AddressKey names the bucket of the place that a request came from.
func AddressKey(from netip.Addr) string {
	ip := edge.Site(from)
	if ip.Is4() {
		b := ip.As4()
		return string(b[:])
	}
	b, err := ip.MarshalBinary()
	if err != nil {
		return ""
	}
	return string(b)
}
