package courier

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// errand is one that is in hand. It is worked on by one goroutine.
type errand struct {
	l *lane
	c *Courier
	record.Errand
	calls context.Context // of calls and saves: ends a while after the courier is stopped
	watch *watch

	m       *record.Message
	read    time.Time // when m was
	until   time.Time // of the lease
	says    *content
	later   *sets.Set // who was tried since it was leased, and is to be tried again
	reached bool      // somebody was reached since then
	inBatch bool      // of the watch
}

// reread is how long a message is taken to be as it was read.
const reread = 5 * time.Second

// Codes of outcomes that no vendor gave.
const (
	codeReceived  = "received"   // meanwhile, by another way
	codeNoAddress = "no_address" // that is valid any more
	codeExpired   = "expired"    // the TTL ended
	codeDamaged   = "damaged"    // what is stored of the message cannot be read
	codeLost      = "lost"       // the server ended during the call
	codePurged    = "purged"     // the message is not there any more
)

// work does what can be done of an errand now, and gives it back.
func (l *lane) work(ctx, calls context.Context, e record.Errand) {
	key := watched{e.App, e.Msg}
	j := &errand{l: l, c: l.c, Errand: e, calls: calls, until: e.At, later: sets.New(), watch: l.c.watches.begin(calls, key)}
	defer l.c.watches.end(key, j.watch)
	if j.Left == nil {
		j.Left = sets.New()
	}
	if err := j.do(ctx); err != nil && ctx.Err() == nil && herald.CodeOf(err) != herald.CodeConflict {
		l.c.c.Log.Warn("courier: an errand has to wait", "app", e.App, "message", e.Msg, "vendor", e.Vendor, "error", err)
	}
}

// do sends until nobody is left, or the errand has to wait.
func (j *errand) do(ctx context.Context) error {
	if err := j.settleDoubt(); err != nil {
		return err
	}
	for !j.Left.Empty() {
		if ctx.Err() != nil {
			return j.putOff(j.c.c.Now())
		}
		if over, err := j.over(ctx); err != nil {
			return errors.Join(err, j.putOff(j.c.c.Now().Add(look)))
		} else if over != nil {
			return j.finish(*over)
		}
		if at := j.window(); j.c.c.Now().Before(at) {
			return j.putOff(at)
		}
		p, ok := j.l.breaker.enter(ctx)
		if !ok {
			return j.putOff(j.resumes(ctx))
		}
		at, err := j.batch(ctx, p)
		j.l.breaker.leave(p)
		if err != nil || !at.IsZero() {
			return err
		}
	}
	return nil
}

// settleDoubt gives up those for whom a call was begun before a kill, where a
// second one would be shown too.
func (j *errand) settleDoubt() error {
	if j.Doubt.Empty() {
		return nil
	}
	if _, err := j.over(j.calls); err != nil { // which reads the message
		return err
	}
	o := j.outcomes()
	for ord := range j.Doubt.All() {
		o.add(ord, record.Attempt{
			Fate: record.FateUnknown, Code: codeLost, Text: "the server ended before the vendor's answer was kept",
			Remedy: "Ask the vendor whether it has the message; it is not sent again, because that would be shown twice.",
		})
	}
	j.Doubt = nil
	return j.keep(o, j.c.c.Now().Add(j.c.c.Limits.Lease))
}

// over says as what those who are left end, if the message is not to be sent any
// more; else nil.
func (j *errand) over(ctx context.Context) (*record.Attempt, error) {
	now := j.c.c.Now()
	if j.m == nil || now.Sub(j.read) >= reread || j.watch.isOver() {
		m, err := j.c.c.Messages.Message(ctx, j.App, j.Msg)
		switch {
		case herald.CodeOf(err) == herald.CodeNotFound:
			return &record.Attempt{Fate: record.FateSkipped, Code: codePurged, Text: "the message is not kept any more"}, nil
		case errors.Is(err, record.ErrDamaged):
			return damaged(), nil
		case err != nil:
			return nil, err
		}
		j.m, j.read = m, now
	}
	switch state := j.m.State; {
	case state == herald.MessageWithdrawn, state == herald.MessageReplaced, state == herald.MessageRejected:
		return &record.Attempt{Fate: record.FateSkipped, Code: string(state), Text: "the message was " + string(state)}, nil
	case j.watch.isOver():
		return &record.Attempt{Fate: record.FateSkipped, Code: string(herald.MessageWithdrawn), Text: "the message was withdrawn"}, nil
	case state == herald.MessageExpired, !now.Before(j.m.Expires()):
		return j.expired(), nil
	}
	if j.says == nil {
		var err error
		if j.says, err = j.c.contentOf(j.m, &j.Errand); err != nil {
			return damaged(), nil //nolint:nilerr // that is the outcome
		}
	}
	return nil, nil
}

func damaged() *record.Attempt {
	return &record.Attempt{Fate: record.FateFailed, Code: codeDamaged, Text: "what is stored of the message cannot be read"}
}

// expired is the outcome of those who are left when the TTL ends: the vendor's
// trouble, if that is why.
func (j *errand) expired() *record.Attempt {
	cause := j.l.breaker.trouble()
	if cause == nil && j.Tries == 0 && j.later.Empty() {
		return &record.Attempt{Fate: record.FateSkipped, Code: codeExpired, Text: "the message expired before it was sent"}
	}
	if cause == nil {
		cause = provider.Errorf(provider.Unavailable, "", "Send with a longer ttl.", "the vendor did not take it")
	}
	a := attemptOf(record.FateFailed, cause)
	a.Text += ", until the message expired"
	return &a
}

// finish ends an errand for all who are left.
func (j *errand) finish(as record.Attempt) error {
	o := j.outcomes()
	for ord := range j.Left.All() {
		o.add(ord, as)
	}
	return j.keep(o, time.Time{})
}

// waits is how long an errand waits at most while its credential rests: that may
// be mended meanwhile, and the message be withdrawn.
const waits = 30 * time.Second

// resumes says when an errand goes on that cannot now.
func (j *errand) resumes(ctx context.Context) time.Time {
	now := j.c.c.Now()
	cause, at := j.l.breaker.trouble(), j.l.breaker.rests()
	if ctx.Err() != nil || at.IsZero() {
		return now
	}
	// What a vendor has asked for also counts after a restart.
	if most := now.Add(waits); at.After(most) && (cause == nil || cause.Kind != provider.Throttled) {
		at = most
	}
	return j.before(at)
}

// before is a time, or when the message expires if that is earlier, so that it
// comes to its outcome then.
func (j *errand) before(at time.Time) time.Time {
	if j.m != nil {
		if end := j.m.Expires(); end.Before(at) {
			return end
		}
	}
	return at
}

// putOff gives an errand back until a time.
func (j *errand) putOff(at time.Time) error { return j.keep(nil, at) }

// goesOn is the zero time if there is somebody to be sent to now; else when.
func (j *errand) goesOn(ctx context.Context) time.Time {
	switch {
	case j.Left.Empty():
		return time.Time{}
	case ctx.Err() != nil || !j.l.breaker.rests().IsZero():
		return j.resumes(ctx)
	case !sets.Minus(j.Left, j.later).Empty():
		return time.Time{}
	}
	return j.before(j.c.c.Now().Add(backoff(minRest, maxRest, j.Tries)))
}
