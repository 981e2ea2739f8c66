//go:build !planted

package dispatch

import (
	"context"

	"github.com/herald-push/herald/internal/record"
)

// keep makes an acceptance durable.
func (d *Dispatcher) keep(ctx context.Context, a record.Acceptance) (record.Accepted, error) {
	return d.c.Store.Accept(ctx, a)
}

// keepAll is keep for several, in one commit.
func (d *Dispatcher) keepAll(ctx context.Context, list []*record.Acceptance) []record.Outcome {
	return d.c.Store.AcceptAll(ctx, list)
}
