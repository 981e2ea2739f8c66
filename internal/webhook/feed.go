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

// batch takes events up to a place (nil: up to the end of the log), as many as
// a request bears. The feed stands behind them then.
func (f *feed) batch(upto *record.WebhookPos) ([]item, error) {
	var out []item
	for len(out) < maxBatch && (upto == nil || f.at.Before(*upto)) {
		it, err, ok := f.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		if upto != nil && upto.Before(it.after) {
			return out, nil
		}
		f.at = it.after
		if it.Type != "" {
			out = append(out, it)
		}
	}
	return out, nil
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
