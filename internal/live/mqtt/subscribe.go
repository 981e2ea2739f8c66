package mqtt

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// subscription is one filter of a session with its options (MQTT 5.0 section
// 3.8.3.1). The list of a session is sorted by filter.
type subscription struct {
	filter  string
	id      uint32 // subscription identifier; 0 for none
	qos     packet.QoS
	noLocal bool
	retain  bool // the flag stays as it was published
}

// retainedFor are the retained messages that a subscription brings.
type retainedFor struct {
	subscription
	after herald.Topic // they were sent up to there
}

// find gives the place of a filter; the lock is held.
func (x *exchange) find(filter string) (int, bool) {
	return slices.BinarySearchFunc(x.subs, filter, func(s subscription, f string) int { return strings.Compare(s.filter, f) })
}

// subscribe takes a SUBSCRIBE. An error closes the connection.
func (x *exchange) subscribe(s *packet.Subscribe) error {
	id := uint32(0)
	if n := len(s.Props.SubscriptionIDs); n > 1 {
		return violation("more than one subscription identifier")
	} else if n == 1 {
		id = s.Props.SubscriptionIDs[0]
	}
	answer := &packet.Suback{ID: s.ID, Codes: make([]packet.Code, len(s.List))}
	var now []subscription // those that were granted
	var kept []retainedFor
	for i, f := range s.List {
		code, isNew := x.subscribeTo(&f)
		if answer.Codes[i] = code; code.Failed() || f.Filter == pushTopic {
			continue
		}
		if f.NoLocal {
			x.who()
		}
		sub := subscription{strings.Clone(f.Filter), id, f.QoS, f.NoLocal, f.RetainAsPublished}
		now = append(now, sub)
		if f.RetainHandling == 0 || f.RetainHandling == 1 && isNew {
			if group, _ := herald.SplitShare(f.Filter); group == "" { // MQTT 5.0 section 4.8.2
				kept = append(kept, retainedFor{subscription: sub})
			}
		}
	}
	x.mu.Lock()
	defer x.unlock()
	for _, sub := range now {
		x.setSubscription(sub)
	}
	if x.keep == nil || len(now) == 0 {
		x.subscribed(frame(answer, x.c.version), kept)
		return nil
	}
	x.keep.subscribe(now, s.List, noted{answer: frame(answer, x.c.version), suback: answer, kept: kept})
	x.todo |= todoChange
	return nil
}

// subscribed answers a SUBSCRIBE; what is retained comes after that. The lock is
// held.
func (x *exchange) subscribed(suback live.Frame, kept []retainedFor) {
	x.say(suback)
	if len(kept) > 0 {
		x.lags().kept = append(x.lags().kept, kept...)
		x.todo |= todoRetained
	}
}

// setSubscription notes a subscription in place of what the session had for the
// filter (MQTT-3.8.4-3); the lock is held.
func (x *exchange) setSubscription(s subscription) {
	i, ok := x.find(s.filter)
	if ok {
		s.filter = x.subs[i].filter
		x.subs[i] = s
		return
	}
	if x.subs == nil {
		x.subs = make([]subscription, 0, 1) // most have one
	}
	x.subs = slices.Insert(x.subs, i, s)
}

// subscribeTo has the hub match a filter from now on. It gives the code of the
// answer, and whether there was no such subscription.
func (x *exchange) subscribeTo(f *packet.Subscription) (code packet.Code, isNew bool) {
	switch {
	case f.Filter == pushTopic:
		return packet.Code(min(f.QoS, 1)), false // pushes come without it
	case !packet.ValidFilter(f.Filter):
		return packet.TopicFilterInvalid, false
	case f.NoLocal && strings.HasPrefix(f.Filter, "$share/"):
		return packet.ProtocolError, false
	}
	x.mu.Lock()
	_, had := x.find(f.Filter)
	x.mu.Unlock()
	if err := x.c.session.SubscribeFilter(f.Filter); err != nil {
		if herald.CodeOf(err) == herald.CodeInvalidRequest {
			return packet.TopicFilterInvalid, false
		}
		return codeOf(err), false
	}
	return packet.Code(f.QoS), !had
}

