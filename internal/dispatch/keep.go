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
