package receipt_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
)

// While the record refuses receipts nobody is held up, and nothing is lost.
func TestStoreAwayAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	d, g, v := w.message(direct, 0, 1, 2), w.message(group, 0, 1, 2), w.message(volatile, 0, 1, 2)
	w.faulty.set(true, false)
	for range 1000 { // would never end, if reporting waited for the store
		w.ledger.Report(app, w.event(d, herald.StateSent, 1), w.event(g, herald.StateReceived, 2), w.event(v, herald.StateReceived, 1))
	}
	<-w.faulty.tried
	// Nothing that is not durable is counted, or told as done.
	if got := w.state(d, 1); got != herald.StatePending {
		t.Errorf("not durable yet, and %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.ledger.Apply(ctx, app, w.event(d, herald.StateClicked, 2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply answered %v while the store was away", err)
	}
	w.faulty.set(false, false)
	w.settle()
	for _, c := range []struct {
		m    *record.Message
		o    herald.Ordinal
		want herald.DeliveryState
	}{{d, 1, herald.StateSent}, {d, 2, herald.StateClicked}, {g, 2, herald.StateReceived}, {v, 1, herald.StateReceived}} {
		if got := w.state(c.m, c.o); got != c.want {
			t.Errorf("device %d: %s, want %s", c.o, got, c.want)
		}
	}
	if n := w.faulty.batches(); n > 4 {
		t.Errorf("%d batches for events that waited together", n)
	}
	w.restart(true)
	if got := w.state(d, 2); got != herald.StateClicked {
		t.Errorf("after a restart: %s", got)
	}
}

// Who waits for events whose message cannot be read is told so; the others of
// the batch are taken.
func TestMessageUnreadable(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	m, known := w.message(direct, 0, 1), w.message(direct, 0, 1)
	w.ledger.Catalog().Forget(app, m.ID)
	w.faulty.set(false, true)
	err := w.ledger.Apply(t.Context(), app, w.event(m, herald.StateReceived, 1), w.event(known, herald.StateReceived, 1))
	if herald.CodeOf(err) != herald.CodeStorageUnavailable {
		t.Errorf("Apply answered %v", err)
	}
	w.faulty.set(false, false)
	if a, b := w.state(m, 1), w.state(known, 1); a != herald.StatePending || b != herald.StateReceived {
		t.Errorf("states %s and %s", a, b)
	}
	// A message that is gone is no error: it was purged.
	gone := &record.Message{Message: herald.Message{ID: 77}}
	w.apply(gone, herald.StateReceived, 1)
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("writes and folds what is queued", func(t *testing.T) {
		w := newWorld(t, t.TempDir())
		m := w.message(direct, 0, 1)
		w.ledger.Report(app, w.event(m, herald.StateReceived, 1))
		w.end(false)
		w.open()
		w.load()
		if got := w.state(m, 1); got != herald.StateReceived {
			t.Errorf("after Close: %s", got)
		}
		if n := receiptLog(t, w); n != 0 {
			t.Errorf("%d batches are left", n)
		}
		w.end(false)
	})
	t.Run("gives up with its context", func(t *testing.T) {
		w := newWorld(t, t.TempDir())
		m := w.message(direct, 0, 1)
		w.faulty.set(true, false)
		waiting := make(chan error, 1)
		go func() { waiting <- w.ledger.Apply(context.Background(), app, w.event(m, herald.StateReceived, 1)) }()
		<-w.faulty.tried
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := w.ledger.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close answered %v", err)
		}
		if err := <-waiting; err == nil {
			t.Error("who waited was told that it is done")
		}
		// What comes later starts nothing that stays.
		w.ledger.Report(app, w.event(m, herald.StateReceived, 1))
		if err := w.ledger.Apply(t.Context(), app, w.event(m, herald.StateReceived, 1)); err == nil {
			t.Error("Apply after Close was taken")
		}
		w.must(w.db.Close())
	})
}