// unsubscribe takes an UNSUBSCRIBE.
func (x *exchange) unsubscribe(u *packet.Unsubscribe) error {
	answer := &packet.Unsuback{ID: u.ID, Codes: make([]packet.Code, len(u.Filters))}
	for i, f := range u.Filters {
		answer.Codes[i] = packet.NoSubscriptionExisted
		if x.c.session.UnsubscribeFilter(f) {
			answer.Codes[i] = packet.Success
		}
		if !packet.ValidFilter(f) {
			answer.Codes[i] = packet.TopicFilterInvalid
		}
	}
	x.mu.Lock()
	defer x.unlock()
	var gone []string
	for _, f := range u.Filters {
		if x.dropSubscription(f) {
			gone = append(gone, strings.Clone(f))
		}
	}
	if x.keep == nil || len(gone) == 0 {
		x.say(frame(answer, x.c.version))
		return nil
	}
	x.keep.unsubscribe(gone, noted{answer: frame(answer, x.c.version)})
	x.todo |= todoChange
	return nil
}

// dropSubscription forgets a subscription; the lock is held.
func (x *exchange) dropSubscription(filter string) bool {
	i, ok := x.find(filter)
	if !ok {
		return false
	}
	if x.subs = slices.Delete(x.subs, i, i+1); len(x.subs) == 0 {
		x.subs = nil
	}
	if x.lag != nil {
		x.lag.kept = slices.DeleteFunc(x.lag.kept, func(r retainedFor) bool { return r.filter == filter })
		x.caughtUp()
	}
	return true
}

// Revoked is told that the rules of the app do not allow a subscription any more:
// see live.Revoked. MQTT has no word for it, so the client only gets nothing more.
func (c *conn) Revoked(filter string, _ *herald.Error) {
	x := c.exchange()
	x.mu.Lock()
	defer x.unlock()
	if x.dropSubscription(filter) && x.keep != nil && !x.over {
		x.keep.unsubscribe([]string{filter}, noted{})
		x.todo |= todoChange
	}
}

// sendRetained sends what is retained for new subscriptions, as far as there is
// room. It reads the record, so it runs on a worker of the hub.
func (x *exchange) sendRetained(ctx context.Context) {
	for {
		x.mu.Lock()
		list := x.behindWith().kept
		if x.over || len(list) == 0 {
			x.mu.Unlock()
			return
		}
		r := list[0]
		x.mu.Unlock()
		done, last := x.retainedOf(ctx, r)
		x.mu.Lock()
		list = x.behindWith().kept
		i := slices.Index(list, r)
		switch {
		case i < 0: // unsubscribed meanwhile
		case done:
			x.lag.kept = slices.Delete(list, i, i+1)
			x.caughtUp()
		default:
			list[i].after = last
		}
		x.unlock()
		if !done {
			return
		}
	}
}

// retainedOf sends what is retained for one subscription. It ends early if there
// is no more room, and gives the topic that was sent last.
func (x *exchange) retainedOf(ctx context.Context, r retainedFor) (done bool, last herald.Topic) {
	done, last = true, r.after
	who := x.who()
	err := who.hub.Retained(ctx, who.device.App, herald.TopicFilter(r.filter), func(p live.Publication) bool {
		if p.Topic <= r.after && r.after != "" {
			return true
		}
		if who.hub.MayUse(x.device(), herald.TopicSubscribe, p.Topic) != nil {
			return true // the filter is allowed for other names than this one
		}
		if done = x.sendKept(p, r); done {
			last = p.Topic
		}
		return done
	})
	if err != nil && ctx.Err() == nil {
		x.c.broker().config.Log.Warn("retained messages cannot be read", "error", err)
	}
	return done, last
}

// sendKept sends one retained message, and reports whether there was room.
func (x *exchange) sendKept(p live.Publication, r retainedFor) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	m := manner{qos: min(r.qos, packet.QoS(p.QoS)), retain: true}
	if r.id != 0 {
		m.ids = []uint32{r.id}
	}
	p.Pos = 0
	switch {
	case x.over:
		return false
	case m.qos > 0 && (len(x.behindWith().wait) > 0 || x.out.n >= x.publicationWindow()):
		return false
	}
	return !errors.Is(x.send(&live.Outgoing{Publication: p}, m), live.ErrFull)
}

// recorded gives a subscription as the record has it.
func (s *subscription) recorded(options *packet.Subscription) record.TopicSub {
	return record.TopicSub{
		Filter: s.filter, QoS: byte(s.qos), NoLocal: s.noLocal, RetainAsPublished: s.retain, RetainHandling: options.RetainHandling, ID: s.id,
	}
}
