package webhook

import (
	"context"
	"iter"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// maxBatch is how many events one request bears.
const maxBatch = 100

// rowsAtOnce is how many rows of the log are read together.
const rowsAtOnce = 16

// feed walks the log of an app from a place on. It is used by one goroutine, and
// has to be stopped.
type feed struct {
	at   record.WebhookPos // what was given is behind this
	next func() (item, error, bool)
	stop func()
}

func (s *Sender) newFeed(ctx context.Context, app herald.AppKey, from record.WebhookPos, events subscription) *feed {
	f := &feed{at: from}
	f.next, f.stop = iter.Pull2(s.walk(ctx, app, from, events.wants))
	return f
}

// walk gives the events of a log behind a place.
func (s *Sender) walk(ctx context.Context, app herald.AppKey, from record.WebhookPos, wants func(string) bool) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for at := from; ; {
			var rows []record.WebhookEntry
			if err := s.c.Store.WebhookLog(ctx, app, at.N, rowsAtOnce, func(e record.WebhookEntry) error {
				rows = append(rows, e)
				return nil
			}); err != nil {
				yield(item{}, err)
				return
			}
			if len(rows) == 0 {
				return
			}
			for _, e := range rows {
				skip := int64(0)
				if e.N == at.N+1 {
					skip = at.I
				}
				if !expand(&e, skip, wants, yield) {
					return
				}
				at = record.WebhookPos{N: e.N}
			}
		}
	}
}

// shard is in which of n requests that are made at once an event is: those of a
// device are in one, in their order. What is about no device comes behind them.
func (it *item) shard(n int) int {
	switch {
	case n < 2:
		return 0
	case it.alone:
		return n
	}
	return int(it.ord) % n
}

// window takes events up to the end of the log, as many as n requests bear:
// until one of them is full. The feed stands behind them then. more tells that
// it did not come to the end.
func (f *feed) window(n int) (list []item, more bool, err error) {
	counts := make([]int, n+1)
	for {
		it, err, ok := f.next()
		if err != nil || !ok {
			return list, false, err
		}
		f.at = it.after
		if it.Type == "" {
			continue
		}
		list = append(list, it)
		s := it.shard(n)
		if counts[s]++; counts[s] == maxBatch {
			return list, true, nil
		}
	}
}

// upto takes the events up to a place that are in a shard of n, at most as many
// as a request bears.
func (f *feed) upto(to record.WebhookPos, shard, n int) (list []item, err error) {
	for len(list) < maxBatch && f.at.Before(to) {
		it, err, ok := f.next()
		if err != nil {
			return nil, err
		}
		if !ok || to.Before(it.after) {
			break
		}
		f.at = it.after
		if it.Type != "" && it.shard(n) == shard {
			list = append(list, it)
		}
	}
	return list, nil
}

// split puts events into as few requests as can be made at once with at most a
// batch in each, and not more than most. One request bears all in order.
func split(list []item, most int) (shards [][]item) {
	for n := (len(list) + maxBatch - 1) / maxBatch; ; n++ {
		if n < 2 {
			return [][]item{list}
		}
		n = min(n, most)
		shards = make([][]item, n+1)
		full := 0
		for _, it := range list {
			s := it.shard(n)
			shards[s] = append(shards[s], it)
			full = max(full, len(shards[s]))
		}
		if full <= maxBatch || n == most {
			return shards
		}
	}
}

// named gives the events of a batch with the names of their devices.
func (s *Sender) named(ctx context.Context, app herald.AppKey, list []item) ([]herald.WebhookEvent, error) {
	var ords []herald.Ordinal
	for _, it := range list {
		if it.named {
			ords = append(ords, it.ord)
		}
	}
	names, err := s.c.Store.DeviceNames(ctx, app, ords)
	if err != nil {
		return nil, err
	}
	out := make([]herald.WebhookEvent, len(list))
	for i, it := range list {
		out[i] = it.WebhookEvent
		if d, ok := names[it.ord]; ok && it.named {
			out[i].RegistrationID = d.ID
			if it.Type == herald.EventRegistered {
				out[i].Platform = d.Platform
			}
		}
	}
	return out, nil
}
