// Package dispatch takes accepted messages to the channels: it releases them,
// follows the log in order, replaces and withdraws, lets scheduled messages
// fall due and old ones expire. It knows channels only as [Outlet].
//
// Guarantees: what has a place in the log is handed over in log order, one
// goroutine per app; a message is handed to nobody after its TTL, after Withdraw
// has returned, or before it is due; nothing that must happen later is kept
// only in memory.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// Target is what an audience came to.
type Target struct {
	Direct  []herald.Ordinal // up to herald.MaxDirect devices
	Group   *sets.Set        // more than that; nil if Direct holds them
	Devices int64            // alive
	Unknown int64
	Pos     herald.Pos // at which it was evaluated
	ByAlias bool       // it chooses devices by alias, in a segment or a file
}

// Config is what a Dispatcher is made of.
type Config struct {
	Store    Store
	Ledger   *receipt.Ledger
	Registry *registry.Registry
	Outlets  []Outlet
	// Evaluate evaluates the audience of a message that falls due.
	Evaluate func(ctx context.Context, app herald.AppKey, a herald.Audience) (Target, error)
	// Make makes the message of an occurrence of a schedule, or (zero) one for
	// now: everything of the request but what ties it to the schedule. What it refuses with a code other
	// than storage_unavailable and internal is refused for good.
	Make func(ctx context.Context, s *record.Schedule, occurrence time.Time) (Request, error)
	// ScheduleLimit is how many schedules that have not ended an app may have.
	ScheduleLimit int
	// GroupLimit is how many live group messages an app may have.
	GroupLimit int
	// Routes lead beyond the live channel.
	Routes RouteConfig
	Node   int
	Log    *slog.Logger
	Now    func() time.Time // default time.Now
}

// Dispatcher takes messages to the channels. It is safe for use by several
// goroutines.
type Dispatcher struct {
	c   Config
	ids *herald.IDs

	accepted atomic.Uint64
	ctx      context.Context // ends when Close is called
	stop     context.CancelFunc
	wg       sync.WaitGroup
	due      chan struct{} // capacity 1: something falls due now
	routes   chan struct{} // capacity 1: a step of a route may
	turns    *routeTurns
	pause    time.Duration // firstPause, but for tests
	patience time.Duration // patience, but for tests

	mu        sync.Mutex
	followers map[herald.AppKey]*follower
	caps      map[herald.AppKey]*capBook
	stuck     map[herald.MessageID]string // why due messages are not released, as was logged
}

// New makes a dispatcher. It reads the highest ID, so that its own are
// above it whatever the clock says.
func New(ctx context.Context, c Config) (*Dispatcher, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.GroupLimit == 0 {
		c.GroupLimit = herald.MaxGroupMessages
	}
	if c.ScheduleLimit == 0 {
		c.ScheduleLimit = herald.MaxSchedules
	}
	last, err := c.Store.MaxMessageID(ctx)
	if err != nil {
		return nil, err
	}
	schedule, err := c.Store.MaxScheduleID(ctx)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{c: c, ids: herald.NewIDs(c.Node, max(last, schedule)), followers: map[herald.AppKey]*follower{}, due: make(chan struct{}, 1), routes: make(chan struct{}, 1), turns: newRouteTurns(), pause: firstPause, patience: patience}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	return d, nil
}

// Accepted is how many messages were taken since the start, the refused and
// repeated ones included.
func (d *Dispatcher) Accepted() uint64 { return d.accepted.Load() }

// NextID gives an ID above those of all messages so far, for what is named like
// a message and is none.
func (d *Dispatcher) NextID() herald.MessageID { return d.ids.Next(d.c.Now().UTC()) }

// Start begins to follow the log of every app and to do what falls due.
func (d *Dispatcher) Start(ctx context.Context) error {
	for _, key := range d.c.Registry.Apps() {
		if err := d.Follow(ctx, key); err != nil {
			return err
		}
	}
	d.wg.Go(d.keepTime)
	if d.c.Routes.Vendors != nil {
		d.wg.Go(d.keepRoutes)
	}
	return nil
}

// again is how many log positions before the head are gone through once more
// at start.
const again = 4096

// Follow loads the states of an app and follows its log from its head on: what
// was released before waits in the backlog of its devices.
func (d *Dispatcher) Follow(ctx context.Context, key herald.AppKey) error {
	head, err := d.c.Registry.Head(ctx, key)
	if err != nil {
		return err
	}
	if err := d.c.Ledger.Load(ctx, key); err != nil {
		return err
	}
	d.c.Ledger.Advance(key, head.Pos)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.followers[key] != nil {
		return nil
	}
	// A crash may have come between a release and what follows from it, such
	// as ends of older messages. Doing the last releases again is harmless:
	// what they change is changed already, and no session that connects from
	// now on is behind the head.
	from := head.Pos - min(head.Pos, again)
	f := &follower{d: d, app: key, wake: make(chan struct{}, 1), pos: from}
	f.wake <- struct{}{}
	d.followers[key] = f
	d.wg.Go(f.run)
	return nil
}

// OnRelease is for the store to call after a commit that took a place in the
// log for a release. It only wakes.
func (d *Dispatcher) OnRelease(key herald.AppKey, _ herald.Pos) {
	if f := d.follower(key); f != nil {
		f.lose()
		f.rouse()
	}
}

