package receipt_test

import (
	"fmt"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// TestFoldInParts: a long log is folded in several commits. If one of them fails,
// or the server crashes there, what was folded is not counted or told twice, and
// the rest follows.
func TestFoldInParts(t *testing.T) {
	for name, crash := range map[string]bool{"and goes on": false, "and crashes": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			defer func() { w.end(false) }()
			const devices, parts = 3 << 16, 48
			all := sets.Range(devices).Ordinals()
			m := w.message(group, 0, all...)
			for k := range parts { // each is some kilobytes of history
				var some []herald.Ordinal
				for o := k; o < devices; o += parts {
					some = append(some, herald.Ordinal(o))
				}
				w.apply(m, herald.StateReceived, some...)
			}
			check := func(when string, left bool) {
				t.Helper()
				if n := receiptLog(t, w); (n > 0) != left || n >= parts {
					t.Errorf("%s: %d batches are not folded", when, n)
				}
				if c := w.counts(m); c.Received != devices {
					t.Errorf("%s: %+v", when, c)
				}
				for _, o := range []herald.Ordinal{0, parts - 1, devices / 2, devices - 1} {
					if got := fmt.Sprint(w.history(m, o)); got != "[received]" {
						t.Errorf("%s: the history of device %d is %s", when, o, got)
					}
				}
			}
			w.faulty.failFoldsAfter(1)
			if err := w.ledger.Fold(t.Context(), true); err == nil {
				t.Fatal("the fold did not fail")
			}
			check("after a part", true)
			if crash {
				w.restart(true)
				check("after the crash", true)
			}
			w.faulty.failFolds(false, false)
			w.must(w.ledger.Fold(t.Context(), true))
			check("after the rest", false)
			w.restart(false)
			check("after a restart", false)
		})
	}
}
