// Package receipt is the only writer of delivery states. It takes every event
// (sent, received, displayed, clicked, an end), writes it to the receipt log,
// and grows the sets that the states are.
//
// Guarantees: an event changes memory, counts and answers only after it is
// durable; reported again it changes nothing, because a set has a member once;
// what does not belong to a message's target is dropped; states move forward
// only. Report never blocks on the store. Events of one app are applied in the
// order in which they were reported.
package receipt

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Config is what a Ledger is made of.
type Config struct {
	Store    Store
	Messages MessageSource
	// Plans is asked for messages that are released in steps.
	Plans PlanStore
	// DeadAt gives the devices of an app that had been removed at a log
	// position: they are in the images of group messages evaluated there, and
	// count for nothing. The set is the ledger's own.
	DeadAt func(app herald.AppKey, pos herald.Pos) *sets.Set
	// Memory is how many bytes the targets and states of group messages may
	// take, of all apps together; the rest is read from the record. 0 means
	// 512 MiB.
	Memory int64
	// Small is how many devices a group message may have whose states are held
	// and stored in one piece; it must not change. 0 means 8,192, which is also
	// the most, -1 none.
	Small int64
	// BundleLeast is of how many messages strips are made, and BundleAfter how old
	// these are: see Bundle. 0 means 32 and ten minutes; a negative time none.
	BundleLeast int
	BundleAfter time.Duration
	// Room says whether the disk has room for strips, which the record can do
	// without. nil means that it has.
	Room func() bool
	// Observe, if set, is told how many deliveries came to a state.
	Observe func(state herald.DeliveryState, n int64)
	Log     *slog.Logger
	Now     func() time.Time // default time.Now
}

const defaultMemory = 512 << 20

// Ledger holds the delivery states of all apps. It is safe for use by several
// goroutines.
type Ledger struct {
	store    Store
	messages *Catalog
	source   MessageSource
	deadAt   func(app herald.AppKey, pos herald.Pos) *sets.Set
	observe  func(herald.DeliveryState, int64)
	log      *slog.Logger
	now      func() time.Time
	cache    *cache
	tallied  *tallied
	small    int64
	plans    plans
	bundling bundling

	ctx  context.Context // ends when Close has given up on the store
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	books map[herald.AppKey]*book
}

// New makes an empty ledger; Load fills it, app by app.
func New(c Config) *Ledger {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(herald.DeliveryState, int64) {}
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Small == 0 || c.Small > smallGroup {
		c.Small = smallGroup
	}
	if c.BundleLeast == 0 {
		c.BundleLeast = bundleLeast
	}
	if c.BundleAfter == 0 {
		c.BundleAfter = bundleAfter
	}
	if c.Room == nil {
		c.Room = func() bool { return true }
	}
	if c.Plans == nil {
		c.Plans = noPlans{}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Ledger{
		store: c.Store, messages: NewCatalog(c.Messages), source: c.Messages, deadAt: c.DeadAt, observe: c.Observe,
		log: c.Log, now: c.Now, ctx: ctx, stop: stop, books: map[herald.AppKey]*book{},
		cache: newCache(c.Memory), tallied: &tallied{most: int(c.Memory / 16 / tallySize)}, small: c.Small,
		plans: plans{store: c.Plans}, bundling: bundling{least: c.BundleLeast, after: max(c.BundleAfter, 0), room: c.Room},
	}
}

// Cache tells what the cache of group messages has done.
func (l *Ledger) Cache() CacheStats { return l.cache.now() }

// Catalog is the ledger's cache of messages, which other stages share.
func (l *Ledger) Catalog() *Catalog { return l.messages }

// Load reads the states of an app from the record: those of direct messages,
// and of group messages that there are. Call it before anything is reported of
// the app.
func (l *Ledger) Load(ctx context.Context, app herald.AppKey) error {
	b := l.book(app)
	groups, err := l.source.LiveGroups(ctx, app)
	if err != nil {
		return err
	}
	withdrawn, err := l.source.Withdrawn(ctx, app, l.now().Add(-herald.LateReceipts))
	if err != nil {
		return err
	}
	for i, m := range withdrawn {
		withdrawn[i] = slim(m)
	}
	// The log is read to its end first: applying reads messages, and who walks
	// the log must not call the store.
	var log []record.Batch
	if err := l.store.ReceiptLog(ctx, app, func(batch record.Batch) error {
		log = append(log, batch)
		return nil
	}); err != nil {
		return err
	}
	b.mu.Lock()
	err = l.store.StateChunks(ctx, app, 0, func(c record.Chunk) error {
		b.direct.load(c)
		return nil
	})
	for _, m := range groups {
		b.take(l.newGroup(m), m)
	}
	b.notices, b.loading = withdrawn, true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.loading = false
		b.mu.Unlock()
	}()
	if err != nil {
		return err
	}
	if err := b.loadBundles(ctx); err != nil {
		return err
	}
	for _, batch := range log {
		if err := b.replayBatch(ctx, batch.Events); err != nil {
			return err
		}
		b.mu.Lock()
		b.tail = append(b.tail, batch)
		b.unfolded += len(batch.Events)
		b.mu.Unlock()
		if l.cache.crowded() {
			if err := b.fold(ctx, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) book(app herald.AppKey) *book {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[app]
	if b == nil {
		b = &book{
			ledger: l, app: app, hurry: make(chan struct{}, 1), direct: numbers{}, byID: map[herald.MessageID]*group{},
			volatile: map[herald.MessageID]*group{}, dirty: map[cellKey]*entry{},
			bundles: map[sets.Slab][]*bundle{},
		}
		b.small.reserve, b.aliasedSmall.reserve = l.cache.reserve, l.cache.reserve
		l.books[app] = b
	}
	return b
}

// Report queues events of one app. It returns at once.
func (l *Ledger) Report(app herald.AppKey, events ...record.Event) {
	b := l.book(app)
	if events = b.reportVolatile(events); len(events) > 0 {
		b.enqueue(events, nil)
	}
}

// Apply reports events and waits until they are durable and counted.
func (l *Ledger) Apply(ctx context.Context, app herald.AppKey, events ...record.Event) error {
	if len(events) == 0 {
		return nil
	}
	return l.apply(ctx, app, events)
}

// Settled waits until everything that was reported of an app before the call
// is durable and counted.
func (l *Ledger) Settled(ctx context.Context, app herald.AppKey) error {
	if l.book(app).isSettled() {
		return nil
	}
	return l.apply(ctx, app, nil)
}

func (l *Ledger) apply(ctx context.Context, app herald.AppKey, events []record.Event) error {
	done := make(chan error, 1)
	l.book(app).enqueue(events, done)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		return herald.Errorf(herald.CodeDraining, "Repeat the call.", "the server is stopping")
	}
}

// Close writes what is queued, folds the log, and stops. Until ctx ends it
// keeps trying.
func (l *Ledger) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		l.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
		err = l.Fold(ctx, true)
	case <-ctx.Done():
		err = errors.Join(ctx.Err(), errors.New("receipt: events were still waiting for the store; devices will be sent those messages again"))
	}
	l.stop()
	<-done
	return err
}
