package receipt_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// A change of aliases finds the messages by alias that wait, in one cell or in
// several, in memory or not, and no others.
func TestWaitingByAlias(t *testing.T) {
	for name, memory := range map[string]limits{"one cell": {}, "several cells": {small: -1}, "nothing in memory": tight} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			wait := w.message(aliased, 3, 1, 2, 70_000)
			w.message(group, 3, 1, 2, 70_000)   // not by alias
			w.message(aliased, 7, 1, 2, 70_000) // evaluated later
			other := w.message(aliased, 3, 2)
			last := w.message(aliased, 3, 2)
			w.apply(wait, herald.StateReceived, 2)

			want := func(when string, upto herald.Pos, ords *sets.Set, want map[herald.MessageID]*sets.Set) {
				t.Helper()
				list, err := w.ledger.WaitingByAlias(t.Context(), app, ords, 7, upto)
				w.must(err)
				got := map[herald.MessageID]string{}
				for _, g := range list {
					got[g.Msg] = fmt.Sprint(g.Ords.Ordinals())
				}
				for id, set := range want {
					// A message of one cell also names who has received it.
					if s := fmt.Sprint(set.Ordinals()); got[id] != s && memory.small != 0 {
						t.Errorf("%s: of message %d wait %s, want %s", when, id, got[id], s)
					}
					if got[id] == "" {
						t.Errorf("%s: message %d is not found", when, id)
					}
				}
				if len(got) != len(want) {
					t.Errorf("%s: found %v, want %v", when, got, want)
				}
			}
			want("two devices", last.Pos-1, sets.New(2, 70_000, 99), map[herald.MessageID]*sets.Set{wait.ID: sets.New(70_000), other.ID: sets.New(2)})
			want("nobody", math.MaxInt64, sets.New(99), nil)
			w.restart(false)
			want("after a restart", math.MaxInt64, sets.New(2, 70_000), map[herald.MessageID]*sets.Set{wait.ID: sets.New(70_000), other.ID: sets.New(2), last.ID: sets.New(2)})

			// Reported for all that was found, it ends only where it waits.
			list, err := w.ledger.WaitingByAlias(t.Context(), app, sets.New(2, 70_000), 7, math.MaxInt64)
			w.must(err)
			for _, g := range list {
				w.must(w.ledger.Apply(t.Context(), app, record.Event{Msg: g.Msg, State: herald.StateRebound, Set: g.Ords, Time: w.clock()}))
			}
			for o, state := range map[herald.Ordinal]herald.DeliveryState{1: herald.StatePending, 2: herald.StateReceived, 70_000: herald.StateRebound} {
				if got := w.state(wait, o); got != state {
					t.Errorf("device %d: %s, want %s", o, got, state)
				}
			}
			w.pass(2 * time.Hour)
			want("when the TTL is over", math.MaxInt64, sets.New(1), nil)
		})
	}
}
