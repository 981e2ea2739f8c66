package api_test

import (
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

// An erasure that was interrupted is finished by the same call and by the next
// start, wherever it stopped.
func TestEraseInterrupted(t *testing.T) {
	for _, removed := range []bool{false, true} {
		for name, finish := range map[string]func(*world, herald.RegistrationID) error{
			"called again": func(w *world, id herald.RegistrationID) error { return w.s.Devices.Erase(w.t.Context(), w.masterA, id) },
			"started":      func(w *world, _ herald.RegistrationID) error { return w.s.Devices.FinishErasures(w.t.Context(), w.a) },
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				ctx := t.Context()
				anna, bob := w.device(w.a, api.RegisterRequest{Alias: "anna"}), w.device(w.a, api.RegisterRequest{})
				both := w.sent(w.masterA, `{"audience":{"registration_ids":["`+string(anna.Device)+`","`+string(bob.Device)+`"]},"data":1}`).ID
				w.settle()
				w.must(w.db.BeginErasure(ctx, record.Erasure{App: anna.App, Ord: anna.Ord, ID: anna.Device, Alias: "anna"}))
				if removed { // and the process died before its deliveries ended
					_, err := w.registry.Remove(ctx, anna.App, anna.Device)
					w.must(err)
				}
				w.must(finish(w, anna.Device))
				if at := append(where(w.rows(), string(anna.Device)), where(w.rows(), "anna")...); len(at) > 0 {
					t.Errorf("it is still in %v", at)
				}
				v, err := w.s.Messages.Get(ctx, w.masterA, both)
				w.must(err)
				if n := v.Counts.States[herald.StateDeviceGone]; n != 1 {
					t.Errorf("states %v: one device is gone", v.Counts.States)
				}
				if err := w.s.Devices.Erase(ctx, w.masterA, anna.Device); code(err) != herald.CodeNotFound {
					t.Errorf("after it is finished: %v", err)
				}
				w.must(w.s.Devices.FinishErasures(ctx, w.a))
			})
		}
	}
}
