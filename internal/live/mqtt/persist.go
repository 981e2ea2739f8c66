package mqtt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// How the topic log is read, and how often what is done is written.
const (
	readPage   = 50
	firstRetry = 100 * time.Millisecond
	longRetry  = 30 * time.Second
	lazyDone   = 64 // acknowledgements that are written together
)

// persist is what an exchange has beside the rest if its session outlives the
// connection.
//
// Stored publications are sent strictly in the order of their positions, as
// live.Session sends releases: high is the position up to which everything was
// sent on this connection or need not be. While reading, the log is read from
// there, and what the hub brings is only noted, as missed; when a page is
// complete up to the head and high has come to missed, the session takes what the
// hub brings. Where there is no room it goes back to reading.
type persist struct {
	sessions live.TopicSessions
	app      herald.AppKey
	client   string

	high    herald.Pos
	before  time.Time // in place of unsent, if that is not known
	missed  herald.Pos
	unsent  herald.Pos // from there on no entry was sent on an earlier connection
	reading bool
	stuck   bool // reading has stopped for want of room
	retries uint8
	timer   *time.Timer // until the log is read again after an error

	// next is what has changed and was not given to the record, then what is
	// answered when that is durable. One change is under way at a time, but for
	// the last; so what comes meanwhile is written together.
	next  record.TopicSessionChange
	then  []noted
	dirty bool // there is something in next that is not only Done
	busy  bool
	owed  int // answers of the change under way

	order   sync.Mutex // held while the record is told; taken before the lock of the exchange
	calling bool       // that is going on; guarded by the lock of the exchange, like what is above
	again   bool
}

// noted is what is answered when a change is durable: a PUBREL or PUBCOMP, or a
// whole packet.
type noted struct {
	kind   packet.Type
	id     uint16
	answer live.Frame
	kept   []retainedFor
	suback *packet.Suback // to which it belongs, for the case that it fails
}

// resume goes on with a session that persists. It is called once, on a worker of
// the hub, when the CONNACK is queued and before any packet of the client is
// acted on.
func (x *exchange) resume(ctx context.Context, state record.TopicSessionState) {
	who := x.who()
	var subs []subscription
	var gone []string
	for _, s := range state.Subs {
		if err := x.c.session.SubscribeFilter(s.Filter); err != nil {
			if herald.CodeOf(err) == herald.CodeForbidden || herald.CodeOf(err) == herald.CodeInvalidRequest {
				gone = append(gone, s.Filter)
			}
			continue
		}
		subs = append(subs, subscription{s.Filter, s.ID, packet.QoS(s.QoS), s.NoLocal, s.RetainAsPublished})
	}
	slices.SortFunc(subs, func(a, b subscription) int { return strings.Compare(a.filter, b.filter) })
	x.mu.Lock()
	if x.over { // another connection has the session
		x.mu.Unlock()
		return
	}
	k := &persist{
		sessions: x.c.broker().config.Sessions, app: who.device.App, client: who.client,
		high: state.Read, reading: true, unsent: state.Unsent,
	}
	if state.Unsent == 0 { // an earlier server did not come to say it
		k.before = time.Now()
	}
	x.keep, x.subs = k, subs
	if len(gone) > 0 {
		k.unsubscribe(gone, noted{})
		x.todo |= todoChange
	}
	if len(state.In) > 0 {
		x.incoming().taken = slices.Clone(state.In)
	}
	for _, pos := range state.Released { // MQTT-4.4.0-1
		id := packetID(pos)
		x.out.add(flight{id: id, stage: stageComp, ref: int64(pos)})
		x.answer(packet.PUBREL, id, packet.Success)
	}
	x.unlock()
	x.read(ctx)
}

// stored sends a publication of the topic log that the hub brings, or leaves it
// to the reading of the log. The lock is held.
func (x *exchange) stored(o *live.Outgoing, m manner) {
	k := x.keep
	switch {
	case o.Pos <= k.high:
	case k.reading:
		k.missed = max(k.missed, o.Pos)
	case len(x.behindWith().wait) > 0 || x.out.n >= x.publicationWindow():
		x.behind(o.Pos)
	default:
		x.store(o, m)
	}
}

