package receipt_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// transitions says where each event leads from each state. A dot means that
// nothing changes.
const transitions = `
from        | sent received displayed clicked expired     withdrawn   replaced    device_gone rebound overflow rejected dead
pending     | sent received displayed clicked expired     withdrawn   replaced    device_gone rebound overflow rejected dead
sent        | .    received displayed clicked unconfirmed unconfirmed unconfirmed device_gone rebound overflow rejected dead
received    | .    .        displayed clicked .           .           .           .           .       .        .        .
displayed   | .    .        .         clicked .           .           .           .           .       .        .        .
clicked     | .    .        .         .       .           .           .           .           .       .        .        .
expired     | .    .        .         .       .           .           .           .           .       .        .        .
withdrawn   | .    .        .         .       .           .           .           .           .       .        .        .
replaced    | .    .        .         .       .           .           .           .           .       .        .        .
device_gone | .    .        .         .       .           .           .           .           .       .        .        .
rebound     | .    .        .         .       .           .           .           .           .       .        .        .
overflow    | .    .        .         .       .           .           .           .           .       .        .        .
rejected    | .    .        .         .       .           .           .           .           .       .        .        .
dead        | .    .        .         .       .           .           .           .           .       .        .        .
unconfirmed | .    received displayed clicked .           .           .           .           .       .        .        .
`

// cell is one cell of the table, with a message of its own.
type cell struct {
	name           string
	from, by, want herald.DeliveryState
	msg            *record.Message
	kind           kind
}

// self is the device that the event is about; others must not move.
const (
	self    herald.Ordinal = 5
	other   herald.Ordinal = 70_000 // in another slab
	foreign herald.Ordinal = 9
)

func cells(t *testing.T, w *world) (out []cell) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(transitions), "\n")
	_, head, _ := strings.Cut(lines[0], "|")
	events := strings.Fields(head)
	for _, k := range []kind{direct, group, volatile, toOne} {
		for _, line := range lines[1:] {
			from, row, _ := strings.Cut(line, "|")
			from = strings.TrimSpace(from)
			for i, want := range strings.Fields(row) {
				if want == "." {
					want = from
				}
				out = append(out, cell{
					name: fmt.Sprintf("%s/%s+%s", k, from, events[i]), from: herald.DeliveryState(from), kind: k,
					by: herald.DeliveryState(events[i]), want: herald.DeliveryState(want), msg: w.message(k, 0, self, other),
				})
			}
		}
	}
	if len(out) != 4*14*12 {
		t.Fatalf("the table has %d cells", len(out))
	}
	return out
}

func TestTransitions(t *testing.T) {
	w := newWorld(t, t.TempDir())
	all := cells(t, w)
	// Two batches bring every delivery to where it starts.
	for _, c := range all {
		if c.from == herald.StateUnconfirmed {
			w.ledger.Report(app, w.event(c.msg, herald.StateSent, self))
		}
	}
	w.settle()
	for _, c := range all {
		switch c.from {
		case herald.StatePending:
		case herald.StateUnconfirmed:
			w.ledger.Report(app, w.event(c.msg, herald.StateExpired, self))
		default:
			w.ledger.Report(app, w.event(c.msg, c.from, self))
		}
	}
	w.settle()
	check := func(when string, want func(cell) herald.DeliveryState, stored bool) {
		t.Helper()
		for _, c := range all {
			if stored && (c.kind == volatile || c.kind == toOne) {
				continue // it is not stored
			}
			if got := w.state(c.msg, self); got != want(c) {
				t.Errorf("%s, %s: got %s, want %s", c.name, when, got, want(c))
			}
			others, waiting := herald.StatePending, int64(2)
			if c.kind == toOne {
				others, waiting = "", 1
			}
			if got := w.state(c.msg, other); got != others {
				t.Errorf("%s, %s: the other device is %s", c.name, when, got)
			}
			if got := w.state(c.msg, foreign); got != "" {
				t.Errorf("%s, %s: a device outside the target is %s", c.name, when, got)
			}
			n := w.counts(c.msg)
			if want := want(c); want == herald.StatePending && n.States[want] != waiting || want != herald.StatePending && n.States[want] != 1 {
				t.Errorf("%s, %s: counts %+v", c.name, when, n)
			}
		}
	}
	check("at the start", func(c cell) herald.DeliveryState { return c.from }, false)
	after := func(c cell) herald.DeliveryState { return c.want }
	report := func() {
		for _, c := range all {
			w.ledger.Report(app, w.event(c.msg, c.by, self, foreign))
		}
		w.settle()
	}
	report()
	check("after the event", after, false)
	written := w.faulty.batches()
	report()
	check("after the same event again", after, false)
	if n := w.faulty.batches(); n != written {
		t.Errorf("events that were known were written: %d batches, then %d", written, n)
	}
	w.restart(true)
	check("after a crash", after, true)
	w.must(w.ledger.Fold(context.Background(), true))
	check("after folding", after, true)
	w.restart(false)
	check("after a restart from chunks", after, true)
	w.end(false)
}

