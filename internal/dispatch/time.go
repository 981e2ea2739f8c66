package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	tickEvery  = 500 * time.Millisecond // how late something due may be noticed
	purgeEvery = time.Hour
	leaseFor   = 30 * time.Second
	duePage    = 200
)

// keepTime does what falls due, until the dispatcher is closed.
func (d *Dispatcher) keepTime() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var purged time.Time
	for {
		d.report("releasing what is due", d.releaseDue(d.ctx))
		d.report("expiring messages", d.expire(d.ctx))
		if now := d.c.Now(); now.Sub(purged) >= purgeEvery {
			purged = now
			d.report("purging old messages", d.purge(d.ctx, now))
		}
		select {
		case <-d.ctx.Done():
			return
		case <-d.due:
		case <-ticker.C:
		}
	}
}

func (d *Dispatcher) report(what string, err error) {
	if err != nil && d.ctx.Err() == nil {
		d.c.Log.Error("dispatch: "+what+" failed; trying again", "error", err)
	}
}

func (d *Dispatcher) releaseDue(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		now := d.c.Now()
		next, err := d.c.Store.NextJob(ctx)
		if err != nil || next.IsZero() || next.After(now) {
			return err
		}
		jobs, err := d.c.Store.LeaseJobs(ctx, now, leaseFor, duePage)
		if err != nil {
			return err
		}
		d.doJobs(ctx, jobs)
		more = len(jobs) == duePage
	}
	return nil
}

// doJobs does what is due, in its order: what devices were to get one after the
// other, and was kept back until the same moment, is released one after the
// other.
func (d *Dispatcher) doJobs(ctx context.Context, jobs []record.Job) {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].Kind == record.JobStep {
			n++
		}
		if n > 0 {
			d.report("releasing messages in steps", d.stepJobs(ctx, jobs[:n]))
			jobs = jobs[n:]
			continue
		}
		job := jobs[0]
		jobs = jobs[1:]
		switch job.Kind {
		case record.JobRelease:
			if err := d.releaseJob(ctx, job); !d.refused(job, err) {
				d.report("releasing a scheduled message", err)
			}
		case record.JobSchedule:
			d.report("making the message of a schedule", d.fireJob(ctx, job))
		default:
			d.c.Log.Error("dispatch: a job of an unknown kind is left alone", "kind", job.Kind)
		}
	}
}

// maxStuck is of how many messages it is remembered that it was logged why they
// are not released. What is forgotten is logged again.
const maxStuck = 4096

// refused reports whether a scheduled message cannot be released because of
// what its audience names, and logs that once: it is tried until its TTL ends,
// because the app may put the segment or the file back. Its trace says so, too.
func (d *Dispatcher) refused(job record.Job, err error) bool {
	var e *herald.Error
	refused := errors.As(err, &e) && (e.Code == herald.CodeInvalidRequest || e.Code == herald.CodeNotFound)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !refused {
		delete(d.stuck, job.Msg)
		return false
	}
	if d.stuck[job.Msg] == e.Error() {
		return true
	}
	if d.stuck == nil || len(d.stuck) >= maxStuck {
		d.stuck = map[herald.MessageID]string{}
	}
	d.stuck[job.Msg] = e.Error()
	d.c.Log.Error("dispatch: a scheduled message is due and cannot be released; it is tried until its TTL ends",
		"app", job.App, "message", job.Msg, "error", e, "remedy", e.Remedy)
	return true
}

func (d *Dispatcher) releaseJob(ctx context.Context, job record.Job) error {
	m, err := d.c.Store.Message(ctx, job.App, job.Msg)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil // purged with its message
	}
	if err != nil {
		return err
	}
	target, err := d.c.Evaluate(ctx, job.App, m.Audience)
	if err != nil {
		return err
	}
	released := *m
	aim(&released, target)
	released.State = herald.MessageSending
	if err := d.cut(&released, target, d.c.Now()); err != nil {
		return err
	}
	d.atRelease(&released)
	_, err = d.c.Store.ReleaseDue(ctx, job, released)
	if herald.CodeOf(err) == herald.CodeConflict {
		return nil // withdrawn, or another node has done it
	}
	d.begun(&released)
	return err
}

func (d *Dispatcher) expire(ctx context.Context) error {
	for {
		list, err := d.c.Store.Expired(ctx, d.c.Now(), duePage)
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := d.end(ctx, m, herald.MessageExpired); err != nil {
				return err
			}
		}
		if len(list) < duePage {
			return nil
		}
	}
}

func (d *Dispatcher) purge(ctx context.Context, now time.Time) error {
	before, purged := now.Add(-herald.TraceRetention), 0
	for more := true; more; {
		list, err := d.c.Store.Purgeable(ctx, before, duePage)
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := d.keepCounts(ctx, m); err != nil {
				return err
			}
		}
		if more, err = d.c.Store.Purge(ctx, now, before, duePage); err != nil {
			return err
		}
		for _, m := range list {
			d.c.Ledger.Catalog().Forget(m.App, m.ID)
		}
		purged += len(list)
	}
	for more := true; more; {
		var err error
		if more, err = d.c.Store.PurgeSchedules(ctx, now.Add(-herald.CountRetention), duePage); err != nil {
			return err
		}
	}
	if purged == 0 {
		return nil
	}
	return d.c.Ledger.Purged(ctx)
}

// keepCounts keeps the counts of a message that is about to be purged. What
// cannot be counted any more, because it is damaged, goes without.
func (d *Dispatcher) keepCounts(ctx context.Context, m *record.Message) error {
	if m.Pos == 0 {
		return nil // it was never released
	}
	err := d.Settle(ctx, m)
	if err == nil {
		var c herald.Counts
		if c, err = d.c.Ledger.Counts(ctx, m); err == nil {
			return d.c.Store.KeepCounts(ctx, m.Count(c), m.Ended.Add(herald.CountRetention))
		}
	}
	if errors.Is(err, record.ErrDamaged) {
		d.c.Log.ErrorContext(ctx, "dispatch: the counts of a message are lost, because its states are damaged", "app", m.App, "message", m.ID, "error", err)
		return nil
	}
	return err
}