// store sends a stored publication, and reports whether it has taken it; if not,
// the log is read from there when there is room. The lock is held.
func (x *exchange) store(o *live.Outgoing, m manner) bool {
	k := x.keep
	err := x.send(o, m)
	switch {
	case errors.Is(err, errTooLarge):
		k.done(o.Pos)
	case err != nil:
		x.behind(o.Pos)
		return false
	}
	k.high = o.Pos
	return true
}

// behind has the log read when there is room; the lock is held.
func (x *exchange) behind(pos herald.Pos) {
	k := x.keep
	k.reading, k.stuck, k.missed = true, true, max(k.missed, pos)
}

// read sends what the topic log has, a page at a time, until the session is live
// or there is no more room. It runs on a worker of the hub.
func (x *exchange) read(ctx context.Context) {
	for x.readOn(ctx) {
	}
}

// readOn reads and sends one page, and reports whether there may be more.
func (x *exchange) readOn(ctx context.Context) bool {
	x.mu.Lock()
	k := x.keep
	if x.over || !k.reading || k.stuck {
		x.mu.Unlock()
		return false
	}
	free, after := x.publicationWindow()-x.out.n, k.high
	if free <= 0 || len(x.behindWith().wait) > 0 {
		k.stuck = true
		x.mu.Unlock()
		return false
	}
	x.mu.Unlock()
	list, upto, more, err := k.sessions.Read(ctx, k.app, k.client, after, min(free, readPage))
	x.mu.Lock()
	defer x.unlock()
	switch {
	case x.over:
		return false
	case err != nil:
		if ctx.Err() == nil {
			x.c.broker().config.Log.Warn("the topic log cannot be read", "error", err)
		}
		x.later()
		return false
	}
	for i := range list {
		if !x.sendEntry(&list[i]) {
			return false
		}
	}
	progress := upto > k.high || len(list) > 0
	k.high = max(k.high, upto)
	if !more && k.missed <= k.high {
		k.reading, k.missed, k.retries = false, 0, 0
		return false
	}
	if !progress { // the log does not show yet what the hub has brought
		x.later()
	}
	return progress
}

// later has the log read again after a while; the lock is held.
func (x *exchange) later() {
	k := x.keep
	wait := min(firstRetry<<k.retries, longRetry)
	if wait < longRetry {
		k.retries++
	}
	if k.timer != nil {
		k.timer.Stop()
	}
	k.timer = time.AfterFunc(wait, func() { x.c.session.Do(x.read) })
}

// sendEntry sends an entry of the topic log, and reports whether there was room.
func (x *exchange) sendEntry(e *record.TopicEntry) bool {
	k := x.keep
	if e.Pos <= k.high || x.out.find(packetID(e.Pos)) != nil && x.out.find(packetID(e.Pos)).pos() == e.Pos {
		return true
	}
	o := &live.Outgoing{Publication: live.PublicationOf(e)}
	var filters []herald.TopicFilter
	var groups []string
	for _, f := range e.Filters {
		if group, _ := herald.SplitShare(f); group != "" {
			groups = append(groups, f)
		} else {
			filters = append(filters, herald.TopicFilter(f))
		}
	}
	m, ok := x.choose(&o.Publication, filters, groups)
	if !ok || m.qos == 0 {
		k.done(e.Pos)
		k.high = e.Pos
		return true
	}
	if m.again = e.Pos < k.unsent || !e.Time.After(k.before); x.out.n >= x.publicationWindow() {
		k.stuck = true
		return false
	}
	return x.store(o, m)
}

// released notes that a PUBREC came, of what stands at a position or, if that is
// 0, of what is not in the log: its PUBREL follows.
func (k *persist) released(pos herald.Pos, id uint16) {
	if pos != 0 {
		k.next.Released = append(k.next.Released, pos)
	}
	k.then = append(k.then, noted{kind: packet.PUBREL, id: id})
	k.dirty = true
}

// forget notes that a PUBREL came: its PUBCOMP follows.
func (k *persist) forget(id uint16) {
	k.next.InDone = append(k.next.InDone, id)
	k.then = append(k.then, noted{kind: packet.PUBCOMP, id: id})
	k.dirty = true
}

// done notes that an entry is done with.
func (k *persist) done(pos herald.Pos) { k.next.Done = append(k.next.Done, pos) }

// due reports whether what is done is to be written.
func (k *persist) due(idle bool) bool {
	return len(k.next.Done) >= lazyDone || idle && len(k.next.Done) > 0
}