// A notice goes to who was sent the message, received or not, until told.
func TestNotices(t *testing.T) {
	for _, k := range []kind{direct, group} {
		t.Run(string(k), func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			m, kept := w.message(k, 0, 1, 2, 3), w.message(k, 0, 1)
			w.apply(m, herald.StateSent, 1)
			w.apply(m, herald.StateReceived, 2)
			w.apply(m, record.ToldState, 1) // before there is anything to tell
			w.apply(kept, herald.StateSent, 1)
			m = w.finish(m, herald.MessageWithdrawn, herald.StateWithdrawn)
			want := func(when string, after herald.Pos, told map[herald.Ordinal]int) {
				t.Helper()
				for o, n := range told {
					got, err := w.ledger.Notices(t.Context(), app, o, after)
					w.must(err)
					if len(got) != n || n == 1 && got[0].ID != m.ID {
						t.Errorf("%s: device %d has %d notices, want %d", when, o, len(got), n)
					}
				}
			}
			want("at first", 0, map[herald.Ordinal]int{1: 1, 2: 1, 3: 0, 4: 0})
			want("behind it", m.EndPos, map[herald.Ordinal]int{1: 0, 2: 0})
			w.restart(true)
			before := w.counts(m)
			w.apply(m, record.ToldState, 1, 3)
			if after := w.counts(m); fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("the notice is counted: %v, then %v", before, after)
			}
			want("told", 0, map[herald.Ordinal]int{1: 0, 2: 1, 3: 0})
			w.restart(false)
			want("after a restart", 0, map[herald.Ordinal]int{1: 0, 2: 1, 3: 0})
			w.pass(herald.LateReceipts + time.Second)
			want("after seven days", 0, map[herald.Ordinal]int{2: 0})
			w.must(w.ledger.Fold(t.Context(), true))
			w.restart(false)
			want("after seven days and a restart", 0, map[herald.Ordinal]int{2: 0})
			w.end(false)
		})
	}
}

