package receipt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/herald-push/herald"
)

// Who waits is the same whether cells are in memory or read for one device, by
// every form in which a target is kept.
func TestWaitingWithoutMemory(t *testing.T) {
	for name, memory := range map[string]limits{
		"targets in chunks": tight, "images in rows": {small: -1, inline: 1 << 20, bytes: 1}, "one cell a message": {bytes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			r := rand.New(rand.NewPCG(1, 2))
			var ords []herald.Ordinal
			for i := range herald.Ordinal(24) {
				ords = append(ords, i%3*65_536+i*i)
			}
			slices.Sort(ords)
			want := map[herald.Ordinal][]herald.MessageID{}
			for i := range 30 {
				var to []herald.Ordinal
				for _, o := range ords {
					if r.IntN(2) == 0 {
						to = append(to, o)
					}
				}
				m := w.message([]kind{group, aliased}[i%2], 0, to...)
				for _, o := range to {
					state := []herald.DeliveryState{"", herald.StateSent, herald.StateReceived, herald.StateClicked, herald.StateRebound}[r.IntN(5)]
					if state != "" {
						w.apply(m, state, o)
					}
					if state == "" || state == herald.StateSent {
						want[o] = append(want[o], m.ID)
					}
				}
				if i == 10 {
					w.restart(true)
				} else if i%7 == 0 {
					w.must(w.ledger.Fold(t.Context(), true))
				}
			}
			for _, restarted := range []bool{false, true} {
				if restarted {
					w.restart(false)
				}
				for range 10 { // now and then a full cache takes what is read
					for _, o := range ords {
						if got := w.waiting(o); fmt.Sprint(got) != fmt.Sprint(want[o]) {
							t.Fatalf("restarted %t: for device %d wait %v, want %v", restarted, o, got, want[o])
						}
					}
				}
			}
		})
	}
}

// A small message of an older Herald has its states slab by slab.
func TestWaitingWithOlderStates(t *testing.T) {
	w := newWorldWith(t, t.TempDir(), limits{bytes: 1})
	defer w.end(false)
	m := w.message(group, 0, 1, 70_000, 70_001)
	w.apply(m, herald.StateReceived, 70_000)
	w.must(w.ledger.Fold(t.Context(), true))
	w.exec("UPDATE msg_chunk SET slab = 1 WHERE msg = ?", int64(m.ID))
	w.restart(false)
	for o, want := range map[herald.Ordinal]int{1: 1, 70_000: 0, 70_001: 1} {
		if got := w.waiting(o); len(got) != want {
			t.Errorf("for device %d wait %v", o, got)
		}
	}
}
