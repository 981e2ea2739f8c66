package dispatch

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Approve lets a message go that waits for a second key: at once or, if that is
// later, at its own time. Its TTL counts from then on, and its audience is
// evaluated then.
func (d *Dispatcher) Approve(ctx context.Context, app herald.AppKey, id herald.MessageID, by record.Sender) (*record.Message, error) {
	return d.decide(ctx, app, id, by, func(m *record.Message, _ *record.Approval, x *record.Decision) error {
		if s := x.Facts.Sender; s != nil && s.Kind == by.Kind && s.ID == by.ID {
			return herald.Errorf(herald.CodeForbidden, "Call it with another key than the one that has sent the message.", "who sends a message may not approve it")
		}
		x.Approved, x.Due = true, m.Due
		if x.Due.Before(x.At) {
			x.Due = x.At
		}
		x.Expires = x.Due.Add(m.TTL)
		return nil
	})
}

// Reject ends a message that waits to be approved, with a reason.
func (d *Dispatcher) Reject(ctx context.Context, app herald.AppKey, id herald.MessageID, by record.Sender, reason string) (*record.Message, error) {
	return d.decide(ctx, app, id, by, func(_ *record.Message, a *record.Approval, _ *record.Decision) error {
		a.Reason = reason
		return nil
	})
}

func (d *Dispatcher) decide(ctx context.Context, app herald.AppKey, id herald.MessageID, by record.Sender,
	say func(*record.Message, *record.Approval, *record.Decision) error) (*record.Message, error) {
	m, err := d.c.Store.Message(ctx, app, id)
	if err != nil {
		return nil, err
	}
	now := d.c.Now().UTC().Truncate(time.Millisecond)
	switch {
	case m.State != herald.MessageAwaiting:
		return nil, herald.Errorf(herald.CodeConflict, "There is nothing to decide.", "the message does not wait to be approved: it is %s", m.State)
	case !now.Before(m.Accepted.Add(herald.ApprovalTTL)): // the clock will end it
		return nil, herald.Errorf(herald.CodeConflict, "Send it again.", "nobody has decided on the message for 7 days, and it has expired")
	}
	var facts record.Facts
	var approval record.Approval
	if m.Facts != nil { // else a device that it was for alone was erased
		facts = *m.Facts
	}
	if facts.Approval != nil {
		approval = *facts.Approval
	}
	approval.By, approval.At = &by, now
	facts.Approval = &approval
	x := record.Decision{At: now, Facts: &facts}
	if err := say(m, &approval, &x); err != nil {
		return nil, err
	}
	if err := d.c.Store.Decide(ctx, app, id, x); err != nil {
		return nil, err
	}
	d.c.Ledger.Catalog().Forget(app, id)
	return d.c.Store.Message(ctx, app, id)
}
