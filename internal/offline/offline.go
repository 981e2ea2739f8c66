// Package offline finds what waits for a device that connects. Offline
// delivery is a formula, not a mailbox: what was released to the device, less
// what it has received, less what has ended. Nothing is written when a message
// is broadcast to devices that are away.
package offline

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// Config is what a Backlog is made of.
type Config struct {
	Store    Store
	Ledger   *receipt.Ledger
	Registry *registry.Registry
	Now      func() time.Time // default time.Now
}

// Backlog answers what waits. It is safe for use by several goroutines.
type Backlog struct {
	store    Store
	ledger   *receipt.Ledger
	registry *registry.Registry
	now      func() time.Time
	settled  settled
	memory   memory
}

// New makes a backlog.
func New(c Config) *Backlog {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Backlog{store: c.Store, ledger: c.Ledger, registry: c.Registry, now: c.Now}
}

// Device is who asks.
type Device struct {
	App herald.AppKey
	Ord herald.Ordinal
	ID  herald.RegistrationID
}

// Waiting is a release that waits for a device.
type Waiting struct {
	Kind record.ReleaseKind
	Pos  herald.Pos
	Msg  *record.Message
}

// Waiting lists what was released to a device after a position and is neither
// received nor ended, in log order, at most limit. The list is complete up to
// the position upto; more tells whether that is short of the head.
func (b *Backlog) Waiting(ctx context.Context, d Device, after herald.Pos, limit int) (list []Waiting, upto herald.Pos, more bool, err error) {
	app, err := b.registry.App(d.App)
	if err != nil {
		return nil, 0, false, err
	}
	// The head is read first: what is released while we look has a higher
	// position, and is in the next page or comes live.
	head := b.ledger.Released(d.App)
	all, err := b.refs(ctx, d, after, head, limit+1)
	if err != nil {
		return nil, 0, false, err
	}
	upto = head
	if len(all) > limit {
		all, more = all[:limit], true
		upto = all[limit-1].pos
	}
	if all, err = b.read(ctx, d, all); err != nil {
		return nil, 0, false, err
	}
	var ended []record.Event
	list = make([]Waiting, 0, len(all))
	for _, r := range all {
		if r.kind == record.ReleaseMessage {
			end, err := b.ends(ctx, app, d, r.msg)
			if err != nil {
				return nil, 0, false, err
			}
			if end != "" {
				ended = append(ended, b.event(d, r, end, "server"))
				continue
			}
		}
		list = append(list, Waiting{r.kind, r.pos, r.msg})
	}
	if ended != nil {
		b.ledger.Report(d.App, ended...)
	}
	return list, upto, more, nil
}

// ref is a release that may wait, before its message is read.
type ref struct {
	pos  herald.Pos
	kind record.ReleaseKind
	id   herald.MessageID
	msg  *record.Message // nil if it was not read yet
}

