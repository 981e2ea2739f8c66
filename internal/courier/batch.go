package courier

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// call is what a vendor is asked for one owner, and what it answered.
type call struct {
	ord     herald.Ordinal
	address record.Address
	m       *provider.Message

	made   bool
	joined int // how many messages became one with it; 0 for itself alone
	result provider.Result
	err    *provider.Error
	trace  *provider.Transcript
}

// batch sends to some of those who are left, and writes down what came of it. at
// is when the errand goes on, if it has to wait, and has been given back.
func (j *errand) batch(ctx context.Context, p pass) (at time.Time, err error) {
	if !j.c.watches.beginBatch(j.watch) {
		return time.Time{}, nil // over says so next
	}
	j.inBatch = true
	defer j.reported()
	limits := j.c.c.Limits
	if j.until.Sub(j.c.c.Now()) < limits.Lease/2 {
		if err := j.putOff(j.c.c.Now().Add(limits.Lease)); err != nil {
			return at, err
		}
	}
	lease, opened := j.open(p)
	if opened != nil {
		return j.end(ctx, nil)
	}
	defer lease.Release()
	n := limits.Batch
	if !lease.Driver.Idempotent {
		n = max(1, n/8)
	}
	if p.probe {
		n = 1
	}
	now := j.c.c.Now()
	if n = min(n, j.l.pace.room(now.Add(limits.Lease/4))); n == 0 {
		at = j.before(j.l.pace.next(now))
		return at, j.putOff(at)
	}
	o := j.outcomes()
	calls, err := j.prepare(ctx, o, first(sets.Minus(j.Left, j.later), n))
	if err != nil {
		return at, errors.Join(err, j.putOff(j.before(j.c.c.Now().Add(look))))
	}
	if len(calls) > 0 && !lease.Driver.Idempotent {
		if err := j.doubt(calls); err != nil {
			return at, err
		}
	}
	j.send(ctx, p, lease, calls)
	faults.Point("called")
	for i := range calls {
		j.judge(o, &calls[i], lease)
	}
	return j.end(ctx, o)
}

// first gives the n lowest members of a set.
func first(s *sets.Set, n int) *sets.Set {
	out := sets.New()
	room := make([]uint32, n)
	for list := range s.Batches(room) {
		out.AddMany(list)
		break
	}
	return out
}

// end writes down outcomes, and whether the errand goes on.
func (j *errand) end(ctx context.Context, o *outcomes) (time.Time, error) {
	if o != nil {
		j.Left.AndNot(o.decided)
	}
	at := j.goesOn(ctx)
	switch {
	case !at.IsZero() && j.reached:
		j.Tries = 0
	case !at.IsZero() && !j.later.Empty():
		j.Tries++
	case at.IsZero() && !j.Left.Empty():
		return at, j.keep(o, j.c.c.Now().Add(j.c.c.Limits.Lease))
	}
	return at, j.keep(o, at)
}

// open opens the provider. What keeps it closed is trouble of the credential.
func (j *errand) open(p pass) (*provider.Lease, *provider.Error) {
	ctx, cancel := context.WithTimeout(j.calls, provider.SendTimeout)
	defer cancel()
	lease, err := j.c.c.Open(ctx, j.App, j.Vendor, j.Env, j.Credential)
	if err == nil {
		j.l.keepTo(lease.Driver.Rate)
		return lease, nil
	}
	problem := errorOf(err)
	if j.l.breaker.note(p, problem) {
		j.c.c.Log.Warn("courier: a credential cannot be used", "app", j.App, "vendor", j.Vendor, "environment", j.Env, "name", j.Credential, "error", err)
	}
	return nil, problem
}

// errorOf gives an error as one of a provider. What is none may have been sent.
func errorOf(err error) *provider.Error {
	if e := (*provider.Error)(nil); errors.As(err, &e) {
		return e
	}
	return provider.Lost(err, true)
}

// keepTo has a lane keep to the rate of its vendor.
func (l *lane) keepTo(r *provider.Rate) {
	if r == nil || r.Calls <= 0 || r.Per <= 0 {
		return
	}
	l.pace.set(rate{r.Calls, r.Per, r.Digest})
	// Who takes few calls in a second need not have them all at once.
	n := int(min(int64(l.c.c.Limits.Calls), max(ownCalls, int64(r.Calls)*int64(time.Second)/int64(r.Per))))
	if g := l.gate.Load(); cap(g.slots) != n {
		l.gate.CompareAndSwap(g, newGate(n, l.c.allCalls))
	}
}

