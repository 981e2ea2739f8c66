package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Trace tells what happened to a message on a device. A device may ask about
// itself.
func (s *Messages) Trace(ctx context.Context, p Principal, id herald.MessageID, device herald.RegistrationID) (Trace, error) {
	if self := (p.Kind == Device || p.Kind == Page) && p.Device == device && device != ""; !self {
		if err := p.may(ScopeRead); err != nil {
			return Trace{}, err
		}
	}
	d, err := s.c.Registry.Device(ctx, p.App, device)
	if err != nil {
		return Trace{}, err
	}
	m, err := s.find(ctx, p.App, id)
	if err != nil {
		return Trace{}, err
	}
	t := Trace{MessageID: id, RegistrationID: device, Steps: []TraceStep{{Time: m.Accepted, Event: "accepted", Text: "Herald accepted the message."}}}
	if p.Backend() {
		t.Steps = append(t.Steps, s.noChannels(m, d.Platform)...)
	}
	if m.State == herald.MessageScheduled || m.Target < 0 {
		if !p.Backend() && !slices.Contains(m.Audience.RegistrationIDs, device) {
			return Trace{}, messageNotFound(id) // nobody knows yet whether it is for this device
		}
		if m.Facts != nil && m.Facts.Approval != nil {
			t.Steps = append(t.Steps, approvalSteps(m)...)
			t.Summary, err = s.unreleased(ctx, m, p.Backend())
			return t, err
		}
		t.Steps[0].Event, t.Steps[0].Text = "scheduled", "Herald accepted the message for "+dueText(m)+"."
		t.Summary, err = s.unreleased(ctx, m, p.Backend())
		return t, err
	}
	t.State, err = s.c.Ledger.State(ctx, m, d.Ord)
	if err != nil {
		return Trace{}, err
	}
	if t.State == "" {
		t.Summary = "Not for this device: it was not in the audience when the audience was evaluated."
		if !p.Backend() {
			return Trace{}, messageNotFound(id) // what is for others is nothing to this one
		}
		return t, nil
	}
	step, waits, err := s.releasedStep(ctx, m, d.Ord)
	if err != nil {
		return Trace{}, err
	}
	if step != nil {
		t.Steps = append(t.Steps, *step)
	}
	history, err := s.history(ctx, m, d.Ord)
	if err != nil {
		return Trace{}, err
	}
	t.Steps = append(t.Steps, history...)
	if p.Backend() {
		if err := s.vendorSteps(ctx, &t, m, d.Ord); err != nil {
			return Trace{}, err
		}
	}
	online := len(s.c.Presence.Transports(p.App, d.Ord)) > 0
	t.Summary = summary(t.State, m, online, d.Seen)
	kept, err := s.keptBack(ctx, m, d.Ord)
	if err != nil {
		return Trace{}, err
	}
	switch by := handedTo(history); {
	case by != "" && t.State == herald.StateSent && kept != "":
		t.Summary = "Sent, not acknowledged yet: it was handed to " + by + ". " + kept
	case by != "" && t.State == herald.StateSent:
		t.Summary = "Sent, not acknowledged yet: it was handed to " + by + ", and is sent to the device when it connects without having acknowledged it."
	case t.State == herald.StatePending && kept != "":
		t.Summary = "Not received yet. " + kept
	case t.State == herald.StatePending && waits != "":
		t.Summary = waits
	}
	return t, nil
}

// approvalSteps tells what became of a message that had to be approved, and was
// not released.
func approvalSteps(m *record.Message) []TraceStep {
	a := m.Facts.Approval
	steps := []TraceStep{{Time: m.Accepted, Event: "awaiting_approval", Text: "Another key has to approve it, because it is for many devices."}}
	switch {
	case a.By == nil:
	case m.State == herald.MessageRejected:
		steps = append(steps, TraceStep{Time: a.At, Event: "rejected", Text: "Another key rejected it."})
	default:
		steps = append(steps, TraceStep{Time: a.At, Event: "approved", Text: "Another key approved it, for " + stamp(m.Due) + "."})
	}
	return steps
}

