package api_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

// changes are what may be done to a device of which something follows, and what
// a message by its alias ends as.
var changes = map[string]struct {
	do   func(ctx context.Context, w *world, p api.Principal) error
	told string // to its sessions
	ends herald.DeliveryState
}{
	"removed": {func(ctx context.Context, w *world, p api.Principal) error {
		return w.s.Devices.Remove(ctx, w.masterA, p.Device)
	}, "disconnect %d 4001", herald.StateDeviceGone},
	"erased": {func(ctx context.Context, w *world, p api.Principal) error {
		return w.s.Devices.Erase(ctx, w.masterA, p.Device)
	}, "disconnect %d 4001", herald.StateDeviceGone},
	"rebound": {func(ctx context.Context, w *world, p api.Principal) error {
		eve := herald.Alias("eve")
		_, err := w.s.Devices.Update(ctx, w.masterA, p.Device, api.DeviceUpdate{Alias: &eve})
		return err
	}, "rebind %d", herald.StateRebound},
	"rebound with others": {func(ctx context.Context, w *world, p api.Principal) error {
		_, err := w.s.Devices.Bind(ctx, w.masterA, bindings("eve", p))
		return err
	}, "rebind %d", herald.StateRebound},
}

// waiting is a device and a message that waits for it by its alias, and for another.
func (w *world) waiting() (api.Principal, herald.MessageID) {
	p := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	w.device(w.a, api.RegisterRequest{Alias: "anna"})
	id := w.sent(w.masterA, `{"audience":{"aliases":["anna"]},"data":1}`).ID
	w.settle()
	return p, id
}

// wantEnd checks how many deliveries of a message have an end.
func (w *world) wantEnd(when string, id herald.MessageID, end herald.DeliveryState, n int64) {
	w.t.Helper()
	w.settle()
	states := w.states(w.masterA, id, herald.MessageSending)
	if got := states[end]; got != n {
		w.t.Errorf("%s %d deliveries are %s, want %d: %v", when, got, end, n, states)
	}
}

// TestUnfinished: if what follows from a change cannot be done with it, that is
// said, and done later.
func TestUnfinished(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, id := w.waiting()
			w.backlog.away.Store(true)
			if err := c.do(t.Context(), w, p); herald.CodeOf(err) != herald.CodeStorageUnavailable {
				t.Errorf("with a record that fails: %v", err)
			}
			if !slices.Contains(w.unfinished, w.a) {
				t.Error("nobody was told that it is unfinished")
			}
			w.wantEnd("at first", id, c.ends, 0)
			if err := w.s.Devices.FinishChanges(t.Context(), w.a); herald.CodeOf(err) != herald.CodeStorageUnavailable {
				t.Errorf("finished with %v", err)
			}
			w.backlog.away.Store(false)
			for range 2 { // it may be done again
				w.must(w.s.Devices.FinishChanges(t.Context(), w.a))
			}
			w.wantEnd("when it is finished", id, c.ends, 1)
			w.wantEnd("when it is finished", id, herald.StatePending, 1)
			if what := fmt.Sprintf(c.told, p.Ord); !w.hub.heard(what) {
				t.Errorf("sessions were not told: %s", what)
			}
		})
	}
}

// TestCallerGone: what follows from a change is done although the caller has gone.
func TestCallerGone(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, id := w.waiting()
			ctx, cancel := context.WithCancel(t.Context())
			w.hub.then = cancel // the change is durable then
			_ = c.do(ctx, w, p)
			if ctx.Err() == nil {
				t.Fatal("the caller is still there")
			}
			w.wantEnd("at once", id, c.ends, 1)
			if len(w.unfinished) > 0 {
				t.Error("something is said to be unfinished")
			}
		})
	}
}

// TestUnfinishedTellsSessions: a change of an alias of which nobody has heard is
// told to sessions that are open.
func TestUnfinishedTellsSessions(t *testing.T) {
	w := newWorld(t)
	p, _ := w.waiting()
	_, err := w.registry.Bind(t.Context(), w.a, []record.Binding{{ID: p.Device, Alias: "eve"}}, true)
	w.must(err)
	for _, online := range []bool{false, true} {
		w.online(p, online)
		w.must(w.s.Devices.FinishChanges(t.Context(), w.a))
		if told := w.hub.heard(fmt.Sprintf("rebind %d", p.Ord)); told != online {
			t.Errorf("online %t, told %t", online, told)
		}
	}
}