// prepare gives the calls that are to be made for some owners; for who needs none
// it takes down why.
func (j *errand) prepare(ctx context.Context, o *outcomes, who *sets.Set) ([]call, error) {
	waiting, err := j.waiting(ctx, who)
	if err != nil {
		return nil, err
	}
	for ord := range sets.Minus(who, waiting).All() {
		o.add(ord, record.Attempt{Fate: record.FateSkipped, Code: codeReceived, Text: "the message was received, or has ended, before it was sent this way"})
	}
	addresses, err := j.addresses(ctx, waiting)
	if err != nil {
		return nil, err
	}
	calls := make([]call, 0, len(addresses))
	for _, a := range addresses {
		if !waiting.Contains(a.Ord) || j.l.gone.has(a.Token, a.Updated) {
			continue
		}
		waiting.Remove(a.Ord)
		c := call{ord: a.Ord, address: a, m: j.says.of(a.Ord)}
		if j.debug() {
			c.trace = &provider.Transcript{}
		}
		calls = append(calls, c)
	}
	for ord := range waiting.All() {
		o.add(ord, record.Attempt{Fate: record.FateSkipped, Code: codeNoAddress, Text: "there is no valid address any more"})
	}
	return calls, nil
}

// waiting gives those for whom the message still waits, as a set of its own.
// What is not known of them counts as waiting.
func (j *errand) waiting(ctx context.Context, who *sets.Set) (*sets.Set, error) {
	if j.Owner != record.OwnerDevice {
		return who.Clone(), nil
	}
	// Who is only sent it meanwhile may not get it, and will be shown it once.
	enough := herald.StateReceived
	if s := j.c.stepOf(j.m, j.Step); s != nil && s.Until() != herald.StateSent {
		enough = s.Until()
	}
	out := sets.New()
	err := j.c.c.Ledger.ShortOf(ctx, j.m, enough, who, func(s *sets.Set) error {
		out.Or(s)
		return nil
	})
	if errors.Is(err, record.ErrDamaged) {
		return who.Clone(), nil
	}
	return out, err
}

// gap is how many ordinals that are not asked for are read rather than a query
// more made.
const gap = 64

// addresses reads those of some owners, and it may be of others between them.
func (j *errand) addresses(ctx context.Context, who *sets.Set) (out []record.Address, err error) {
	environment := j.Env
	switch {
	case who.Empty():
		return nil, nil
	case j.Owner == record.OwnerApp:
		return []record.Address{{App: j.App, Owner: j.Owner, Environment: j.Env}}, nil
	case j.Kind == record.KindChat:
		environment = j.Credential // the room
	}
	var from, to herald.Ordinal
	some := false
	read := func() error {
		list, err := j.c.c.Addresses.AddressesIn(ctx, j.App, j.Owner, j.Kind, environment, from, to, int(to-from)+1)
		out = append(out, list...)
		return err
	}
	for ord := range who.All() {
		if some && ord-to > gap {
			if err := read(); err != nil {
				return nil, err
			}
			some = false
		}
		if !some {
			from, some = ord, true
		}
		to = ord
	}
	return out, read()
}

// doubt writes down for whom calls are about to be made.
func (j *errand) doubt(calls []call) error {
	doubt := sets.New()
	for i := range calls {
		doubt.Add(calls[i].ord)
	}
	j.Doubt, j.At = doubt, j.c.c.Now().Add(j.c.c.Limits.Lease)
	return j.save(record.ErrandSave{Errand: &j.Errand})
}

// judge turns what came of a call into an outcome, if it is one.
func (j *errand) judge(o *outcomes, c *call, lease *provider.Lease) {
	if !c.made {
		return
	}
	now := o.now
	a := record.Attempt{Fate: record.FateAccepted, Reference: c.result.Reference, Parts: c.result.Parts, Shortened: c.result.Shortened}
	switch err := c.err; {
	case err == nil:
		j.reached = true
		if moved := c.result.Moved; moved != "" && moved != c.address.Token {
			to := c.address
			to.Token, to.Created, to.Updated = moved, now, now
			o.marks = append(o.marks, func(ctx context.Context) error { return j.c.c.Addresses.SetAddress(ctx, to) })
		}
	case err.Unknown && (!lease.Driver.Idempotent || j.watch.isOver()): // it is not sent again
		a = attemptOf(record.FateUnknown, err)
	case err.Kind == provider.Unregistered:
		a = attemptOf(record.FateFailed, err)
		if faults.Planted("asks_gone") {
			break
		}
		o.marks = append(o.marks, func(ctx context.Context) error {
			return j.c.c.Addresses.InvalidateAddress(ctx, c.address, codeOf(err), now, err.Since)
		})
	case err.Kind == provider.Rejected, err.Kind == provider.TooLarge:
		a = attemptOf(record.FateFailed, err)
	default: // unavailable, throttled, unauthorized: later
		j.later.Add(c.ord)
		return
	}
	if c.joined > 1 && a.Text == "" {
		a.Text = digestText(c.joined)
	}
	if list := c.trace.Exchanges(); len(list) > 0 {
		a.Trace, _ = json.Marshal(list) // of strings, numbers and times
	}
	o.add(c.ord, a)
}
