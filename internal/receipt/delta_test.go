package receipt_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// full are limits with which no cell stays in memory that nobody has changed,
// and a few changes need not be folded at once.
var full = map[string]limits{
	"targets in chunks":  {small: -1, inline: 1, bytes: 20_000},
	"images in rows":     {small: -1, inline: 1 << 20, bytes: 20_000},
	"one cell a message": {bytes: 20_000},
}

// chunksOf counts what the record has of a state.
func (w *world) chunksOf(m *record.Message, state herald.DeliveryState) (n int64) {
	w.t.Helper()
	w.must(w.db.StateChunks(context.Background(), app, m.ID, func(c record.Chunk) error {
		if c.State == state {
			n += c.Bits.Len()
		}
		return nil
	}))
	return n
}

// What is reported of a cell that is not in memory is seen by all who ask,
// before it is folded, after a crash, and afterwards.
func TestDelta(t *testing.T) {
	for name, memory := range full {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			ords := []herald.Ordinal{1, 2, 3, 65_537, 65_538, 200_000}
			m := w.message(group, 0, ords...)
			other := w.message(aliased, 0, ords...)
			w.apply(other, herald.StateReceived, 1, 65_537)
			w.must(w.ledger.Fold(t.Context(), true))
			w.restart(false) // nothing is in memory
			w.apply(m, herald.StateSent, 1)
			w.apply(m, herald.StateReceived, 65_537)
			w.apply(m, herald.StateRebound, 3)
			w.apply(m, herald.StateSent, 4711) // is not for it
			w.apply(other, herald.StateSent, 1)
			want := map[herald.Ordinal]herald.DeliveryState{1: herald.StateSent, 2: herald.StatePending, 3: herald.StateRebound,
				65_537: herald.StateReceived, 65_538: herald.StatePending, 200_000: herald.StatePending, 4711: ""}
			check := func(when string) {
				t.Helper()
				for o, s := range want {
					if got := w.state(m, o); got != s {
						t.Errorf("%s: device %d is %q, want %q", when, o, got, s)
					}
				}
				c := w.counts(m)
				if c.Sent != 2 || c.Received != 1 || c.States[herald.StateRebound] != 1 {
					t.Errorf("%s: %+v", when, c)
				}
				pending, err := w.ledger.Pending(t.Context(), m)
				w.must(err)
				if !sets.Equal(pending, sets.New(1, 2, 65_538, 200_000)) {
					t.Errorf("%s: waits for %d", when, pending.Ordinals())
				}
				for o, n := range map[herald.Ordinal]int{1: 1, 2: 2, 3: 1, 65_537: 0, 65_538: 2} {
					if got := w.waiting(o); len(got) != n {
						t.Errorf("%s: for device %d wait %v, want %d", when, o, got, n)
					}
				}
				if got := fmt.Sprint(w.history(m, 65_537)); got != "[received]" {
					t.Errorf("%s: history %s", when, got)
				}
			}
			check("at once")
			if w.chunksOf(m, herald.StateReceived) != 0 {
				t.Error("the states of the message were written before the fold")
			}
			w.restart(true)
			check("after a crash")
			w.must(w.ledger.Fold(t.Context(), true))
			check("folded")
			if sent, received := w.chunksOf(m, herald.StateSent), w.chunksOf(m, herald.StateReceived); sent != 2 || received != 1 {
				t.Errorf("the record has %d sent and %d received", sent, received)
			}
			w.restart(false)
			check("after a restart")
			// What was found to wait, or not to, when they asked, is not all that
			// there is to say of them.
			w.restart(false)
			w.waiting(1)
			w.waiting(65_537)
			w.apply(m, herald.StateDisplayed, 65_537)
			w.apply(m, herald.StateReceived, 1)
			w.apply(m, herald.StateReceived, 65_538)
			if c := w.counts(m); c.Sent != 3 || c.Received != 3 || c.Displayed != 1 {
				t.Errorf("%+v", c)
			}
			if got := fmt.Sprint(w.history(m, 65_537)); got != "[received displayed]" {
				t.Errorf("history %s", got)
			}
			if got := w.waiting(1); len(got) != 0 {
				t.Errorf("for device 1 wait %v", got)
			}
		})
	}
}

// A change of many devices takes in what is known of a few; what is reported
// twice, or too late, changes nothing.
func TestDeltaBecomesCell(t *testing.T) {
	for name, memory := range full {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			var ords []herald.Ordinal
			for o := range herald.Ordinal(40) {
				ords = append(ords, o)
			}
			m := w.message(group, 0, ords...)
			w.restart(false)
			w.apply(m, herald.StateSent, 7)
			w.apply(m, herald.StateSent, 7)
			w.apply(m, herald.StateReceived, 8)
			w.apply(m, herald.StateSent, 8)
			w.apply(m, herald.StateSent, ords[:20]...)
			if c := w.counts(m); c.Sent != 20 || c.Received != 1 {
				t.Errorf("%+v", c)
			}
			if got := fmt.Sprint(w.history(m, 7), w.history(m, 8), w.history(m, 9)); got != "[sent] [received] [sent]" {
				t.Errorf("history %s", got)
			}
			w.restart(true)
			w.apply(m, herald.StateReceived, 9)
			w.must(w.ledger.Fold(t.Context(), true))
			w.restart(false)
			m = w.finish(m, herald.MessageExpired, herald.StateExpired)
			if c := w.counts(m); c.Received != 2 || c.States[herald.StateUnconfirmed] != 18 || c.States[herald.StateExpired] != 20 {
				t.Errorf("%+v", c)
			}
			w.restart(false)
			w.apply(m, herald.StateReceived, 10, 30) // one may still be received, and the other has ended
			if s, e := w.state(m, 10), w.state(m, 30); s != herald.StateReceived || e != herald.StateExpired {
				t.Errorf("device 10 is %s, 30 is %s", s, e)
			}
		})
	}
}

// A fold that fails, before or after bits were written ahead of it, is made
// again with what came since.
func TestDeltaFoldFails(t *testing.T) {
	for name, memory := range full {
		for _, ahead := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, written ahead %t", name, ahead), func(t *testing.T) {
				w := newWorldWith(t, t.TempDir(), memory)
				defer w.end(false)
				m := w.message(group, 0, 1, 2, 3, 70_000)
				w.restart(false)
				w.apply(m, herald.StateSent, 1)
				w.faulty.failFolds(true, !ahead)
				if err := w.ledger.Fold(t.Context(), true); err == nil {
					t.Fatal("the fold did not fail")
				}
				w.apply(m, herald.StateReceived, 2)
				w.apply(m, herald.StateSent, 70_000)
				if err := w.ledger.Fold(t.Context(), true); err == nil {
					t.Fatal("the fold did not fail")
				}
				w.restart(true)
				if c := w.counts(m); c.Sent != 3 || c.Received != 1 {
					t.Errorf("after a crash: %+v", c)
				}
				w.must(w.ledger.Fold(t.Context(), true))
				if n := receiptLog(t, w); n != 0 || w.chunksOf(m, herald.StateSent) != 3 || w.chunksOf(m, herald.StateReceived) != 1 {
					t.Errorf("%d batches are left; %d sent, %d received", n, w.chunksOf(m, herald.StateSent), w.chunksOf(m, herald.StateReceived))
				}
				if got := fmt.Sprint(w.history(m, 1)); got != "[sent]" {
					t.Errorf("history %s", got)
				}
			})
		}
	}
}
