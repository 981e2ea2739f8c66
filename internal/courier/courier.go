package courier

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// Config is what a Courier is made of.
type Config struct {
	Errands   ErrandStore
	Addresses AddressStore
	Messages  Messages
	Ledger    Ledger
	Directory Directory
	// Open gives the provider of a credential. It is called for each batch, and
	// has to be quick if the credential is the same as before.
	Open func(ctx context.Context, app herald.AppKey, vendor herald.Vendor, environment, name string) (*provider.Lease, error)
	// NoteProblem keeps why a vendor does not take a credential; nil when it does
	// again.
	NoteProblem func(app herald.AppKey, credential string, problem *provider.Error)
	Limits      Limits
	Log         *slog.Logger
	Now         func() time.Time // default time.Now
}

// Limits bound what a Courier has in hand. Zero is the default.
type Limits struct {
	// Calls is how many calls are made at once with one credential; default 64.
	Calls int
	// AllCalls is how many are made at once in all, beside 4 of each credential,
	// which nobody can take from it; default 1024.
	AllCalls int
	// Errands is how many errands of one credential are leased; default 64, but
	// fewer if they are for many.
	Errands int
	// AllErrands is how many are leased in all, beside one of each credential;
	// default 512.
	AllErrands int
	// Batch is how many owners of an errand are sent to between two commits;
	// default 512, and an eighth of it with vendors that would show copies.
	Batch int
	// Lease is how long an errand is leased; default two minutes. A batch begins
	// no calls after a quarter of it, so that it has to be more than twice
	// provider.SendTimeout.
	Lease time.Duration
	// Failures in a row have a credential rest; default 10.
	Failures int
	// Grace is how long calls may still take when Run is to end; default 5 s.
	Grace time.Duration
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		at    *int
		value int
	}{{&l.Calls, 64}, {&l.AllCalls, 1024}, {&l.Errands, 64}, {&l.AllErrands, 512}, {&l.Batch, 512}, {&l.Failures, 10}} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	if l.Lease == 0 {
		l.Lease = 2 * time.Minute
	}
	if l.Grace == 0 {
		l.Grace = 5 * time.Second
	}
	return l
}

// Courier does errands. It is safe for use by several goroutines.
type Courier struct {
	c    Config
	wake chan struct{} // capacity 1: there may be errands that are due

	watches watches
	early   early
	called  atomic.Uint64
	// allCalls has a token for each call beside those that each lane has of its
	// own, allErrands for each leased errand.
	allCalls, allErrands chan struct{}

	mu    sync.Mutex // guards what follows
	lanes map[record.Lane]*lane
}

// New makes a courier, which does nothing until Run is called.
func New(c Config) *Courier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.NoteProblem == nil {
		c.NoteProblem = func(herald.AppKey, string, *provider.Error) {}
	}
	c.Limits = c.Limits.withDefaults()
	return &Courier{
		c: c, wake: make(chan struct{}, 1), lanes: map[record.Lane]*lane{}, watches: watches{list: map[watched]*watch{}},
		allCalls: make(chan struct{}, c.Limits.AllCalls), allErrands: make(chan struct{}, c.Limits.AllErrands),
	}
}

// Called is how many messages were handed to vendors since the start, taken or not.
func (c *Courier) Called() uint64 { return c.called.Load() }

// Wake has Run look for errands at once.
func (c *Courier) Wake() { poke(c.wake) }

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Renewed tells that a credential of a vendor is another one, so that what waits
// because the vendor did not take it need not wait any more.
func (c *Courier) Renewed(app herald.AppKey, vendor herald.Vendor) {
	c.mu.Lock()
	for key, l := range c.lanes {
		if key.App == app && key.Vendor == vendor {
			l.breaker.retry()
		}
	}
	c.mu.Unlock()
	c.Wake()
}

// Recall stops a message that has ended, which the record says already. When it
// returns, what was sent of it has been reported, and no more is sent.
func (c *Courier) Recall(app herald.AppKey, id herald.MessageID) {
	c.watches.recall(watched{app, id})
}
