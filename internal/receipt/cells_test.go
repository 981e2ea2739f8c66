package receipt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// tight lets nothing stay in memory that may leave it.
var tight = limits{small: -1, inline: 1, bytes: 1}

// waiting lists the group messages that wait for a device.
func (w *world) waiting(o herald.Ordinal) (out []herald.MessageID) {
	w.t.Helper()
	list, err := w.ledger.WaitingGroups(context.Background(), app, o, 0, math.MaxInt64, 100)
	w.must(err)
	for _, e := range list {
		out = append(out, e.Msg)
	}
	return out
}

// exec changes the record behind the store's back.
func (w *world) exec(q string, args ...any) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "herald.db")+"?_pragma=busy_timeout(10000)")
	w.must(err)
	_, err = db.Exec(q, args...)
	w.must(errors.Join(err, db.Close()))
}

// flip flips a bit of a chunk.
func (w *world) flip(m *record.Message, state herald.DeliveryState, slab int) {
	w.t.Helper()
	w.exec("UPDATE msg_chunk SET crc = crc + 1 WHERE msg = ? AND state = ? AND slab = ?", int64(m.ID), string(state), slab)
}

// What is damaged costs a duplicate or an error that is seen; what is sound in
// other slabs, and other messages, go on.
func TestDamagedState(t *testing.T) {
	for name, memory := range map[string]limits{"a cell a slab": tight, "one cell a message": {bytes: 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			m, other := w.message(group, 0, 1, 2, 70_000), w.message(group, 0, 1)
			w.apply(m, herald.StateReceived, 1, 2)
			w.must(w.ledger.Fold(t.Context(), true))
			if got := w.waiting(1); fmt.Sprint(got) != fmt.Sprint([]herald.MessageID{other.ID}) {
				t.Fatalf("for device 1 wait %v", got)
			}
			w.flip(m, herald.StateReceived, 0)
			w.restart(false)
			if got := w.waiting(1); fmt.Sprint(got) != fmt.Sprint([]herald.MessageID{m.ID, other.ID}) {
				t.Errorf("for device 1 wait %v: who may not have it should get it again", got)
			}
			if got := w.waiting(70_000); len(got) != 1 {
				t.Errorf("for device 70000 wait %v", got)
			}
			if _, err := w.ledger.State(t.Context(), m, 1); !errors.Is(err, record.ErrDamaged) {
				t.Errorf("the state of device 1: %v", err)
			}
			if _, err := w.ledger.Counts(t.Context(), m); !errors.Is(err, record.ErrDamaged) {
				t.Errorf("counts: %v", err)
			}
			err := w.ledger.Apply(t.Context(), app, w.event(m, herald.StateReceived, 1, 70_000))
			if !errors.Is(err, record.ErrDamaged) {
				t.Errorf("a receipt that could not be taken: %v", err)
			}
			if memory.small == -1 {
				if got := w.waiting(70_000); len(got) != 0 {
					t.Errorf("the sound slab has not taken the receipt: %v", got)
				}
			}
			w.apply(other, herald.StateReceived, 1)
		})
	}
}

// A damaged chunk of direct messages is set aside: the ledger loads without it,
// its devices get once more what they may have, and nothing is said of these
// messages, also after the next start. Messages that come later are not touched.
func TestDamagedDirect(t *testing.T) {
	for _, state := range []herald.DeliveryState{herald.StateReceived, herald.StateSent, record.ToldState} {
		t.Run(string(state), func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			defer w.end(false)
			old := w.message(direct, 0, 1, 2)
			w.apply(old, herald.StateSent, 1, 2)
			w.apply(old, herald.StateReceived, 1)
			w.apply(old, record.ToldState, 1)
			w.must(w.ledger.Fold(t.Context(), true))
			w.exec("UPDATE direct_chunk SET bits = x'ff' WHERE state = ?", string(state))
			for range 2 {
				w.restart(false)
				_, err := w.ledger.State(t.Context(), old, 1)
				_, errCounts := w.ledger.Counts(t.Context(), old)
				if lost := state != record.ToldState; errors.Is(err, record.ErrDamaged) != lost || errors.Is(errCounts, record.ErrDamaged) != lost {
					t.Fatalf("the state is %v, and counts are %v", err, errCounts)
				}
				later := w.message(direct, 0, 1, 2)
				w.apply(later, herald.StateReceived, 2)
				if c, err := w.ledger.Counts(t.Context(), later); err != nil || c.Received != 1 {
					t.Errorf("a later message: %+v, %v", c, err)
				}
				if got, err := w.ledger.State(t.Context(), later, 2); err != nil || got != herald.StateReceived {
					t.Errorf("a later message is %s, %v", got, err)
				}
				entries := []record.Entry{{N: old.FirstN}, {N: old.FirstN + 1}}
				want := 1
				if state == herald.StateReceived {
					want = 2 // device 1 gets it once more
				}
				if got := w.ledger.WaitingEntries(app, entries); len(got) != want {
					t.Errorf("%d entries wait, want %d", len(got), want)
				}
				if state != herald.StateReceived {
					continue
				}
				// What is reported from now on counts, and is kept.
				w.apply(old, herald.StateReceived, 1)
				w.must(w.ledger.Fold(t.Context(), true))
				w.restart(false)
				if got := w.ledger.WaitingEntries(app, entries[:1]); len(got) != 0 {
					t.Error("it waits again after it was received again")
				}
				return
			}
		})
	}
}

