package courier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// send makes the calls of a batch, as many at once as are allowed, for as long as
// they may be made.
func (j *errand) send(ctx context.Context, p pass, lease *provider.Lease, calls []call) {
	if b, ok := lease.Provider.(provider.BatchSender); ok && len(calls) > 1 && b.MaxBatch() > 1 {
		j.sendBatches(ctx, p, lease, b, calls)
		return
	}
	end := j.c.c.Now().Add(j.c.c.Limits.Lease / 4)
	var at atomic.Int64
	work := func() {
		for {
			i := int(at.Add(1)) - 1
			if i >= len(calls) {
				return
			}
			c, more := &calls[i], false
			if key, wait := j.digestKey(lease, c); key != "" {
				more = j.sendJoined(ctx, p, lease, end, c, key, wait)
			} else {
				more = j.sendOne(ctx, p, end, func(ctx context.Context) { j.sendTo(ctx, p, lease, c) })
			}
			if !more {
				return
			}
		}
	}
	var wg sync.WaitGroup
	for range min(len(calls), cap(j.l.gate.Load().slots)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// sendOne makes one call when it may be made, and is false if no more may be.
func (j *errand) sendOne(ctx context.Context, p pass, end time.Time, do func(context.Context)) bool {
	for {
		wait := j.l.pace.take(j.c.c.Now())
		if wait == 0 {
			break
		}
		if j.c.c.Now().Add(wait).After(end) || !j.sleep(ctx, wait) || !j.may(ctx, p, end) {
			return false
		}
	}
	leave := j.l.gate.Load().enter(ctx, j.watch.recalled)
	if leave == nil {
		return false
	}
	defer leave()
	if !j.may(ctx, p, end) {
		return false
	}
	call, cancel := context.WithTimeout(j.watch.ctx, provider.SendTimeout)
	defer cancel()
	do(call)
	return true
}

func (j *errand) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-j.watch.recalled:
	}
	return false
}

// may reports whether a call may be made now.
func (j *errand) may(ctx context.Context, p pass, end time.Time) bool {
	now := j.c.c.Now()
	return ctx.Err() == nil && now.Before(end) && now.Before(j.m.Expires()) && !j.watch.isOver() && j.l.breaker.holds(p)
}

// sendTo makes the call of one owner.
func (j *errand) sendTo(ctx context.Context, p pass, lease *provider.Lease, c *call) {
	if j.l.gone.has(c.address.Token, c.address.Updated) {
		c.made, c.err = true, provider.Errorf(provider.Unregistered, "", "Register the device anew.", "the address leads to nobody any more")
		return
	}
	if c.trace != nil {
		ctx = provider.WithTranscript(ctx, c.trace)
	}
	result, err := lease.Provider.Send(ctx, provider.Address{Token: c.address.Token, Environment: c.address.Environment}, c.m)
	c.made, c.result = true, result
	if err != nil {
		c.err = errorOf(err)
	}
	j.note(p, lease, c)
}

// note tells the lane what came of a call.
func (j *errand) note(p pass, lease *provider.Lease, c *call) {
	j.c.called.Add(1)
	if c.err != nil && c.err.Kind == provider.Unregistered && (c.err.Since.IsZero() || !c.address.Updated.After(c.err.Since)) {
		j.l.gone.add(c.address.Token, c.address.Updated, j.c.c.Now())
	}
	opens := j.l.breaker.note(p, c.err)
	switch {
	case opens && c.err.Kind == provider.Unauthorized:
		j.l.noted.Store(true)
		j.c.c.NoteProblem(j.App, lease.Credential.ID, c.err)
	case c.err == nil:
		if news := j.l.proves(&lease.Credential); j.l.noted.Swap(false) || news {
			j.c.c.NoteProblem(j.App, lease.Credential.ID, nil)
		}
	}
	if opens {
		j.c.c.Log.Warn("courier: a credential rests", "app", j.App, "vendor", j.Vendor, "environment", j.Env, "name", j.Credential, "until", j.l.breaker.rests(), "error", c.err)
	}
}

// proves reports whether it is news that a version of a credential works.
func (l *lane) proves(c *record.Credential) bool {
	if c.Problem == nil && !c.Verified.IsZero() {
		return false
	}
	version := c.Updated.UnixNano()
	return l.proven.Swap(version) != version
}

// sendBatches makes calls for several owners each, where the vendor takes that.
func (j *errand) sendBatches(ctx context.Context, p pass, lease *provider.Lease, b provider.BatchSender, calls []call) {
	same := map[*provider.Message][]*call{}
	var order []*provider.Message
	for i := range calls {
		m := calls[i].m
		if same[m] == nil {
			order = append(order, m)
		}
		same[m] = append(same[m], &calls[i])
	}
	var parts [][]*call
	for _, m := range order {
		for list := same[m]; len(list) > 0; {
			n := min(len(list), b.MaxBatch())
			parts = append(parts, list[:n])
			list = list[n:]
		}
	}
	end := j.c.c.Now().Add(j.c.c.Limits.Lease / 4)
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() {
			j.sendOne(ctx, p, end, func(ctx context.Context) { j.sendPart(ctx, p, lease, b, part) })
		})
	}
	wg.Wait()
}

// sendPart makes one call for several owners.
func (j *errand) sendPart(ctx context.Context, p pass, lease *provider.Lease, b provider.BatchSender, part []*call) {
	trace := part[0].trace
	if trace != nil {
		ctx = provider.WithTranscript(ctx, trace)
	}
	to := make([]provider.Address, len(part))
	for i, c := range part {
		to[i] = provider.Address{Token: c.address.Token, Environment: c.address.Environment}
	}
	answers := b.SendBatch(ctx, to, part[0].m)
	for i, c := range part {
		c.made, c.trace = true, trace
		if i >= len(answers) {
			c.err = provider.Lost(errors.New("courier: the provider did not answer for all addresses"), true)
		} else if c.result = answers[i].Result; answers[i].Err != nil {
			c.err = errorOf(answers[i].Err)
		}
		j.note(p, lease, c)
	}
}
