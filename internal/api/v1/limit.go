package v1

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

// take counts requests, tells the caller what is left, and refuses them if too
// little was.
func (l limits) take(w *writer, b *buckets, key string, n int) error {
	var err error
	w.left, err = b.spend(key, n)
	w.told = true
	return err
}

// has refuses the request if nothing is left, without counting it.
func (l limits) has(w *writer, b *buckets, key string) error { return l.take(w, b, key, 0) }

// allowance is what a caller is told about a limit in the RateLimit headers.
type allowance struct {
	limit string // "" if there is no limit
	left  int
	reset int64 // seconds
}

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
	limit string // burst as text

	mu         sync.Mutex // guards the maps and since
	young, old map[string]*rate.Limiter
	since      time.Time
}

// newBuckets gives nil for no limit; a nil *buckets lets everything pass.
func newBuckets(perSecond float64) *buckets {
	if perSecond <= 0 {
		return nil
	}
	burst := max(1, int(math.Ceil(2*perSecond)))
	return &buckets{rate: perSecond, burst: burst, limit: strconv.Itoa(burst), young: map[string]*rate.Limiter{}}
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

// spend takes n tokens, or none of them. With n = 0 it asks whether there is
// one.
func (b *buckets) spend(key string, n int) (allowance, error) {
	if b == nil {
		return allowance{}, nil
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
	told := allowance{b.limit, int(left), wholeSeconds(b.until(float64(b.burst) - left))}
	if ok {
		return told, nil
	}
	return told, &herald.Error{Code: herald.CodeRateLimited, Message: "too many requests",
		Remedy:     "Wait for the seconds in Retry-After; send to many devices with one message, not with many.",
		RetryAfter: max(time.Millisecond, b.until(float64(max(1, n))-left))}
}

// until is the time in which so many tokens come in.
func (b *buckets) until(tokens float64) time.Duration {
	return time.Duration(min(tokens/b.rate, 1e9) * float64(time.Second))
}

// address names the bucket of the place that a request came from.
func (a *API) address(x *exchange) string {
	if x.from == "" {
		x.from = addressKey(edge.Site(a.cfg.Address(x.r)))
	}
	return x.from
}

func addressKey(ip netip.Addr) string {
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
