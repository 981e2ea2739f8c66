package topiclog

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// commits makes durable what waits, one commit after another.
func (l *Log) commits() {
	defer close(l.told)
	for {
		batch, load, end := l.take()
		if end {
			return
		}
		if len(batch) > 0 {
			l.commit(batch)
			l.told <- batch
		}
		// What the filters of an app are is read when nothing that changes them is
		// under way: from here until it is read all of the app is put aside.
		for _, a := range load {
			l.loads.Go(func() { l.load(a) })
		}
		if len(batch)+len(load) == 0 {
			<-l.wake
		}
	}
}

// commit does operations in one commit. If it fails, it has failed for all.
func (l *Log) commit(batch []*item) {
	ops := make([]*record.TopicOp, 0, len(batch))
	for _, it := range batch {
		if e := it.op.Entry; e != nil && it.err == nil {
			it.app.decide(it.op)
			it.skip = !it.op.Keep && (e.In == 0 || e.Client == "")
		}
		if it.err == nil && !it.skip {
			ops = append(ops, it.op)
		}
	}
	var err error
	if len(ops) > 0 {
		err = l.c.Store.CommitTopics(l.ctx, l.run, ops)
	}
	for _, it := range batch {
		switch {
		case it.err != nil || it.skip:
		case err != nil:
			if it.err = err; it.op.Entry != nil {
				it.op.Entry.Pos = 0
			}
		default:
			it.err = it.op.Err
			it.app.apply(it.op)
			if it.op.Keep && it.err == nil {
				l.appended.Add(1)
			}
			if op := it.op; op.Will != nil {
				// Beside the commits: who publishes it appends it here.
				l.loads.Go(func() { l.complain(l.ctx, l.will(l.ctx, op.App, op.Client, op.Will)) })
			}
		}
	}
}

// will has a will published that is due.
func (l *Log) will(ctx context.Context, app herald.AppKey, client string, w *record.TopicWill) error {
	if l.c.OnWill == nil {
		return nil
	}
	return l.c.OnWill(ctx, app, client, *w)
}

// tell calls those who wait, in the order of the operations.
func (l *Log) tell() {
	for batch := range l.told {
		for _, it := range batch {
			if it.then != nil {
				it.then(it.err)
			}
			if it.op.Entry != nil {
				it.app.pending.Add(-1)
			}
		}
		l.mu.Lock()
		for _, it := range batch {
			l.items--
			l.bytes -= it.bytes
		}
		l.mu.Unlock()
	}
}

// load reads the filters of an app, and lets go on what waits for that.
func (l *Log) load(a *app) {
	var err error
	for read := false; err == nil && !read; {
		f := a.begin()
		if err = l.c.Store.TopicFilters(l.ctx, l.run, a.key, f.load, f.loadMember); err == nil {
			read = a.set(f)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range a.parked {
		it.err = err
	}
	l.parked -= len(a.parked)
	l.queue = append(a.parked, l.queue...)
	a.parked, a.loading = nil, false
	l.signal()
}