func TestDamagedTarget(t *testing.T) {
	w := newWorldWith(t, t.TempDir(), tight)
	defer w.end(false)
	m, other := w.message(group, 0, 1, 70_000), w.message(group, 0, 1)
	want := func(when string, o herald.Ordinal, ids ...herald.MessageID) {
		t.Helper()
		if got := w.waiting(o); fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: for device %d wait %v, want %v", when, o, got, ids)
		}
	}
	for _, damage := range []string{
		"UPDATE msg_chunk SET crc = crc + 1 WHERE msg = ? AND slab = 0 AND state = 'target'",
		"DELETE FROM msg_chunk WHERE msg = ? AND slab = 0 AND state = 'target'",
	} {
		if slabs, err := w.db.TargetSlabs(t.Context(), app, m.ID); len(slabs) == 2 {
			w.must(err)
			pending, err := w.ledger.Pending(t.Context(), m) // lists the slabs
			w.must(err)
			if pending.Len() != 2 {
				t.Fatalf("it waits for %v", pending.Ordinals())
			}
		}
		w.exec(damage, int64(m.ID))
		want(damage, 1, other.ID)
		want(damage, 70_000, m.ID)
		pending, err := w.ledger.Pending(t.Context(), m)
		if !errors.Is(err, record.ErrDamaged) || fmt.Sprint(pending.Ordinals()) != "[70000]" {
			t.Errorf("it goes to %v, %v", pending.Ordinals(), err)
		}
	}
	w.apply(m, herald.StateSent, 70_000)
	// The end reaches whom it can, and says that it did not reach all.
	_, err := w.db.EndMessage(t.Context(), app, m.ID, herald.MessageExpired, w.clock())
	w.must(err)
	m.State, m.Ended = herald.MessageExpired, w.clock()
	w.ledger.Ended(m)
	if err := w.ledger.End(t.Context(), app, m, herald.StateExpired); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("its end: %v", err)
	}
	if s := w.state(m, 70_000); s != herald.StateUnconfirmed {
		t.Errorf("device 70000 is %s", s)
	}
}

