package receipt_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// delivery is what the model knows of one message on one device.
type delivery struct {
	level   int // index into herald.Progress, plus one
	end     herald.DeliveryState
	history []herald.DeliveryState
}

func (d *delivery) state() herald.DeliveryState {
	switch {
	case d.level > 1:
		return herald.Progress[d.level-1]
	case d.end != "":
		return d.end
	case d.level == 1:
		return herald.StateSent
	}
	return herald.StatePending
}

// take is the state machine in its plainest form.
func (d *delivery) take(event herald.DeliveryState, late bool) {
	if i := slices.Index(herald.Progress[:], event); i >= 0 {
		ended := d.end != "" && d.level < 2
		if ended && (d.end != herald.StateUnconfirmed || i == 0 || late) || d.level > i {
			return
		}
		d.level = i + 1
		d.history = append(d.history, event)
		return
	}
	if d.end != "" || d.level > 1 {
		return
	}
	switch event {
	case herald.StateExpired, herald.StateWithdrawn, herald.StateReplaced:
		if d.level == 1 {
			event = herald.StateUnconfirmed
		}
	}
	d.end = event
	d.history = append(d.history, event)
}

// modelled is a message with what the model knows of it.
type modelled struct {
	msg   *record.Message
	ended time.Time
	of    map[herald.Ordinal]*delivery
}

type model struct {
	w    *world
	list []*modelled
}

var reportable = []herald.DeliveryState{
	herald.StateSent, herald.StateReceived, herald.StateDisplayed, herald.StateClicked, herald.StateExpired, herald.StateWithdrawn,
	herald.StateReplaced, herald.StateDeviceGone, herald.StateRebound, herald.StateOverflow, herald.StateRejected, herald.StateDead,
}

// devices lie in three slabs; in one there are more than are looked up one by one.
var devices = []herald.Ordinal{0, 1, 2, 3, 4, 65_535, 65_536, 200_000}

func (m *model) add(t *rapid.T) {
	k := rapid.SampledFrom([]kind{direct, group}).Draw(t, "kind")
	ords := rapid.SliceOfNDistinct(rapid.SampledFrom(devices), 1, len(devices), rapid.ID).Draw(t, "target")
	slices.Sort(ords)
	x := &modelled{msg: m.w.message(k, 0, ords...), of: map[herald.Ordinal]*delivery{}}
	for _, o := range ords {
		x.of[o] = &delivery{}
	}
	m.list = append(m.list, x)
}

func (m *model) report(t *rapid.T) {
	if len(m.list) == 0 {
		return
	}
	x := rapid.SampledFrom(m.list).Draw(t, "message")
	event := rapid.SampledFrom(reportable).Draw(t, "event")
	ords := rapid.SliceOfNDistinct(rapid.SampledFrom(devices), 1, len(devices), rapid.ID).Draw(t, "devices")
	now := m.w.pass(time.Second)
	if slices.Contains(herald.Progress[:], event) && rapid.Bool().Draw(t, "one by one") {
		for _, o := range ords {
			m.w.ledger.ReportOne(app, o, event, "receipt", now, x.msg.ID)
		}
		m.w.settle()
	} else {
		m.w.apply(x.msg, event, ords...)
	}
	m.take(x, event, ords, now)
}

func (m *model) take(x *modelled, event herald.DeliveryState, ords []herald.Ordinal, now time.Time) {
	late := !x.ended.IsZero() && now.Sub(x.ended) > herald.LateReceipts
	for _, o := range ords {
		if d := x.of[o]; d != nil {
			d.take(event, late)
		}
	}
}

func (m *model) finish(t *rapid.T) {
	open := slices.DeleteFunc(slices.Clone(m.list), func(x *modelled) bool { return !x.ended.IsZero() })
	if len(open) == 0 {
		return
	}
	x := rapid.SampledFrom(open).Draw(t, "ending")
	x.ended = m.w.pass(time.Second)
	x.msg = m.w.finish(x.msg, herald.MessageWithdrawn, herald.StateWithdrawn)
	m.take(x, herald.StateWithdrawn, devices, x.ended)
}

func (m *model) check(t *rapid.T) {
	for _, x := range m.list {
		want := herald.Counts{Target: int64(len(x.of)), States: map[herald.DeliveryState]int64{}}
		for o, d := range x.of {
			if got := m.w.state(x.msg, o); got != d.state() {
				t.Fatalf("message %s on %d: %s, want %s", x.msg.ID, o, got, d.state())
			}
			if got := m.w.history(x.msg, o); !slices.Equal(got, d.history) {
				t.Fatalf("message %s on %d: history %v, want %v", x.msg.ID, o, got, d.history)
			}
			want.States[d.state()]++
			for i, n := range []*int64{&want.Sent, &want.Received, &want.Displayed, &want.Clicked} {
				if d.level > i {
					*n++
				}
			}
		}
		pending, err := m.w.ledger.Pending(context.Background(), x.msg)
		if err != nil {
			t.Fatal(err)
		}
		for o, d := range x.of {
			if got := pending.Contains(o); got != (d.end == "" && d.level < 2) {
				t.Fatalf("message %s waits for %d: %v, and that is %s", x.msg.ID, o, got, d.state())
			}
		}
		if got := m.w.counts(x.msg); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("message %s counts %v, want %v", x.msg.ID, got, want)
		}
	}
}

