package receipt_test

import (
	"context"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// BenchmarkReading reads a message to two slabs of devices, of which each has
// received and displayed it on its own: ns/op divided by 131,072 is the price
// of a delivery.
func BenchmarkReading(b *testing.B) {
	w := newWorld(b, b.TempDir())
	defer w.end(false)
	ords := sets.Range(2 * sets.SlabSize).Ordinals()
	m := w.message(group, 0, ords...)
	w.apply(m, herald.StateSent, ords...)
	for _, state := range []herald.DeliveryState{herald.StateReceived, herald.StateDisplayed} {
		events := make([]record.Event, len(ords))
		for i, o := range ords {
			events[i] = w.event(m, state, o)
		}
		w.must(w.ledger.Apply(context.Background(), app, events...))
	}
	w.must(w.ledger.Fold(context.Background(), true))
	read := func(b *testing.B, what func(*receipt.Reading) error) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := w.ledger.Read(context.Background(), m)
			w.must(err)
			w.must(what(r))
		}
	}
	b.Run("survey", func(b *testing.B) {
		read(b, func(r *receipt.Reading) error {
			_, err := r.Survey(context.Background(), []*sets.Set{sets.Range(sets.SlabSize)})
			return err
		})
	})
	b.Run("deliveries", func(b *testing.B) {
		read(b, func(r *receipt.Reading) error {
			for _, part := range r.Parts() {
				if _, err := r.Deliveries(context.Background(), part, receipt.DeliveryFilter{}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
