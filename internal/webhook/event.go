package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// item is an event with its place in the log; or, without Type, only a place up
// to which there is nothing to tell.
type item struct {
	after record.WebhookPos
	ord   herald.Ordinal // of the device, if there is one
	alone bool           // it is about no device
	named bool           // RegistrationID is to be looked up
	herald.WebhookEvent
}

// subscription tells which types of events a webhook is told of.
type subscription []string

func (s subscription) wants(kind string) bool {
	return slices.ContainsFunc(s, func(p string) bool {
		family, any := strings.CutSuffix(p, "*")
		return p == kind || any && strings.HasPrefix(kind, family)
	})
}

// checkEvents refuses what names no type of event.
func checkEvents(list []string) error {
	for i, p := range list {
		s := subscription{p}
		if !slices.ContainsFunc(herald.WebhookEvents, s.wants) || strings.HasSuffix(p, "*") && p != "*" && !strings.HasSuffix(p, ".*") {
			return herald.Invalid(fmt.Sprintf("events[%d]", i), "Use *, receipt.*, device.*, message.*, or some of: "+strings.Join(herald.WebhookEvents, ", ")+".", "%.60q is no type of event", p)
		}
	}
	return nil
}

// receiptType is the type of event that a delivery state is; "" if none.
func receiptType(s herald.DeliveryState) string {
	switch s {
	case herald.StateSent:
		return herald.EventSent
	case herald.StateReceived:
		return herald.EventReceived
	case herald.StateDisplayed:
		return herald.EventDisplayed
	case herald.StateClicked:
		return herald.EventClicked
	}
	if slices.Contains(herald.Ends[:], s) {
		return herald.EventFailed
	}
	return "" // the notice of a withdrawal, which is no state of the delivery
}

// rank puts the states that were written down together in the order in which a
// delivery goes through them.
func rank(s herald.DeliveryState) int {
	if i := slices.Index(herald.Progress[:], s); i >= 0 {
		return i
	}
	return len(herald.Progress)
}

// expand gives the events of a row behind the first ones, of the types that are
// wanted. It answers false if yield does.
func expand(e *record.WebhookEntry, skip int64, wants func(string) bool, yield func(item, error) bool) bool {
	i := int64(0)
	// tell gives the next event of the row.
	tell := func(it item) bool {
		if i++; i <= skip || !wants(it.Type) {
			return true
		}
		it.after = record.WebhookPos{N: e.N - 1, I: i}
		it.ID = fmt.Sprintf("%d.%d.%d", e.Epoch, e.N, i)
		return yield(it, nil)
	}
	events := slices.Clone(e.Events)
	slices.SortStableFunc(events, func(a, b record.Event) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	for _, r := range events {
		kind := receiptType(r.State)
		if n := r.Set.Len(); kind == "" || i+n <= skip || !wants(kind) {
			i += n
			continue
		}
		w := herald.WebhookEvent{Type: kind, Time: r.Time.UTC(), MessageID: r.Msg, Via: r.Via, Detail: r.Detail}
		if kind == herald.EventFailed {
			w.Reason = string(r.State)
		}
		for o := range r.Set.All() {
			if !tell(item{ord: o, named: true, WebhookEvent: w}) {
				return false
			}
		}
	}
	for _, d := range e.Devices {
		w := herald.WebhookEvent{Type: "device." + d.Kind, Time: e.At, RegistrationID: d.ID, Alias: d.Alias}
		if !tell(item{ord: d.Ord, named: d.ID == "", WebhookEvent: w}) {
			return false
		}
	}
	for _, m := range e.Ends {
		if !tell(item{alone: true, WebhookEvent: herald.WebhookEvent{Type: "message." + string(m.State), Time: e.At, MessageID: m.Msg}}) {
			return false
		}
	}
	return yield(item{after: record.WebhookPos{N: e.N}}, nil)
}