// waiting checks what each device would be sent when it connects.
func (m *model) waiting(t *rapid.T) {
	after := herald.Pos(0)
	if len(m.list) > 0 && rapid.Bool().Draw(t, "not from the start") {
		after = rapid.SampledFrom(m.list).Draw(t, "seen").msg.Pos
	}
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	for _, o := range devices {
		var want []herald.MessageID
		for _, x := range m.list {
			d := x.of[o]
			if d != nil && !x.msg.IsDirect() && x.ended.IsZero() && d.end == "" && d.level < 2 && x.msg.Pos > after && len(want) < limit {
				want = append(want, x.msg.ID)
			}
		}
		list, err := m.w.ledger.WaitingGroups(context.Background(), app, o, after, math.MaxInt64, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []herald.MessageID
		for _, e := range list {
			got = append(got, e.Msg)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("for device %d wait %v, want %v", o, got, want)
		}
	}
}

// Random events, folds and restarts leave what a plain map would hold.
func TestModel(t *testing.T) {
	for name, memory := range map[string]limits{
		"one cell a message":   {},
		"a cell a slab":        {small: -1},
		"targets in chunks":    {small: -1, inline: 1},
		"evicted all the time": {small: -1, inline: 1, bytes: 1},
		"evicted at times":     {small: -1, inline: 1, bytes: 12_000},
		"small and evicted":    {bytes: 6_000},
		// The cache is full, and what was reported need not be folded at once.
		"deltas":               {small: -1, inline: 1, bytes: 40_000},
		"deltas, images held":  {small: -1, inline: 1 << 20, bytes: 40_000},
		"deltas of small ones": {bytes: 40_000},
		// Who waits is written by devices, too.
		"strips":              {small: -1, inline: 1, bytes: 1, bundle: 1},
		"strips and deltas":   {small: -1, inline: 1, bytes: 40_000, bundle: 1},
		"strips, images held": {small: -1, inline: 1 << 20, bytes: 40_000, bundle: 2},
	} {
		t.Run(name, func(t *testing.T) { checkModel(t, memory) })
	}
}

func checkModel(t *testing.T, memory limits) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		m := &model{w: newWorldWith(t, dir, memory)}
		defer m.w.end(true)
		rt.Repeat(map[string]func(*rapid.T){
			"message": m.add,
			"report":  m.report,
			"again":   m.report,
			"more":    m.report,
			"finish":  m.finish,
			"fold": func(*rapid.T) {
				m.w.must(m.w.ledger.Fold(context.Background(), true))
			},
			"bundle": func(*rapid.T) {
				m.w.must(m.w.ledger.Bundle(context.Background()))
			},
			"restart": func(*rapid.T) { m.w.restart(false) },
			"crash":   func(*rapid.T) { m.w.restart(true) },
			"days":    func(*rapid.T) { m.w.pass(4 * 24 * time.Hour) },
			"track again": func(t *rapid.T) { // as dispatch does at start
				if len(m.list) > 0 {
					m.w.ledger.Track(rapid.SampledFrom(m.list).Draw(t, "tracked").msg)
				}
			},
			"connect": m.waiting,
			"":        m.check,
		})
	})
}

// What is in the record once must be in the sets once: two ledgers that read
// the same record agree.
func TestFoldIsIdempotent(t *testing.T) {
	t.Run("one cell a message", func(t *testing.T) { checkFold(t, limits{}, "map[0:[1 70000]]") })
	t.Run("a cell a slab", func(t *testing.T) { checkFold(t, limits{small: -1}, "map[0:[1] 1:[70000]]") })
}

func checkFold(t *testing.T, memory limits, chunks string) {
	w := newWorldWith(t, t.TempDir(), memory)
	defer w.end(false)
	m := w.message(group, 0, 1, 70_000)
	w.apply(m, herald.StateSent, 1, 70_000)
	w.must(w.ledger.Fold(t.Context(), false))
	if n := receiptLog(t, w); n != 1 {
		t.Errorf("a short log was folded: %d batches are left", n)
	}
	w.must(w.ledger.Fold(t.Context(), true))
	w.must(w.ledger.Fold(t.Context(), true))
	if n := receiptLog(t, w); n != 0 {
		t.Errorf("%d batches are left", n)
	}
	got := map[uint64][]herald.Ordinal{}
	w.must(w.db.StateChunks(t.Context(), app, m.ID, func(c record.Chunk) error {
		got[c.Index] = append(got[c.Index], c.Bits.Ordinals()...)
		return nil
	}))
	if fmt.Sprint(got) != chunks {
		t.Errorf("chunks %v", got)
	}
	for o, slab := range map[herald.Ordinal]uint64{1: 0, 70_000: 1} {
		if s, err := w.db.Segments(t.Context(), app, m.ID, slab); err != nil || len(s) != 1 {
			t.Errorf("segments of %d: %v, %v", o, s, err)
		}
	}
}

func receiptLog(t *testing.T, w *world) (n int) {
	t.Helper()
	w.must(w.db.ReceiptLog(t.Context(), app, func(record.Batch) error { n++; return nil }))
	return n
}