// unreleased says why a message was not released, or not yet. What its audience
// names is for back ends only.
func (s *Messages) unreleased(ctx context.Context, m *record.Message, backend bool) (string, error) {
	switch {
	case m.State == herald.MessageAwaiting:
		return "Not sent yet: it waits until another key approves it, at most until " + stamp(m.Accepted.Add(herald.ApprovalTTL)) + ".", nil
	case m.State == herald.MessageRejected:
		return "Never sent: another key has rejected it.", nil
	case m.State == herald.MessageExpired && m.Facts != nil && m.Facts.Approval != nil && m.Facts.Approval.By == nil:
		return "Never sent: nobody has approved it for 7 days.", nil
	case m.State == herald.MessageWithdrawn:
		return "Never sent: it was withdrawn before it was due.", nil
	case m.State == herald.MessageReplaced:
		return "Never sent: another message replaced it before it was due.", nil
	case s.c.Now().Before(m.Begins()):
		return "Not sent yet: it is scheduled for " + dueText(m) + ", and who it is for is decided then.", nil
	}
	// What its audience names may have been deleted since it was accepted.
	var refused *herald.Error
	if backend {
		_, err := s.c.Audience.Evaluate(ctx, m.App, m.Audience)
		if err != nil && (!errors.As(err, &refused) || refused.Code != herald.CodeInvalidRequest) {
			return "", err
		}
	}
	switch {
	case m.State == herald.MessageExpired && refused != nil:
		return "Never sent: its TTL ended, and who it is for could not be decided: " + refused.Error() + ".", nil
	case m.State == herald.MessageExpired:
		return "Never sent: its TTL ended before the server could release it.", nil
	case refused != nil:
		return "Not sent: it was due at " + stamp(m.Due) + ", and who it is for cannot be decided: " + refused.Error() + ". " +
			refused.Remedy + " It is tried until its TTL ends at " + stamp(m.Expires()) + ".", nil
	}
	return "Not sent yet: it was due at " + stamp(m.Due) + " and was not released yet.", nil
}

// history turns events into steps; the same step told again is left out.
func (s *Messages) history(ctx context.Context, m *record.Message, o herald.Ordinal) ([]TraceStep, error) {
	if m.TTL == 0 {
		return nil, nil
	}
	events, err := s.c.Ledger.History(ctx, m, o)
	if err != nil {
		return nil, err
	}
	var out []TraceStep
	for _, e := range events {
		step := TraceStep{Time: e.Time.Truncate(time.Millisecond), Event: string(e.State), Via: e.Via, Text: stepText(e)}
		if !slices.ContainsFunc(out, func(t TraceStep) bool { return t.Event == step.Event }) {
			out = append(out, step)
		}
	}
	return out, nil
}

func released(devices int64) string {
	if devices == 1 {
		return "Released to this device alone."
	}
	return fmt.Sprintf("Released to %d devices, this one among them.", devices)
}

func stepText(e record.Event) string {
	switch e.State {
	case herald.StateSent:
		if herald.Vendor(e.Via).Channel() != "" {
			return "Handed to " + e.Via + "."
		}
		return "Written to the device's connection (" + e.Via + ")."
	case herald.StateReceived:
		if e.Via == "cursor" {
			return "The device said that it has everything up to here."
		}
		return "The device acknowledged it."
	case herald.StateDisplayed:
		return "The device reported that it was shown."
	case herald.StateClicked:
		return "The device reported a click on it."
	case record.ToldState:
		return "The device acknowledged that it was withdrawn."
	case herald.StateWithdrawn:
		if e.Detail == "stopped" {
			return "The sender stopped the message before it was released to this device."
		}
	case herald.StateReplaced:
		return "A newer message with the same collapse key replaced it: " + e.Detail + "."
	case herald.StateUnconfirmed:
		return "It ended (" + e.Detail + ") after it was sent and before the device acknowledged it; an acknowledgement still counts for seven days."
	}
	return endText[e.State]
}

// endText says in words why a delivery has ended.
var endText = map[herald.DeliveryState]string{
	herald.StateExpired:    "Its TTL ended before the device connected.",
	herald.StateWithdrawn:  "The sender withdrew it before it was sent to this device.",
	herald.StateReplaced:   "A newer message with the same collapse key replaced it before the device had it.",
	herald.StateDeviceGone: "The device was removed.",
	herald.StateRebound:    "It was sent to an alias that the device does not have any more.",
	herald.StateOverflow:   "More than 1,000 messages waited for the device; the newest were kept.",
	herald.StateRejected:   "The device had as many messages of its category as the app allows in that time.",
	herald.StateDead:       "It was given up.",
}

// summary is the first sentence of a trace: what became of it, and why.
func summary(state herald.DeliveryState, m *record.Message, online bool, seen time.Time) string {
	switch state {
	case herald.StatePending:
		if m.TTL == 0 {
			return "Not delivered: the device was not connected, and the message had TTL 0."
		}
		if online {
			return "Waiting: the device is connected and will be sent it when its queue has room."
		}
		return fmt.Sprintf("Waiting: the device is not connected (last seen %s); it will be sent the message when it connects before %s.", stamp(seen), stamp(m.Expires()))
	case herald.StateSent:
		if m.TTL == 0 {
			return "Sent, not acknowledged yet: it was written to the device's connection; with TTL 0 it is not sent again."
		}
		return "Sent, not acknowledged yet: it was written to the device's connection, and is sent again when the device reconnects without having acknowledged it."
	case herald.StateReceived:
		return "Received: the device has it."
	case herald.StateDisplayed:
		return "Displayed: the device showed it."
	case herald.StateClicked:
		return "Clicked: the user opened it."
	case herald.StateUnconfirmed:
		return "Unconfirmed: it was sent, but the device had not acknowledged it when it ended; the device may or may not have it."
	}
	return "Not delivered. " + endText[state]
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
