//go:build planted

package dispatch

import (
	"bytes"
	"context"
	"time"

	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// keep makes an acceptance durable, but for a defect that is planted.
func (d *Dispatcher) keep(ctx context.Context, a record.Acceptance) (record.Accepted, error) {
	switch {
	case faults.Planted("not_kept"):
		return record.Accepted{}, nil
	case faults.Planted("alters_body"):
		a.Message.Body = bytes.ReplaceAll(a.Message.Body, []byte("7"), []byte("8"))
	case faults.Planted("after_ttl"):
		a.Message.TTL += time.Hour
	case faults.Planted("forgets_key"):
		a.Idempotency = nil
	}
	done, err := d.c.Store.Accept(ctx, a)
	if err != nil && faults.Planted("sends_refused") {
		a.Idempotency = nil
		_, _ = d.c.Store.Accept(ctx, a)
	}
	return done, err
}

// keepAll is keep for several. With a defect planted they are taken one by one.
func (d *Dispatcher) keepAll(ctx context.Context, list []*record.Acceptance) []record.Outcome {
	out := make([]record.Outcome, len(list))
	for i, a := range list {
		out[i].Accepted, out[i].Err = d.keep(ctx, *a)
	}
	return out
}