// read fills in the messages of refs. What was purged meanwhile is left out.
func (b *Backlog) read(ctx context.Context, d Device, all []ref) ([]ref, error) {
	ids := make([]herald.MessageID, 0, len(all))
	for _, r := range all {
		if r.msg == nil {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return all, nil
	}
	found, err := b.ledger.Catalog().Messages(ctx, d.App, ids)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, r := range all {
		if r.msg == nil {
			r.msg = found[r.id]
		}
		if r.msg != nil {
			out = append(out, r)
		}
	}
	return out, nil
}

// event is what became of a release on a device, now.
func (b *Backlog) event(d Device, r ref, state herald.DeliveryState, via string) record.Event {
	return record.Event{Msg: r.id, State: state, Set: sets.New(d.Ord), Time: b.now(), Via: via}
}

// waiting lists everything that waits for a device up to a position.
func (b *Backlog) waiting(ctx context.Context, d Device, upto herald.Pos) (*registry.App, []ref, error) {
	app, err := b.registry.App(d.App)
	if err != nil {
		return nil, nil, err
	}
	all, err := b.refs(ctx, d, 0, upto, math.MaxInt)
	if err != nil {
		return nil, nil, err
	}
	all, err = b.read(ctx, d, all)
	return app, all, err
}

// refs lists what waits for a device, in log order: enough of it for the first
// so many.
func (b *Backlog) refs(ctx context.Context, d Device, after, head herald.Pos, limit int) ([]ref, error) {
	entries, err := b.entries(ctx, d)
	if err != nil {
		return nil, err
	}
	if len(entries) > herald.MaxPending {
		b.overflow(d, entries[herald.MaxPending:])
		entries = entries[:herald.MaxPending]
	}
	groups, err := b.ledger.WaitingGroups(ctx, d.App, d.Ord, after, head, limit)
	if err != nil {
		return nil, err
	}
	notices, err := b.ledger.Notices(ctx, d.App, d.Ord, after)
	if err != nil {
		return nil, err
	}
	all := make([]ref, 0, len(entries)+len(groups)+len(notices))
	for _, e := range entries {
		all = append(all, ref{pos: e.Pos, kind: record.ReleaseMessage, id: e.Msg, msg: e.Message})
	}
	for _, e := range groups {
		all = append(all, ref{pos: e.Pos, kind: record.ReleaseMessage, id: e.Msg})
	}
	for _, m := range notices {
		all = append(all, ref{pos: m.EndPos, kind: record.ReleaseWithdraw, id: m.ID, msg: m})
	}
	all = slices.DeleteFunc(all, func(r ref) bool { return r.pos <= after || r.pos > head })
	slices.SortFunc(all, func(a, b ref) int { return cmp.Compare(a.pos, b.pos) })
	return all, nil
}

// entries lists the direct messages that wait for a device, newest first, or
// enough of them to see that there are too many. What it has received stays an
// entry until its message ends, so that the oldest that waits may be far back;
// what is known to be settled is not read again.
func (b *Backlog) entries(ctx context.Context, d Device) ([]record.EntryMessage, error) {
	known := b.ledger.Awaits(ctx, d.App, d.Ord, func(ctx context.Context, first, last herald.Ordinal) (*sets.Set, error) {
		return b.store.EntryDevices(ctx, d.App, first, last)
	})
	if !known.May {
		return nil, nil
	}
	after := b.settled.of(d)
	for limit := 2 * herald.MaxPending; ; limit *= 4 {
		all, err := b.entriesOf(ctx, d, after, limit)
		if err != nil {
			return nil, err
		}
		newest, read := herald.Pos(0), len(all)
		if read > 0 {
			newest = all[0].Pos // what does not wait is taken out of the list
		}
		waiting := b.ledger.WaitingMessages(d.App, all)
		b.memory.note(b.ledger.Catalog().Has(waiting), len(waiting))
		if read < limit {
			b.settled.note(d, newest, read, waiting)
			if len(waiting) == 0 {
				b.ledger.NoneWaits(d.App, d.Ord, known)
			}
			return waiting, nil
		}
		if len(waiting) > herald.MaxPending {
			return waiting, nil
		}
	}
}

// entriesOf reads entries, and the messages with them unless most of those are
// in memory.
func (b *Backlog) entriesOf(ctx context.Context, d Device, after herald.Pos, limit int) ([]record.EntryMessage, error) {
	if !b.memory.hasMost() {
		return b.store.EntryMessages(ctx, d.App, d.Ord, after, limit)
	}
	list, err := b.store.Entries(ctx, d.App, d.Ord, after, limit)
	all := make([]record.EntryMessage, len(list))
	for i, e := range list {
		all[i].Entry = e
	}
	return all, err
}

// overflow ends the oldest of more than herald.MaxPending direct messages:
// what is newest is worth most to who comes back after a long time.
func (b *Backlog) overflow(d Device, oldest []record.EntryMessage) {
	events := make([]record.Event, len(oldest))
	for i, e := range oldest {
		events[i] = record.Event{Msg: e.Msg, State: herald.StateOverflow, Set: sets.New(d.Ord), Time: b.now(), Via: "server"}
	}
	b.ledger.Report(d.App, events...)
}

// ends says whether a waiting message must end here instead of being sent.
func (b *Backlog) ends(ctx context.Context, app *registry.App, d Device, m *record.Message) (herald.DeliveryState, error) {
	if !b.now().Before(m.Expires()) {
		return herald.StateExpired, nil
	}
	if !m.ByAlias {
		return "", nil
	}
	row, err := b.registry.Device(ctx, d.App, d.ID)
	if err != nil {
		return "", err
	}
	if row.BoundPos > m.EvalPos {
		return herald.StateRebound, nil
	}
	return "", nil
}

// Resume takes a cursor as acknowledgement: everything of the device's that
// was sent, still waits, and was released at or before it, counts as received,
// durably.
// Up to the position offered everything was queued on a connection of the
// device, and counts as sent although that may not be written yet.
func (b *Backlog) Resume(ctx context.Context, d Device, upto, offered herald.Pos) error {
	// A quick device answers before it is written that the message was sent.
	if err := b.ledger.Settled(ctx, d.App); err != nil {
		return err
	}
	app, all, err := b.waiting(ctx, d, upto)
	if err != nil {
		return err
	}
	var events []record.Event
	for _, r := range all {
		state := herald.StateReceived
		if r.kind == record.ReleaseWithdraw {
			state = record.ToldState
		} else if sent, err := b.wasSent(ctx, app, d, r, offered); err != nil {
			return err
		} else if !sent {
			// A cursor is good for what went out; what did not is sent now.
			continue
		}
		events = append(events, b.event(d, r, state, "cursor"))
	}
	return b.ledger.Apply(ctx, d.App, events...)
}

// wasSent reports whether a release went out to a device and nothing keeps it
// back now: it is written that it did, or it had its turn on an open connection.
// What must end here is no such release even if it was sent. A connection skips
// it, so that a cursor of something behind it does not say that the copy, which
// went to an earlier connection, has arrived; and that it has ended need not be
// written yet, or was lost in a crash.
func (b *Backlog) wasSent(ctx context.Context, app *registry.App, d Device, r ref, offered herald.Pos) (bool, error) {
	state, err := b.ledger.State(ctx, r.msg, d.Ord)
	if errors.Is(err, record.ErrDamaged) {
		err = nil // nobody knows; at worst it is sent once more
	}
	if err != nil || state != herald.StateSent && r.pos > offered {
		return false, err
	}
	end, err := b.ends(ctx, app, d, r.msg)
	return err == nil && end == "", err
}

// Rebound ends what waits for devices by aliases that they have lost at a log
// position. Call it after the aliases have changed, before the caller is told.
// Only messages that were sent by alias are looked at.
func (b *Backlog) Rebound(ctx context.Context, app herald.AppKey, ords *sets.Set, at herald.Pos) error {
	if ords.Empty() {
		return nil
	}
	if _, err := b.registry.App(app); err != nil {
		return err
	}
	head, now := b.ledger.Released(app), b.now()
	entries, err := b.store.AliasEntries(ctx, app, ords, at, now)
	if err != nil {
		return err
	}
	var events []record.Event
	ends := func(id herald.MessageID, set *sets.Set) {
		events = append(events, record.Event{Msg: id, State: herald.StateRebound, Set: set, Time: now, Via: "server"})
	}
	of := map[herald.MessageID]*sets.Set{}
	for _, e := range b.ledger.WaitingOf(app, entries) {
		if e.Pos > head {
			continue // it is not released to anybody yet, and ends when it is
		}
		if of[e.Msg] == nil {
			of[e.Msg] = sets.New()
			ends(e.Msg, of[e.Msg])
		}
		of[e.Msg].Add(e.Ord)
	}
	groups, err := b.ledger.WaitingByAlias(ctx, app, ords, at, head)
	if err != nil {
		return err
	}
	for _, g := range groups {
		ends(g.Msg, g.Ords)
	}
	return b.ledger.Apply(ctx, app, events...)
}

// maxRebindings is how many changes of aliases of an app may have been under way
// at a crash.
const maxRebindings = 4096

// FinishRebindings ends what waits by aliases that were lost in the last changes
// before a start: a crash may have come between a change and what follows from
// it. Until then nothing is sent to the wrong person, because the device's row
// is asked; but what waits would count as pending until the device connects.
// tell is told of each first: which devices, and at which position.
func (b *Backlog) FinishRebindings(ctx context.Context, app herald.AppKey, tell func(ords *sets.Set, at herald.Pos)) error {
	list, err := b.store.Rebindings(ctx, app, maxRebindings)
	if err != nil {
		return err
	}
	for _, r := range list {
		tell(r.Ords, r.Pos)
		if err := b.Rebound(ctx, app, r.Ords, r.Pos); err != nil {
			return err
		}
	}
	return nil
}

// Gone ends everything that waits for a device that was removed at a log
// position.
func (b *Backlog) Gone(ctx context.Context, d Device, at herald.Pos) error {
	_, all, err := b.waiting(ctx, d, b.ledger.Released(d.App))
	if err != nil {
		return err
	}
	var events []record.Event
	for _, r := range all {
		// What was evaluated after the removal never counted the device.
		if r.kind == record.ReleaseMessage && r.msg.EvalPos < at {
			events = append(events, b.event(d, r, herald.StateDeviceGone, "server"))
		}
	}
	return b.ledger.Apply(ctx, d.App, events...)
}