// OnAccepted is OnRelease for a release that came with its message, which then
// need not be read from the record. The message is kept.
func (d *Dispatcher) OnAccepted(m *record.Message) {
	if f := d.follower(m.App); f != nil {
		f.note(m)
		f.rouse()
	}
}

func (d *Dispatcher) follower(key herald.AppKey) *follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.followers[key]
}

// Close stops following. What was accepted and not handed over yet waits in
// the record.
func (d *Dispatcher) Close() {
	d.stop()
	d.wg.Wait()
}

// Answered gives the answer to an earlier call with an idempotency key, which
// stands although the same call would be refused now; nil if there was none.
func (d *Dispatcher) Answered(ctx context.Context, app herald.AppKey, i record.Idempotency) ([]byte, error) {
	return d.c.Store.Answered(ctx, app, i)
}

// aim gives a message its target.
func aim(m *record.Message, t Target) {
	m.Direct, m.Target, m.Unknown, m.EvalPos = t.Direct, t.Devices, t.Unknown, t.Pos
	if t.Group != nil {
		m.Group = record.WholeImage(t.Group)
	}
	m.ByAlias = t.ByAlias || m.Audience.ByAlias()
}

// now hands over a message with TTL 0 to whoever is connected.
func (d *Dispatcher) now(ctx context.Context, m *record.Message) error {
	// What is at hand as a body need not be written again for each transport.
	m.Content = herald.Content{}
	if m.Group != nil {
		d.c.Ledger.TrackVolatile(m)
		return d.c.Ledger.PendingIn(ctx, m, d.here(m.App), func(to *sets.Set) error {
			return d.deliver(ctx, record.ReleaseMessage, m, 0, to)
		})
	}
	// Volatile messages are held as groups, because their few devices have no
	// delivery numbers. All of them were alive when the audience was evaluated,
	// and none has got the message yet; to ask who is here would take longer
	// than to offer it to them.
	to := sets.New(m.Direct...)
	m.Group, m.Direct = record.WholeImage(to), nil
	d.c.Ledger.TrackVolatile(m)
	if to.Empty() {
		return nil
	}
	return d.deliver(ctx, record.ReleaseMessage, m, 0, to)
}

// here gives the devices that outlets could reach now; nil if one of them does
// not know.
func (d *Dispatcher) here(app herald.AppKey) *sets.Set {
	var out *sets.Set
	for _, o := range d.c.Outlets {
		p, ok := o.(Presence)
		switch {
		case !ok:
			return nil
		case out == nil:
			out = p.Online(app)
		default:
			out.Or(p.Online(app))
		}
	}
	if out == nil {
		out = sets.New()
	}
	return out
}

// deliver hands a message to the outlets, slab by slab. Each outlet is asked for
// those whom the ones before it did not reach.
func (d *Dispatcher) deliver(ctx context.Context, kind record.ReleaseKind, m *record.Message, pos herald.Pos, to *sets.Set) error {
	if to.OneSlab() { // which needs no part of its own
		return d.deliverSlab(ctx, record.Handover{App: m.App, Kind: kind, Msg: m, Pos: pos, Set: to})
	}
	var errs []error
	for _, part := range to.Slabs() {
		errs = append(errs, d.deliverSlab(ctx, record.Handover{App: m.App, Kind: kind, Msg: m, Pos: pos, Set: part}))
	}
	return errors.Join(errs...)
}

// deliverSlab hands a message to the outlets for devices of one slab.
func (d *Dispatcher) deliverSlab(ctx context.Context, h record.Handover) error {
	var errs []error
	for i, o := range d.c.Outlets {
		h.At = d.c.Now()
		took, err := o.Deliver(ctx, h)
		faults.Point("handed")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i == len(d.c.Outlets)-1 {
			break
		}
		if h.Set = sets.Minus(h.Set, took); h.Set.Empty() {
			break
		}
	}
	return errors.Join(errs...)
}

// Withdraw ends a message. When it returns nobody is sent the message any
// more; those who have it are told, now or when they connect.
func (d *Dispatcher) Withdraw(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	if _, volatile := d.c.Ledger.Volatile(app, id); volatile {
		return nil, herald.Errorf(herald.CodeConflict, "Send with a ttl above 0 what you may have to withdraw.", "the message had TTL 0, and is gone already")
	}
	now := d.c.Now().UTC()
	pos, err := d.c.Store.EndMessage(ctx, app, id, herald.MessageWithdrawn, now)
	if err != nil {
		return nil, err
	}
	if f := d.follower(app); f != nil && pos > 0 {
		if err := f.reach(ctx, pos); err != nil {
			return nil, err
		}
	}
	return d.c.Store.Message(ctx, app, id)
}

// Settle ends deliveries of a message that has ended itself: a crash may have
// come between the two. It is a no-op for every other message.
func (d *Dispatcher) Settle(ctx context.Context, m *record.Message) error {
	state, ended := endOf[m.State]
	if !ended && m.Planned() {
		return d.settleStop(ctx, m)
	}
	if !ended || m.Pos == 0 {
		return nil
	}
	c, err := d.c.Ledger.Counts(ctx, m)
	if err != nil || !c.Open() {
		return err
	}
	return d.c.Ledger.End(ctx, m.App, m, state)
}

// endOf is the state in which deliveries of an ended message end.
var endOf = map[herald.MessageState]herald.DeliveryState{
	herald.MessageWithdrawn: herald.StateWithdrawn,
	herald.MessageReplaced:  herald.StateReplaced,
	herald.MessageExpired:   herald.StateExpired,
}