// waits reports whether a packet of a kind waits for a change.
func (k *persist) waits(kind packet.Type) bool {
	return k.owed > 0 || slices.ContainsFunc(k.then, func(n noted) bool { return n.kind == kind })
}

// subscribe notes subscriptions, whose SUBACK follows.
func (k *persist) subscribe(now []subscription, options []packet.Subscription, n noted) {
	for i := range now {
		s := &now[i]
		at := slices.IndexFunc(options, func(o packet.Subscription) bool { return o.Filter == s.filter })
		k.next.Unsubscribe = slices.DeleteFunc(k.next.Unsubscribe, func(f string) bool { return f == s.filter })
		k.next.Subscribe = slices.DeleteFunc(k.next.Subscribe, func(t record.TopicSub) bool { return t.Filter == s.filter })
		k.next.Subscribe = append(k.next.Subscribe, s.recorded(&options[at]))
	}
	k.then = append(k.then, n)
	k.dirty = true
}

// unsubscribe notes the end of subscriptions, whose UNSUBACK follows.
func (k *persist) unsubscribe(filters []string, n noted) {
	for _, f := range filters {
		k.next.Subscribe = slices.DeleteFunc(k.next.Subscribe, func(t record.TopicSub) bool { return t.Filter == f })
		k.next.Unsubscribe = append(k.next.Unsubscribe, f)
	}
	if n.answer != nil {
		k.then = append(k.then, n)
	}
	k.dirty = true
}

// take gives what is to be written now. Where only entries are done with it may
// be written late: what is lost of that costs a copy with the same identifier.
// The lock is held.
func (x *exchange) take() (c record.TopicSessionChange, then []noted) {
	k := x.keep
	c, then = k.next, k.then
	low := x.out.lowest()
	if low == 0 {
		low = k.high + 1
	}
	c.Read = low - 1
	c.Lazy = !k.dirty
	k.next, k.then, k.dirty = record.TopicSessionChange{}, nil, false
	return c, then
}

// change tells the record what has changed, unless it is being told something.
func (x *exchange) change() {
	k := x.keep
	k.order.Lock()
	defer k.order.Unlock()
	for {
		x.mu.Lock()
		if k.busy || !k.dirty && len(k.next.Done) == 0 {
			x.mu.Unlock()
			return
		}
		c, then := x.take()
		k.calling, k.again = true, false
		if k.busy = !c.Lazy; k.busy {
			k.owed = len(then)
		}
		x.mu.Unlock()
		if c.Lazy {
			k.sessions.Change(k.app, k.client, c, nil)
		} else {
			k.sessions.Change(k.app, k.client, c, func(err error) { x.changed(then, err) })
		}
		x.mu.Lock()
		k.calling = false
		again := k.again
		x.mu.Unlock()
		if !again {
			return
		}
	}
}

// changed answers what has waited for a change.
func (x *exchange) changed(then []noted, err error) {
	x.mu.Lock()
	k := x.keep
	k.busy, k.owed = false, 0
	if err == nil {
		for i := range then {
			x.answerNoted(&then[i])
		}
	} else if !x.over && len(then) > 0 {
		// The client comes back and goes on from what the record has.
		x.fault = &packet.Error{Code: packet.ServerBusy, Text: "the session cannot be written now"}
	}
	if k.dirty || k.due(x.out.n == 0) {
		if k.calling {
			k.again = true
		} else {
			x.todo |= todoChange
		}
	}
	x.unlock()
}

// answerNoted sends what follows on a change that is durable; the lock is held.
func (x *exchange) answerNoted(n *noted) {
	if x.over {
		return
	}
	switch {
	case n.suback != nil:
		x.subscribed(n.answer, n.kept)
	case n.answer != nil:
		x.say(n.answer)
	case n.kind == packet.PUBREL:
		if f := x.out.find(n.id); f != nil && f.stage == stageNoted {
			f.stage = stageComp
			x.answer(packet.PUBREL, n.id, packet.Success)
		}
	default:
		x.answer(n.kind, n.id, packet.Success)
	}
}

// closed tells the record what it has not been told. No packet of the client is
// acted on any more, and the lock is not held.
func (k *persist) closed(x *exchange) {
	k.order.Lock()
	defer k.order.Unlock()
	x.mu.Lock()
	c, _ := x.take()
	c.Unsent, c.Lazy = k.high+1, false
	x.mu.Unlock()
	k.sessions.Change(k.app, k.client, c, nil)
}