// In one batch the events come as they were reported, too.
func TestTransitionsWithinOneBatch(t *testing.T) {
	for _, k := range []kind{direct, group, volatile} {
		t.Run(string(k), func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			defer w.end(false)
			m := w.message(k, 0, 1, 2, 3, 4, other)
			w.must(w.ledger.Apply(t.Context(), app,
				w.event(m, herald.StateSent, 1, 2), w.event(m, herald.StateReceived, 2), w.event(m, herald.StateDeviceGone, 3),
				w.event(m, herald.StateExpired, 1, 2, 3, 4, other), w.event(m, herald.StateClicked, 1, 3)))
			want := map[herald.Ordinal]herald.DeliveryState{
				1: herald.StateClicked, 2: herald.StateReceived, 3: herald.StateDeviceGone, 4: herald.StateExpired, other: herald.StateExpired,
			}
			for o, s := range want {
				if got := w.state(m, o); got != s {
					t.Errorf("device %d is %s, want %s", o, got, s)
				}
			}
			w.counts(m)
		})
	}
}

// The end of a message splits by what had happened on each device.
func TestEndIsSplit(t *testing.T) {
	for _, end := range []struct {
		message herald.MessageState
		as      herald.DeliveryState
	}{
		{herald.MessageExpired, herald.StateExpired}, {herald.MessageWithdrawn, herald.StateWithdrawn}, {herald.MessageReplaced, herald.StateReplaced},
	} {
		for _, k := range []kind{direct, group} {
			t.Run(string(k)+"/"+string(end.as), func(t *testing.T) {
				w := newWorld(t, t.TempDir())
				defer w.end(false)
				m := w.message(k, 0, 1, 2, 3)
				w.apply(m, herald.StateSent, 2)
				w.apply(m, herald.StateReceived, 3)
				m = w.finish(m, end.message, end.as)
				c := w.counts(m)
				if c.States[end.as] != 1 || c.States[herald.StateUnconfirmed] != 1 || c.States[herald.StateReceived] != 1 || c.Open() {
					t.Fatalf("counts %+v", c)
				}
				if got := w.history(m, 2); fmt.Sprint(got) != "[sent unconfirmed]" {
					t.Errorf("history of who was sent it: %v", got)
				}
			})
		}
	}
}

func TestLateReceipts(t *testing.T) {
	const limit = herald.LateReceipts
	for _, k := range []kind{direct, group} {
		t.Run(string(k), func(t *testing.T) {
			for _, restart := range []bool{false, true} {
				w := newWorld(t, t.TempDir())
				m := w.message(k, 0, 1, 2, 3)
				w.apply(m, herald.StateSent, 1, 2)
				m = w.finish(m, herald.MessageExpired, herald.StateExpired)
				w.pass(limit)
				if restart {
					w.restart(false)
				}
				w.apply(m, herald.StateReceived, 1, 3)
				if got := w.state(m, 1); got != herald.StateReceived {
					t.Errorf("within seven days: %s, want received", got)
				}
				w.pass(1_000_000) // a millisecond
				w.must(w.ledger.Fold(t.Context(), true))
				if restart {
					w.restart(true)
				}
				w.apply(m, herald.StateReceived, 2, 3)
				w.apply(m, herald.StateClicked, 1)
				for o, want := range map[herald.Ordinal]herald.DeliveryState{1: herald.StateClicked, 2: herald.StateUnconfirmed, 3: herald.StateExpired} {
					if got := w.state(m, o); got != want {
						t.Errorf("after seven days device %d is %s, want %s", o, got, want)
					}
				}
				w.counts(m)
				w.end(false)
			}
		})
	}
}

// Who was dead when the audience was evaluated is in the image of a group
// message and counts for nothing; who is removed later counts, and ends.
func TestDeadAtAcceptance(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	w.dead[1] = 3
	before := w.message(group, 2, 1, 2, 3) // evaluated before the removal
	after := w.message(group, 3, 1, 2, 3)
	w.apply(before, herald.StateDeviceGone, 1)
	w.apply(after, herald.StateDeviceGone, 1)
	w.apply(after, herald.StateSent, 1, 2)
	w.apply(after, herald.StateReceived, 1, 2)
	if got := w.state(before, 1); got != herald.StateDeviceGone {
		t.Errorf("removed after acceptance: %s", got)
	}
	if got := w.state(after, 1); got != "" {
		t.Errorf("removed before acceptance: %s", got)
	}
	if c := w.counts(before); c.Target != 3 || c.States[herald.StateDeviceGone] != 1 {
		t.Errorf("counts before %+v", c)
	}
	if c := w.counts(after); c.Target != 2 || c.Received != 1 {
		t.Errorf("counts after %+v", c)
	}
	pending, err := w.ledger.Pending(t.Context(), after)
	w.must(err)
	if pending.Contains(1) || pending.Len() != 1 {
		t.Errorf("pending %v", pending.Ordinals())
	}
	w.must(w.ledger.End(t.Context(), app, after, herald.StateExpired))
	w.counts(after)
}