// While cells cannot be read nothing is answered that might be wrong, and
// afterwards everything is as it was.
func TestStoreAway(t *testing.T) {
	for name, memory := range map[string]limits{"a cell a slab": tight, "one cell a message": {bytes: 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, t.TempDir(), memory)
			defer w.end(false)
			m := w.message(group, 0, 1, 70_000)
			w.apply(m, herald.StateReceived, 1)
			w.must(w.ledger.Fold(t.Context(), true))
			w.faulty.set(false, true)
			for what, f := range map[string]func() error{
				"waiting": func() error { _, err := w.ledger.WaitingGroups(t.Context(), app, 1, 0, m.Pos, 9); return err },
				"state":   func() error { _, err := w.ledger.State(t.Context(), m, 1); return err },
				"counts":  func() error { _, err := w.ledger.Counts(t.Context(), m); return err },
				"pending": func() error { _, err := w.ledger.Pending(t.Context(), m); return err },
				"sent":    func() error { _, err := w.ledger.Sent(t.Context(), m); return err },
				"end":     func() error { return w.ledger.End(t.Context(), app, m, herald.StateExpired) },
				"receipt": func() error {
					return w.ledger.Apply(t.Context(), app, w.event(m, herald.StateReceived, 70_000))
				},
			} {
				if err := f(); !errors.Is(err, errDisk) {
					t.Errorf("%s: %v", what, err)
				}
			}
			w.faulty.set(false, false)
			if s := w.state(m, 1); s != herald.StateReceived {
				t.Errorf("device 1 is %s", s)
			}
			if got := w.waiting(70_000); len(got) != 1 {
				t.Errorf("for device 70000 wait %v", got)
			}
			w.apply(m, herald.StateReceived, 70_000)
			if c := w.counts(m); c.Received != 2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// What is purged leaves memory, and a receipt does not bring it back.
func TestPurgeOfDirectStates(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	w.exec("UPDATE app_head SET next_n = 65534")
	old, stays := w.message(direct, 0, 1), w.message(direct, 0, 1, 2, 3)
	for _, m := range []*record.Message{old, stays} {
		w.apply(m, herald.StateReceived, 1)
		w.finish(m, herald.MessageExpired, herald.StateExpired)
		w.pass(time.Minute)
	}
	w.must(w.ledger.Fold(t.Context(), true))
	w.pass(time.Hour)
	chunks := func() (out []uint64) {
		t.Helper()
		w.must(w.db.StateChunks(t.Context(), app, 0, func(c record.Chunk) error { out = append(out, c.Index); return nil }))
		slices.Sort(out)
		return slices.Compact(out)
	}
	purge := func(before time.Duration, want string) {
		t.Helper()
		_, err := w.db.Purge(t.Context(), w.clock(), start.Add(before), 10)
		w.must(errors.Join(err, w.ledger.Purged(t.Context())))
		// The catalog may still know the messages.
		for _, m := range []*record.Message{old, stays} {
			w.apply(m, herald.StateClicked, 1)
		}
		w.must(w.ledger.Fold(t.Context(), true))
		if got := fmt.Sprint(chunks()); got != want {
			t.Errorf("chunks %s, want %s", got, want)
		}
	}
	purge(30*time.Second, "[0 1]") // stays has number 65,535
	if w.state(stays, 1) != herald.StateClicked {
		t.Error("a receipt for what stays is lost")
	}
	purge(time.Hour, "[1]")
	w.restart(false)
	purge(time.Hour, "[1]")
}

// Who was told that a receipt is counted finds it counted, whatever is folded
// and evicted meanwhile.
func TestReadsDuringFolds(t *testing.T) {
	const devices = 12
	w := newWorldWith(t, t.TempDir(), limits{small: -1, inline: 1, bytes: 3000})
	defer w.end(false)
	var ords []herald.Ordinal
	for i := range herald.Ordinal(devices) {
		ords = append(ords, i%3*65_536+i)
	}
	target := sets.New(ords...).Ordinals()
	var list []*record.Message
	for range 6 {
		list = append(list, w.message(group, 0, target...))
	}
	stop := make(chan struct{})
	var folding, using sync.WaitGroup
	folding.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := w.ledger.Fold(t.Context(), true); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for _, o := range target {
		using.Go(func() {
			for i, m := range list {
				for _, s := range []herald.DeliveryState{herald.StateSent, herald.StateReceived} {
					if err := w.ledger.Apply(t.Context(), app, w.event(m, s, o)); err != nil {
						t.Error(err)
					}
					if got, err := w.ledger.State(t.Context(), m, o); err != nil || got != s {
						t.Errorf("message %d on %d: %s, %v, want %s", i, o, got, err, s)
					}
				}
				left, err := w.ledger.WaitingGroups(t.Context(), app, o, 0, w.ledger.Released(app), 100)
				if err != nil || len(left) != len(list)-1-i {
					t.Errorf("after %d messages %d wait for %d, %v", i+1, len(left), o, err)
				}
				if c, err := w.ledger.Counts(t.Context(), m); err != nil || coherent(c) != nil || c.Received == 0 {
					t.Errorf("counts %+v, %v", c, err)
				}
			}
		})
	}
	using.Wait()
	close(stop)
	folding.Wait()
	for _, m := range list {
		if c := w.counts(m); c.Received != devices {
			t.Errorf("%+v", c)
		}
	}
	if s := w.ledger.Cache(); s.Misses == 0 || s.Hits == 0 || s.Evictions == 0 {
		t.Errorf("the cache was not used: %+v", s)
	}
}
