package api

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// noChannels tells of the vendors that a message says something for, and of
// which its app has no credential.
func (s *Messages) noChannels(m *record.Message, p herald.Platform) (out []TraceStep) {
	if m.Facts == nil || len(m.Facts.Vendors) == 0 {
		return nil
	}
	var have []record.Credential
	if s.c.Vault != nil {
		have = s.c.Vault.Credentials(m.App)
	}
	for _, v := range m.Facts.Vendors.For(p) {
		reached := func(c record.Credential) bool {
			return v == herald.EveryVendor || c.Vendor == v || v == herald.VendorSMS && c.Vendor.Channel() == herald.ChannelSMS
		}
		if !slices.ContainsFunc(have, reached) {
			out = append(out, TraceStep{Time: m.Accepted, Event: "no_channel", Via: string(v), Text: noChannelText(v)})
		}
	}
	return out
}

func noChannelText(v herald.Vendor) string {
	if v == herald.EveryVendor {
		return "No channel configured to any vendor: what the message says for vendors is kept with it, and nobody is told."
	}
	return "No channel configured to " + string(v) + ": what the message says for it is kept with it, and it is not told."
}

// vendorSteps adds to a trace what came of handing the message to vendors for
// the device, in its place by time.
func (s *Messages) vendorSteps(ctx context.Context, t *Trace, m *record.Message, o herald.Ordinal) error {
	if s.c.Attempts == nil {
		return nil
	}
	list, err := s.c.Attempts.AttemptsOf(ctx, m.App, m.ID, record.OwnerDevice, o)
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		a := &list[i]
		step := TraceStep{Time: a.At.Truncate(time.Millisecond), Event: "vendor_" + string(a.Fate), Via: string(a.Vendor), Text: attemptText(a)}
		t.Steps = append(t.Steps, step)
		if b := a.Problem; b != nil {
			text := string(a.Vendor) + " said later that it did not arrive: " + worded(b.Text, b.Kind, b.Code, b.Remedy)
			t.Steps = append(t.Steps, TraceStep{Time: b.At.Truncate(time.Millisecond), Event: "vendor_failed", Via: string(a.Vendor), Text: text})
		}
	}
	slices.SortStableFunc(t.Steps, func(a, b TraceStep) int { return a.Time.Compare(b.Time) })
	return nil
}

// attemptText says in words what came of an attempt, and what to do.
func attemptText(a *record.Attempt) string {
	name := string(a.Vendor)
	var text string
	switch a.Fate {
	case record.FateAccepted:
		if a.Shortened {
			return name + " took it, with its text shortened to what " + name + " allows."
		}
		return name + " took it."
	case record.FateFailed:
		text = name + " did not take it: "
	case record.FateUnknown:
		text = name + " was asked and did not answer; it may have taken it: "
	case record.FateSkipped:
		text = name + " was not asked: "
		if a.Vendor == "" { // the step names none, and there is none for it
			text = "no vendor was asked: "
		}
	case record.FateDiscarded:
		text = name + " did not take it, and somebody said that this may be forgotten: "
	}
	return text + worded(a.Text, a.Code, "", a.Remedy)
}

// worded joins what a vendor said, its code and the remedy. Where there are no
// words the code stands for them.
func worded(text, kind, code, remedy string) string {
	if code != "" {
		kind += "/" + code
	}
	switch {
	case text == "" && kind == "":
		text = "nothing is known of why"
	case text == "":
		text = kind
	case kind != "":
		text += " (" + kind + ")"
	}
	if remedy != "" {
		return text + ". " + remedy
	}
	return text + "."
}

// handedTo is the vendor that a message was handed to for a device; "" if it was
// written to a connection first, or to none.
func handedTo(history []TraceStep) string {
	for _, s := range history {
		if s.Event == string(herald.StateSent) && herald.Vendor(s.Via).Channel() != "" {
			return s.Via
		}
	}
	return ""
}
