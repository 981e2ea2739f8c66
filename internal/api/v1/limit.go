package v1

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// limits are the families of token buckets that requests are counted in.
type limits struct {
	keys, devices       *buckets // callers with valid credentials
	strangers, failures *buckets // by address: without credentials, with wrong ones
}

func newLimits(l Limits, f *Failures) limits {
	if f == nil {
		f = NewFailures(l.AddressRate)
	}
	return limits{keys: newBuckets(l.KeyRate), devices: newBuckets(l.DeviceRate),
		strangers: newBuckets(l.AddressRate), failures: f.buckets}
}

// take counts one request, tells the caller what is left, and refuses it if
// nothing was.
func (l limits) take(h http.Header, b *buckets, key string) error {
	return b.spend(h, key, 1)
}

// has refuses the request if nothing is left, without counting it.
func (l limits) has(h http.Header, b *buckets, key string) error {
	return b.spend(h, key, 0)
}

// show only tells what is left.
func (l limits) show(h http.Header, b *buckets, key string) { _ = b.spend(h, key, 0) }

// maxBuckets bounds one family: two generations of half as many.
const maxBuckets = 1 << 16

// generation is how long an unused bucket is kept at least. All are full again
// by then (bursts are two seconds' worth), so that forgetting one changes
// nothing, unless there are too many at once.
const generation = time.Minute

// buckets are token buckets by key. Those in use are in young; when it is full
// or old it becomes old, and what was in old is forgotten.
type buckets struct {
	rate  float64
	burst int

	mu         sync.Mutex // guards the maps and since
	young, old map[string]*rate.Limiter
	since      time.Time
}

// newBuckets gives nil for no limit; a nil *buckets lets everything pass.
func newBuckets(perSecond float64) *buckets {
	if perSecond <= 0 {
		return nil
	}
	return &buckets{rate: perSecond, burst: max(1, int(math.Ceil(2*perSecond))), young: map[string]*rate.Limiter{}}
}

func (b *buckets) of(key string, now time.Time) *rate.Limiter {
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

// spend takes n tokens (0 or 1) and writes the RateLimit headers.
func (b *buckets) spend(h http.Header, key string, n int) error {
	if b == nil {
		for _, name := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
			h.Del(name)
		}
		return nil
	}
	now := time.Now()
	l := b.of(key, now)
	ok := l.TokensAt(now) >= 1
	if n > 0 {
		ok = l.AllowN(now, n)
	}
	left := max(0, l.TokensAt(now))
	h.Set("RateLimit-Limit", strconv.Itoa(b.burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	h.Set("RateLimit-Reset", strconv.FormatInt(wholeSeconds(b.until(float64(b.burst)-left)), 10))
	if ok {
		return nil
	}
	return &herald.Error{Code: herald.CodeRateLimited, Message: "too many requests",
		Remedy:     "Wait for the seconds in Retry-After; send to many devices with one message, not with many.",
		RetryAfter: max(time.Millisecond, b.until(1-left))}
}

// until is the time in which so many tokens come in.
func (b *buckets) until(tokens float64) time.Duration {
	return time.Duration(min(tokens/b.rate, 1e9) * float64(time.Second))
}

// address names the bucket of the place that a request came from.
func (a *API) address(x *exchange) string {
	return addressKey(edge.Site(a.cfg.Address(x.r)))
}

func addressKey(ip netip.Addr) string {
	b, err := ip.MarshalBinary()
	if err != nil {
		return ""
	}
	return string(b)
}