func TestVolatileIsForgotten(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	m := w.message(volatile, 0, 1)
	w.pass(herald.VolatileTTL - time.Second)
	if _, ok := w.ledger.Volatile(app, m.ID); !ok {
		t.Error("not known any more within ten minutes")
	}
	if _, ok := w.ledger.Volatile("bbbbbbbbbbbbbbbbbbbbbbbb", m.ID); ok {
		t.Error("known in another app")
	}
	w.pass(2 * time.Second)
	if _, ok := w.ledger.Volatile(app, m.ID); ok {
		t.Error("still known after ten minutes")
	}
	// A clock that jumps between making the ID and taking it must not matter.
	jumped := &record.Message{Message: herald.Message{ID: w.ids.Next(w.clock()), App: app, Accepted: w.pass(time.Hour)}}
	w.ledger.TrackVolatile(jumped)
	if _, ok := w.ledger.Volatile(app, jumped.ID); !ok {
		t.Error("the newest is forgotten")
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	a, b, c := w.message(group, 0, 1, 2), w.message(group, 0, 1), w.message(group, 0, 2)
	w.apply(a, herald.StateSent, 1)
	ids := func(after herald.Pos) (out []herald.MessageID) {
		list, err := w.ledger.WaitingGroups(t.Context(), app, 1, after, math.MaxInt64, 10)
		w.must(err)
		for _, e := range list {
			out = append(out, e.Msg)
		}
		return out
	}
	if got := ids(0); fmt.Sprint(got) != fmt.Sprint([]herald.MessageID{a.ID, b.ID}) {
		t.Errorf("waiting %v", got)
	}
	if got := ids(a.Pos); fmt.Sprint(got) != fmt.Sprint([]herald.MessageID{b.ID}) {
		t.Errorf("waiting behind the first %v", got)
	}
	if n := w.ledger.Groups(app); n != 3 {
		t.Errorf("%d groups live", n)
	}
	w.apply(a, herald.StateReceived, 1)
	w.finish(b, herald.MessageExpired, herald.StateExpired)
	if got := ids(0); got != nil || w.ledger.Groups(app) != 2 {
		t.Errorf("waiting after the end %v, %d live", got, w.ledger.Groups(app))
	}
	d := w.message(direct, 0, 1, 2)
	entries := []record.Entry{{Pos: d.Pos, N: d.FirstN, Msg: d.ID}, {Pos: d.Pos, N: d.FirstN + 1, Msg: d.ID}}
	w.apply(d, herald.StateOverflow, 1)
	if got := w.ledger.WaitingEntries(app, entries); len(got) != 1 || got[0].N != d.FirstN+1 {
		t.Errorf("entries %v", got)
	}
	if got := w.ledger.Released(app); got != d.Pos {
		t.Errorf("released up to %d, want %d", got, d.Pos)
	}
	_ = c
}

// A copy of before the end must not take the place of a newer one.
func TestCatalogKeepsTheEnd(t *testing.T) {
	c := receipt.NewCatalog(nil)
	before := &record.Message{Message: herald.Message{ID: 1, App: app}}
	after := *before
	after.Ended = start
	c.Put(before)
	c.Put(&after)
	c.Put(before)
	if m, err := c.Message(t.Context(), app, 1); err != nil || m.Ended.IsZero() {
		t.Errorf("got %+v, %v", m, err)
	}
}

// Reports, questions and folds at the same time: for the race detector, and
// nothing is lost between them.
func TestConcurrent(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	const n = 200
	ords := make([]herald.Ordinal, n)
	for i := range ords {
		ords[i] = herald.Ordinal(i)
	}
	d, g := w.message(direct, 0, ords...), w.message(group, 0, ords...)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := w.ledger.Fold(context.Background(), true); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			known := w.state(g, 0)
			c, err := w.ledger.Counts(context.Background(), g)
			if err == nil {
				err = coherent(c)
			}
			if err != nil {
				t.Error(err)
			}
			// What is counted has a history, whatever is being folded.
			if h, err := w.ledger.History(context.Background(), g, 0); err != nil || len(h) == 0 && known != herald.StatePending || len(h) > 1 {
				t.Errorf("history %v, %v", h, err)
			}
		}
	})
	var reporters sync.WaitGroup
	for part := range 4 {
		reporters.Go(func() {
			for i := part; i < n; i += 4 {
				for _, m := range []*record.Message{d, g} {
					if err := w.ledger.Apply(context.Background(), app, w.event(m, herald.StateReceived, ords[i])); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	reporters.Wait()
	close(stop)
	wg.Wait()
	for _, m := range []*record.Message{d, g} {
		if c := w.counts(m); c.Received != n {
			t.Errorf("counts %+v", c)
		}
	}
}

// TestHistoryAcrossSegments: the deliveries of one message lie in two
// stretches of history, beside those of other messages.
func TestHistoryAcrossSegments(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer func() { w.end(false) }()
	ords := make([]herald.Ordinal, herald.MaxDirect)
	for i := range ords {
		ords[i] = herald.Ordinal(i)
	}
	first, second := w.message(direct, 0, ords...), w.message(direct, 0, ords...)
	for _, m := range []*record.Message{first, second} {
		w.apply(m, herald.StateSent, ords...)
		w.pass(time.Second)
		w.apply(m, herald.StateReceived, 7, 999)
		w.pass(time.Second)
	}
	for _, when := range []string{"in the log", "folded", "after a restart"} {
		switch when {
		case "folded":
			w.must(w.ledger.Fold(t.Context(), true))
		case "after a restart":
			w.restart(false)
		}
		for _, m := range []*record.Message{first, second} {
			for o, want := range map[herald.Ordinal]int{7: 2, 8: 1, 999: 2} {
				if got := w.history(m, o); len(got) != want {
					t.Errorf("%s: message %s on device %d: %v, want %d steps", when, m.ID, o, got, want)
				}
			}
			if got := w.history(m, 5000); got != nil {
				t.Errorf("%s: a device outside the target has a history: %v", when, got)
			}
		}
	}
}
