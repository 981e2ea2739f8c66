package dispatch

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Request is a message to accept: everything of it but ID and times.
type Request struct {
	Message     herald.Message
	Body        []byte // its content as JSON
	Plain       bool   // see record.Message
	Facts       *record.Facts
	Target      Target // ignored for a scheduled message
	Hold        bool   // until it is approved: see Facts.Approval
	Idempotency *record.Idempotency
	// Firing is the occurrence of a schedule that the message is for, if it is
	// for one; the message ID is put into it.
	Firing *record.Firing
	// Answer, if set, gives what an idempotent repetition is told, once the
	// ID is known.
	Answer func(id herald.MessageID) []byte
}

// Outcome is what came of one request of several.
type Outcome struct {
	ID    herald.MessageID
	Prior []byte // the call was a repetition, and nothing was done; else nil
	Err   error
}

// Accept takes a message. When it returns the message is on stable storage,
// unless its TTL is 0. If prior is not nil, the call was a repetition and
// nothing was done.
func (d *Dispatcher) Accept(ctx context.Context, r Request) (m *record.Message, prior []byte, err error) {
	a, err := d.acceptance(&r, 0)
	if err != nil {
		return nil, nil, err
	}
	if !d.stores(a) {
		return &a.Message, nil, d.now(ctx, &a.Message)
	}
	done, err := d.keep(ctx, *a)
	if err != nil || done.Prior != nil {
		return nil, done.Prior, err
	}
	m = &a.Message
	d.begun(m)
	if a.Volatile {
		return m, nil, d.now(ctx, m)
	}
	m.Pos, m.FirstN = done.Pos, done.FirstN
	return m, nil, nil
}

// AcceptAll takes messages as Accept does, each with an outcome of its own. What
// is stored is stored in one commit, in the order of the requests; messages with
// TTL 0 and without an idempotency key are handed over before that.
func (d *Dispatcher) AcceptAll(ctx context.Context, list []*Request) []Outcome {
	out := make([]Outcome, len(list))
	var kept []*record.Acceptance
	var at []int // of those in list
	groups := 0
	for i := range list {
		a, err := d.acceptance(list[i], groups)
		switch {
		case err != nil:
			out[i].Err = err
		case !d.stores(a):
			out[i] = Outcome{ID: a.ID, Err: d.now(ctx, &a.Message)}
		default:
			if a.Group != nil {
				groups++
			}
			kept, at = append(kept, a), append(at, i)
		}
	}
	if len(kept) == 0 {
		return out
	}
	for i, done := range d.keepAll(ctx, kept) {
		o, a := &out[at[i]], kept[i]
		o.ID, o.Prior, o.Err = a.ID, done.Prior, done.Err
		d.begun(&a.Message)
		a.Idempotency = nil // the message is kept in memory, and with it all that it lies in
		if a.Volatile && done.Err == nil && done.Prior == nil {
			o.Err = d.now(ctx, &a.Message) // the store has kept no more than the key
		}
	}
	return out
}

// acceptance makes of a request what is asked of the store. groups is how many
// messages to many devices were taken with it and are not counted yet.
func (d *Dispatcher) acceptance(r *Request, groups int) (*record.Acceptance, error) {
	d.accepted.Add(1)
	now := d.c.Now().UTC()
	a := &record.Acceptance{Message: record.Message{Message: r.Message, Body: r.Body, Plain: r.Plain, Facts: r.Facts, State: herald.MessageSending}, Idempotency: r.Idempotency}
	m := &a.Message
	m.ID, m.Accepted = d.ids.Next(now), now
	if a.Firing = r.Firing; a.Firing != nil {
		a.Firing.Run.Message = m.ID
	}
	if m.Due.IsZero() {
		m.Due = now
	}
	if r.Hold {
		m.State, m.Target = herald.MessageAwaiting, -1
	} else if m.Waits() {
		m.State, m.Target = herald.MessageScheduled, -1
	} else {
		if err := d.mayAccept(m, r.Target, groups); err != nil {
			return nil, err
		}
		aim(m, r.Target)
		if err := d.cut(m, r.Target, now); err != nil {
			return nil, err
		}
	}
	if m.State == herald.MessageSending {
		d.atRelease(m)
	}
	a.Volatile = m.TTL == 0
	if r.Idempotency != nil && r.Answer != nil {
		a.Idempotency.Answer = r.Answer(m.ID)
	}
	return a, nil
}

// stores reports whether anything of a message goes into the record.
func (*Dispatcher) stores(a *record.Acceptance) bool {
	return !a.Volatile || a.Idempotency != nil || a.Firing != nil
}

// mayAccept refuses a message to many devices when too many are live. What was
// accepted for a later time is released all the same: it was promised.
func (d *Dispatcher) mayAccept(m *record.Message, t Target, more int) error {
	if t.Group != nil && m.TTL > 0 && d.c.Ledger.Groups(m.App)+more >= d.c.GroupLimit {
		return herald.Errorf(herald.CodeLimitReached,
			"Give messages to many devices a shorter ttl, withdraw some, or raise limits.group_messages.",
			"the app has %d live messages to more than %d devices each", d.c.GroupLimit, herald.MaxDirect)
	}
	return nil
}
