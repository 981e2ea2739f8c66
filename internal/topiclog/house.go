package topiclog

import (
	"context"
	"time"

	"github.com/herald-push/herald/internal/record"
)

// atOnce is how many rows one step of the housekeeping looks at.
const atOnce = 500

// Run does what has to be done every so often, until ctx ends: what was changed
// lazily is written, wills that are due are published, sessions that are over
// end, and old entries are deleted.
func (l *Log) Run(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	adopted := false
	for n := 0; ; n++ {
		if !adopted {
			more, err := l.c.Store.AdoptTopics(ctx, l.run, atOnce)
			for err == nil && more {
				more, err = l.c.Store.AdoptTopics(ctx, l.run, atOnce)
			}
			adopted = err == nil
			l.complain(ctx, err)
		}
		l.complain(ctx, l.Tidy(ctx, n%60 == 1))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-second.C:
		}
	}
}

func (l *Log) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		l.c.Log.ErrorContext(ctx, "looking after persistent sessions failed; trying again", "error", err)
	}
}

// Tidy does it once; purge says whether entries are looked at too.
func (l *Log) Tidy(ctx context.Context, purge bool) error {
	l.mu.Lock()
	l.flushLazy()
	l.mu.Unlock()
	for {
		due, err := l.c.Store.DueTopics(ctx, l.c.Now(), atOnce)
		if err != nil {
			return err
		}
		if err := l.settle(ctx, due); err != nil {
			return err
		}
		if len(due) < atOnce {
			break
		}
	}
	if !purge {
		return nil
	}
	before := l.c.Now().Add(-l.c.TTL)
	for _, key := range l.c.Apps() {
		for {
			n, err := l.c.Store.PurgeTopics(ctx, key, before, atOnce)
			if err != nil {
				return err
			}
			if n < atOnce {
				break
			}
		}
	}
	return nil
}

// settle deals with sessions that are due. A will is published before the record
// forgets it: a crash in between publishes it again.
func (l *Log) settle(ctx context.Context, due []record.TopicDue) error {
	var last error
	done := make(chan error, len(due))
	begun := 0
	for _, d := range due {
		if d.Will != nil {
			if err := l.will(ctx, d.App, d.Client, d.Will); err != nil {
				last = err
				continue
			}
		}
		begun++
		op := &record.TopicOp{App: d.App, Client: d.Client}
		if d.Over {
			op.End, op.Over = true, l.c.Now()
		} else {
			op.Change = &record.TopicSessionChange{NoWill: true}
		}
		if err := l.put(&item{op: op, app: l.app(d.App), bytes: itemSize, then: func(err error) { done <- err }}); err != nil {
			done <- err
		}
	}
	for range begun {
		select {
		case err := <-done:
			if err != nil {
				last = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return last
}
