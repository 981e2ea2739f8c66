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
	// DeadAt gives the devices of an app that had been removed at a log
	// position: they are in the images of group messages evaluated there, and
	// count for nothing. The set is the ledger's own.
	DeadAt func(app herald.AppKey, pos herald.Pos) *sets.Set
	// Observe, if set, is told how many deliveries came to a state.
	Observe func(state herald.DeliveryState, n int64)
	Log     *slog.Logger
	Now     func() time.Time // default time.Now
}

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
	ctx, stop := context.WithCancel(context.Background())
	return &Ledger{
		store: c.Store, messages: NewCatalog(c.Messages), source: c.Messages, deadAt: c.DeadAt, observe: c.Observe,
		log: c.Log, now: c.Now, ctx: ctx, stop: stop, books: map[herald.AppKey]*book{},
	}
}

// Catalog is the ledger's cache of messages, which other stages share.
func (l *Ledger) Catalog() *Catalog { return l.messages }

// Load reads the states of an app from the record. Call it before anything is
// reported of the app.
func (l *Ledger) Load(ctx context.Context, app herald.AppKey) error {
	b := l.book(app)
	b.mu.Lock()
	defer b.mu.Unlock()
	err := l.store.StateChunks(ctx, app, 0, func(c record.Chunk) error {
		b.direct.load(c)
		return nil
	})
	if err != nil {
		return err
	}
	groups, err := l.source.LiveGroups(ctx, app)
	if err != nil {
		return err
	}
	for _, m := range groups {
		g, err := l.loadGroup(ctx, app, m)
		if err != nil {
			return err
		}
		b.groups = append(b.groups, g)
		b.byID[m.ID] = g
	}
	withdrawn, err := l.source.Withdrawn(ctx, app, l.now().Add(-herald.LateReceipts))
	if err != nil {
		return err
	}
	b.notices = withdrawn
	// The log is read to its end first: applying reads messages, and who walks
	// the log must not call the store.
	if err := l.store.ReceiptLog(ctx, app, func(batch record.Batch) error {
		b.tail = append(b.tail, batch)
		return nil
	}); err != nil {
		return err
	}
	b.loading = true
	defer func() { b.loading = false }()
	for _, batch := range b.tail {
		for _, e := range batch.Events {
			if err := b.apply(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) loadGroup(ctx context.Context, app herald.AppKey, m *record.Message) (*group, error) {
	g := newGroup(m)
	err := l.store.StateChunks(ctx, app, m.ID, func(c record.Chunk) error {
		if c.State != record.TargetState {
			g.set(c.State).Or(c.Bits)
		}
		return nil
	})
	return g, err
}

func (l *Ledger) book(app herald.AppKey) *book {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[app]
	if b == nil {
		b = &book{
			ledger: l, app: app, direct: numbers{}, byID: map[herald.MessageID]*group{},
			volatile: map[herald.MessageID]*group{}, dirty: map[chunkKey]struct{}{},
		}
		l.books[app] = b
	}
	return b
}

// Report queues events of one app. It returns at once.
func (l *Ledger) Report(app herald.AppKey, events ...record.Event) {
	l.book(app).enqueue(events, nil)
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
func (l *Ledger) Settled(ctx context.Context, app herald.AppKey) error { return l.apply(ctx, app, nil) }

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

// End ends the deliveries of a whole message. Those that were never sent get
// the state; those that were sent and not acknowledged become unconfirmed.
func (l *Ledger) End(ctx context.Context, app herald.AppKey, m *record.Message, state herald.DeliveryState) error {
	b := l.book(app)
	return l.Apply(ctx, app, record.Event{Msg: m.ID, State: state, Set: b.target(m), Time: l.now(), Via: "server"})
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
