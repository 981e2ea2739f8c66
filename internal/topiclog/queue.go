package topiclog

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// maxBatch and maxBatchBytes bound what one commit takes.
const (
	maxBatch      = 2048
	maxBatchBytes = 4 << 20
)

// itemSize is about what an operation takes in memory beside its content.
const itemSize = 512

// item is an operation that waits for its turn.
type item struct {
	op    *record.TopicOp
	app   *app
	bytes int64
	then  func(error)
	err   error // why it was not done
	skip  bool  // nothing of it has to be stored
}

// put queues an operation. With an error it was not.
func (l *Log) put(it *item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.room(it); err != nil {
		return err
	}
	if it.op.Entry == nil {
		l.join(it)
	}
	l.enqueue(it)
	return nil
}

// room refuses entries when enough waits, and everything when twice as much
// does: who subscribes is not to wait for those who publish too much. mu is held.
func (l *Log) room(it *item) error {
	items, bytes := l.c.QueueItems, l.c.QueueBytes
	if it.op.Entry == nil {
		items, bytes = 2*items, 2*bytes
	}
	switch {
	case l.closed:
		return unavailable(errClosed)
	case l.items >= items || l.bytes >= bytes:
		return unavailable(nil)
	}
	return nil
}

// enqueue puts an operation at the end of the queue. mu is held.
func (l *Log) enqueue(it *item) {
	l.queue = append(l.queue, it)
	l.items++
	l.bytes += it.bytes
	if it.op.Entry != nil {
		it.app.pending.Add(1)
	}
	l.signal()
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// join lets what is lazily to be done about the session go first. mu is held.
func (l *Log) join(it *item) {
	key := sessionKey{it.op.App, it.op.Client}
	before := l.lazy[key]
	if before == nil {
		return
	}
	delete(l.lazy, key)
	if it.op.Change != nil && before.absorb(it) {
		it.op, it.then = before.op, before.then
		return
	}
	l.enqueue(before)
}

// keepLazy keeps a change for later. mu is held.
func (l *Log) keepLazy(it *item) {
	key := sessionKey{it.op.App, it.op.Client}
	before := l.lazy[key]
	if before != nil && before.absorb(it) {
		return
	}
	if before != nil {
		l.enqueue(before)
	}
	l.lazy[key] = it
}

// flushLazy queues what is lazily to be done. mu is held.
func (l *Log) flushLazy() {
	for key, it := range l.lazy {
		delete(l.lazy, key)
		l.enqueue(it)
	}
}

// absorb takes a later change of the same session into this one, if the order of
// what they do does not matter but for what they say of the same.
func (it *item) absorb(later *item) bool {
	a, b := it.op.Change, later.op.Change
	if len(a.Subscribe)+len(a.Unsubscribe)+len(a.In)+len(a.InDone) > 0 || a.Will != nil || a.NoWill {
		return false
	}
	a.Subscribe, a.Unsubscribe, a.In, a.InDone = b.Subscribe, b.Unsubscribe, b.In, b.InDone
	a.Released, a.Done = append(a.Released, b.Released...), append(a.Done, b.Done...)
	a.Read, a.Unsent = max(a.Read, b.Read), max(a.Unsent, b.Unsent)
	a.Will, a.NoWill = b.Will, b.NoWill
	if b.Expiry != nil {
		a.Expiry = b.Expiry
	}
	it.op.Count += later.op.Count
	it.op.Counted = max(it.op.Counted, later.op.Counted)
	switch first, second := it.then, later.then; {
	case first == nil:
		it.then = second
	case second != nil:
		it.then = func(err error) { first(err); second(err) }
	}
	return true
}

// take gives the next operations to commit. Those of an app whose filters are
// not known yet are put aside until they are, and the apps with them.
func (l *Log) take() (batch []*item, load []*app, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bytes := int64(0)
	var left map[*app]bool // apps of which a member of a shared group may leave
	n := 0
	for ; n < len(l.queue) && len(batch) < maxBatch && bytes < maxBatchBytes; n++ {
		it := l.queue[n]
		a := it.app
		if it.err == nil && (a.loading || it.op.Entry != nil && !a.known.Load()) {
			if !a.loading {
				a.loading = true
				load = append(load, a)
			}
			a.parked = append(a.parked, it)
			l.parked++
			continue
		}
		if it.op.Entry == nil && a.mayLeave(it.op) {
			if left == nil {
				left = map[*app]bool{}
			}
			left[a] = true
		} else if it.op.Entry != nil && left[a] {
			break // which session of a group gets it is chosen when it is known who is left
		}
		batch = append(batch, it)
		bytes += it.bytes
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return batch, load, l.closed && len(batch)+len(l.queue)+l.parked == 0
}

// wait does an operation and waits for it.
func (l *Log) wait(ctx context.Context, op *record.TopicOp) error {
	done := make(chan error, 1)
	it := &item{op: op, app: l.app(op.App), bytes: itemSize, then: func(err error) { done <- err }}
	if err := l.put(it); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// app gives what is known of an app.
func (l *Log) app(key herald.AppKey) *app {
	if a, ok := l.apps.Load(key); ok {
		return a.(*app)
	}
	a, _ := l.apps.LoadOrStore(key, newApp(key))
	return a.(*app)
}
