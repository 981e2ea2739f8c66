package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/seal"
)

// Config is what a Sender is made of.
type Config struct {
	Store  Store
	Egress Poster
	// Seal seals the secrets of webhooks.
	Seal *seal.Ring
	// Done gives those of some messages of which nothing more can be delivered,
	// and that have not ended; all receipts that are in the log when it is called
	// have to count. Needed for message.done.
	Done func(ctx context.Context, app herald.AppKey, ids []herald.MessageID) ([]herald.MessageID, error)
	// Owner names this node. It takes again what it had before a crash.
	Owner string
	// InFlight is how many requests an endpoint may have at once, at most
	// MaxInFlight; 1 keeps the order of the log. Default 8.
	InFlight int
	// LogBytes bounds the log of an app. Default 256 MiB.
	LogBytes int64
	// Observe, if set, is told of each attempt: whether it was delivered, how
	// many events it had, and how long it took.
	Observe func(delivered bool, events int, took time.Duration)
	Log     *slog.Logger
	Now     func() time.Time // default time.Now
}

// Limits and times; docs/design/019-webhooks.md says why.
const (
	// MaxWebhooks is how many an app may have.
	MaxWebhooks = 20
	// GivesUp is for how long every attempt must fail until a webhook is
	// disabled.
	GivesUp = 3 * 24 * time.Hour
	// KeptFor is how long the log and the deliveries are kept.
	KeptFor = 7 * 24 * time.Hour
	// MaxInFlight is how many requests one endpoint may have at once.
	MaxInFlight = 64
	// keptDeliveries is how many deliveries of a webhook are kept.
	keptDeliveries = 10_000

	defaultLog = 256 << 20
	inFlight   = 8
	interval   = time.Second // how long events may wait for more of a batch
	lease      = time.Minute
	grace      = 2 * time.Second // for an attempt under way when the server stops
	atOnce     = 32              // webhooks that are sent to at the same time
	firstWait  = 5 * time.Second
	longestTry = time.Hour      // between attempts
	longestAsk = 24 * time.Hour // that a Retry-After is obeyed
	purgeEvery = 10 * time.Minute
)

// Sender manages the webhooks of all apps, and sends. It is safe for use by
// several goroutines.
type Sender struct {
	c Config

	slots chan struct{} // a place for each webhook that is sent to
	turn  int           // looks so far; used by Run only

	mu      sync.Mutex // guards what follows
	running map[key]bool
	stats   Stats
	warned  map[key]bool // that they are disabled
}

type key struct {
	app herald.AppKey
	id  string
}

// Stats is how the webhooks of a node stand.
type Stats struct {
	Good, Failing, Disabled int
	// Behind is how many rows of logs wait for the webhook that is most behind,
	// Dropped how many events left logs unsent.
	Behind, Dropped int64
}

// New makes a sender. It sends nothing until Run.
func New(c Config) *Sender {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(bool, int, time.Duration) {}
	}
	if c.Done == nil {
		c.Done = func(context.Context, herald.AppKey, []herald.MessageID) ([]herald.MessageID, error) { return nil, nil }
	}
	if c.InFlight == 0 {
		c.InFlight = inFlight
	}
	if c.LogBytes == 0 {
		c.LogBytes = defaultLog
	}
	return &Sender{c: c, slots: make(chan struct{}, atOnce), running: map[key]bool{}, warned: map[key]bool{}}
}

// Stats tells how the webhooks stood a moment ago.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run sends until ctx ends, and then waits for what is under way.
func (s *Sender) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	purged := s.c.Now()
	for {
		if err := s.look(ctx, &wg); err != nil && ctx.Err() == nil {
			s.c.Log.ErrorContext(ctx, "webhook: the record was not read; trying again", "error", err)
		}
		if now := s.c.Now(); now.Sub(purged) >= purgeEvery {
			purged = now
			s.skipDone(ctx)
			if err := s.c.Store.PurgeWebhooks(ctx, now.Add(-KeptFor), s.c.LogBytes, keptDeliveries); err != nil && ctx.Err() == nil {
				s.c.Log.ErrorContext(ctx, "webhook: old events were not deleted; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look starts sending to every webhook that has something to be sent.
func (s *Sender) look(ctx context.Context, wg *sync.WaitGroup) error {
	list, err := s.c.Store.Webhooks(ctx, "")
	if err != nil {
		return err
	}
	now := s.c.Now()
	s.count(list)
	closing := map[herald.AppKey]bool{}
	s.turn++
	for i := range list {
		w := &list[(i+s.turn)%len(list)] // who came last comes first some time
		if w.Disabled {
			continue
		}
		if (subscription)(w.Events).wants(herald.EventMsgDone) && !closing[w.App] {
			closing[w.App] = true
			if err := s.findDone(ctx, w.App); err != nil && ctx.Err() == nil {
				s.c.Log.ErrorContext(ctx, "webhook: messages that are done were not found; trying again", "app", w.App, "error", err)
			}
		}
		if w.Waiting == 0 && w.Sent.N >= w.LogEnd || now.Before(w.RetryAt) {
			continue
		}
		s.start(ctx, wg, key{w.App, w.ID})
	}
	return nil
}

// start sends to a webhook, unless that is done already or too many are sent to.
func (s *Sender) start(ctx context.Context, wg *sync.WaitGroup, k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[k] {
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return // at the next look
	}
	s.running[k] = true
	wg.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.running, k)
			<-s.slots
		}()
		if err := s.serve(ctx, k); err != nil && ctx.Err() == nil && herald.CodeOf(err) != herald.CodeConflict && herald.CodeOf(err) != herald.CodeNotFound {
			s.c.Log.ErrorContext(ctx, "webhook: sending stopped; trying again", "app", k.app, "webhook", k.id, "error", err)
		}
	})
}

// count keeps how the webhooks stand, and warns once of those that are disabled.
func (s *Sender) count(list []record.Webhook) {
	var n Stats
	warned := map[key]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		w, k := &list[i], key{list[i].App, list[i].ID}
		n.Dropped += w.Dropped
		switch {
		case w.Disabled:
			n.Disabled++
			if warned[k] = true; !s.warned[k] {
				s.c.Log.Warn("a webhook is disabled: nothing is sent to it until it is enabled again", "app", w.App, "webhook", w.ID, "reason", w.Reason)
			}
			continue
		case w.Failures > 0:
			n.Failing++
		default:
			n.Good++
		}
		n.Behind = max(n.Behind, int64(w.LogEnd)-int64(w.Sent.N))
	}
	s.stats, s.warned = n, warned
}
