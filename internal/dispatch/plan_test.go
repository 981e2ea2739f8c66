package dispatch

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// spread asks for a slow push.
func (b *bench) spread(t Target, s herald.Spread, change ...func(*herald.Message)) *record.Message {
	b.t.Helper()
	return b.when(t, record.When{Spread: &s}, change...)
}

func (b *bench) when(t Target, w record.When, change ...func(*herald.Message)) *record.Message {
	b.t.Helper()
	r := request(t, change...)
	r.Message.App, r.Facts = b.app, &record.Facts{When: &w}
	m, _, err := b.d.Accept(b.t.Context(), r)
	b.must(err)
	return m
}

// tick does what is due now, and waits until it is handed over.
func (b *bench) tick() {
	b.t.Helper()
	b.must(b.d.releaseDue(b.t.Context()))
	b.must(b.d.expire(b.t.Context()))
	b.reach()
}

// released lists for whom a message waits by what the backlog shows of it.
func (b *bench) released(m *record.Message, ords ...herald.Ordinal) (out []herald.Ordinal) {
	b.t.Helper()
	head := b.ledger.Released(b.app)
	for _, o := range ords {
		var n int
		if m.IsDirect() {
			list, err := b.db.Entries(b.t.Context(), b.app, o, 0, 100)
			b.must(err)
			for _, e := range list {
				if e.Msg == m.ID && e.Pos <= head {
					n++
				}
			}
		} else {
			list, err := b.ledger.WaitingGroups(b.t.Context(), b.app, o, 0, head, 100)
			b.must(err)
			for _, e := range list {
				if e.Msg == m.ID {
					n++
				}
			}
		}
		if n > 1 {
			b.t.Errorf("device %d was released the message %d times", o, n)
		}
		if n > 0 {
			out = append(out, o)
		}
	}
	return out
}

func (b *bench) plan(id herald.MessageID) *record.Plan {
	b.t.Helper()
	p, err := b.db.PlanOf(b.t.Context(), b.app, id)
	b.must(err)
	return p
}

// handovers are those of a message, by device.
func (b *bench) handovers(id herald.MessageID) map[herald.Ordinal]int {
	out := map[herald.Ordinal]int{}
	for _, h := range b.outlet.handed() {
		if h.Msg.ID == id && h.Kind == record.ReleaseMessage {
			for o := range h.Set.All() {
				out[o]++
			}
		}
	}
	return out
}

func TestSlowPush(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
		dense  bool
	}{{"direct", to, false}, {"group", toGroup, false}, {"dense group", toGroup, true}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.dense = tt.dense
			b.restart()
			b.follow()
			ords := b.devices(5)
			for i := range 5 { // in other slabs, of which nobody registered
				ords = append(ords, herald.Ordinal(65_535+i*40_000))
			}
			m := b.spread(tt.target(ords...), herald.Spread{Over: 5})
			b.online(ords[0], ords[9])
			b.tick()
			if got := b.released(m, ords...); len(got) != 2 {
				t.Fatalf("at once it is released to %v, want two", got)
			}
			for n := 4; n <= 10; n += 2 {
				b.tick() // does nothing before its time
				if n == 6 {
					b.restart() // where it stopped
					b.follow()
					b.online(ords[9])
				}
				b.pass(time.Second)
				b.tick()
				if got := b.released(m, ords...); len(got) != n {
					t.Fatalf("released to %v, want %d", got, n)
				}
			}
			b.pass(time.Second)
			b.tick()
			p := b.plan(m.ID)
			if p.Made != 5 || !p.Next.IsZero() || p.Open() {
				t.Errorf("the plan is %+v", p)
			}
			steps, err := b.db.PlanSteps(t.Context(), b.app, m.ID)
			b.must(err)
			if len(steps) != 5 {
				t.Errorf("%d steps were made", len(steps))
			}
			for o, n := range b.handovers(m.ID) { // the log is gone through again after the restart
				if n != 1 {
					t.Errorf("device %d was handed the message %d times", o, n)
				}
			}
		})
	}
}

// A device has a message at the position of its own step: a cursor of before it
// says nothing of it, and the order of the log is that of the steps.
func TestStepsHavePositions(t *testing.T) {
	b := newBench(t)
	b.follow()
	ords := b.devices(4)
	slow := b.spread(toGroup(ords...), herald.Spread{Over: 4})
	b.tick()
	b.accept(toGroup(ords...))
	b.reach()
	for range 3 {
		b.pass(time.Second)
		b.tick()
	}
	head := b.ledger.Released(b.app)
	var last herald.Pos
	for i, o := range ords {
		list, err := b.ledger.WaitingGroups(t.Context(), b.app, o, 0, head, 10)
		b.must(err)
		if len(list) != 2 {
			t.Fatalf("device %d: %v", o, list)
		}
		first, second := list[0], list[1]
		if first.Pos >= second.Pos {
			t.Errorf("device %d: %v is not in the order of the log", o, list)
		}
		mine := second
		if i == 0 {
			mine = first
		}
		if mine.Msg != slow.ID || mine.Pos <= last {
			t.Errorf("device %d: its step is %v, after %d", o, mine, last)
		}
		last = mine.Pos
		// One page of one, and what is behind a position.
		page, err := b.ledger.WaitingGroups(t.Context(), b.app, o, 0, head, 1)
		b.must(err)
		if len(page) != 1 || page[0] != first {
			t.Errorf("device %d: the first is %v, want %v", o, page, first)
		}
		rest, err := b.ledger.WaitingGroups(t.Context(), b.app, o, first.Pos, head, 10)
		b.must(err)
		if len(rest) != 1 || rest[0] != second {
			t.Errorf("device %d: behind it is %v, want %v", o, rest, second)
		}
		upto, err := b.ledger.WaitingGroups(t.Context(), b.app, o, 0, second.Pos-1, 10)
		b.must(err)
		if len(upto) != 1 || upto[0] != first {
			t.Errorf("device %d: before it is %v, want %v", o, upto, first)
		}
	}
}

// What was not released cannot have been received.
func TestReceiptsOfUnreleased(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
	}{{"direct", to}, {"group", toGroup}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.follow()
			ords := b.devices(2)
			m := b.spread(tt.target(ords...), herald.Spread{Over: 2})
			b.tick()
			b.report(m.ID, herald.StateReceived, ords...)
			b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateReceived, ords[1]: herald.StatePending})
			b.pass(time.Second)
			b.tick()
			b.report(m.ID, herald.StateReceived, ords...)
			b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[1]: herald.StateReceived})
		})
	}
}

func TestPauseResumeStop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
	}{{"direct", to}, {"group", toGroup}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.follow()
			ords := b.devices(6)
			m := b.spread(tt.target(ords...), herald.Spread{Over: 6})
			b.tick()
			change := func(c record.PlanChange) { t.Helper(); b.must(b.d.ChangePlan(t.Context(), b.app, m.ID, c)) }
			released := func(n int) {
				t.Helper()
				if got := b.released(m, ords...); len(got) != n {
					t.Fatalf("released to %v, want %d", got, n)
				}
			}
			released(1)
			change(record.PlanPause)
			change(record.PlanPause)
			b.pass(10 * time.Second)
			b.tick()
			released(1)
			b.restart()
			b.follow()
			b.pass(time.Second)
			b.tick()
			released(1)
			change(record.PlanResume)
			b.tick()
			released(2) // nothing is made up for
			b.pass(time.Second)
			b.tick()
			released(3)
			change(record.PlanStop)
			change(record.PlanStop)
			b.pass(time.Minute)
			b.tick()
			want := map[herald.Ordinal]herald.DeliveryState{}
			for i, o := range ords {
				want[o] = herald.StatePending
				if i >= 3 {
					want[o] = herald.StateWithdrawn
				}
			}
			b.wantStates(m.ID, want)
			released(3)
			for _, c := range []record.PlanChange{record.PlanPause, record.PlanResume} {
				if err := b.d.ChangePlan(t.Context(), b.app, m.ID, c); herald.CodeOf(err) != herald.CodeConflict {
					t.Errorf("%s after the stop: %v", c, err)
				}
			}
			counts, err := b.ledger.Counts(t.Context(), b.message(m.ID))
			b.must(err)
			if counts.States[herald.StateWithdrawn] != 3 || counts.States[herald.StatePending] != 3 {
				t.Errorf("the counts are %+v", counts)
			}
		})
	}
}

// The end of a message ends what it was not released to, and its steps.
func TestEndOnTheWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
		end    func(b *bench, m *record.Message)
		want   herald.DeliveryState
	}{
		{"withdrawn, direct", to, withdrawIt, herald.StateWithdrawn},
		{"withdrawn, group", toGroup, withdrawIt, herald.StateWithdrawn},
		{"expired, direct", to, expireIt, herald.StateExpired},
		{"expired, group", toGroup, expireIt, herald.StateExpired},
		{"paused and expired", toGroup, func(b *bench, m *record.Message) {
			b.must(b.d.ChangePlan(b.t.Context(), b.app, m.ID, record.PlanPause))
			expireIt(b, m)
		}, herald.StateExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.follow()
			ords := b.devices(5)
			m := b.spread(tt.target(ords...), herald.Spread{Over: 5})
			b.tick()
			tt.end(b, m)
			b.reach()
			want := map[herald.Ordinal]herald.DeliveryState{}
			for _, o := range ords {
				want[o] = tt.want
			}
			b.wantStates(m.ID, want)
			b.pass(time.Minute)
			b.tick()
			if got := b.released(m, ords...); len(got) != 0 {
				t.Errorf("after its end it waits for %v", got)
			}
			if next, err := b.db.NextJob(t.Context()); err != nil || !next.IsZero() {
				t.Errorf("a job is left: %v, %v", next, err)
			}
			b.pass(herald.TraceRetention + time.Hour)
			b.must(b.d.purge(t.Context(), b.clock()))
			if _, err := b.db.PlanOf(t.Context(), b.app, m.ID); herald.CodeOf(err) != herald.CodeNotFound {
				t.Errorf("the plan is left: %v", err)
			}
			if list, err := b.db.PlanSteps(t.Context(), b.app, m.ID); err != nil || len(list) != 0 {
				t.Errorf("steps are left: %v, %v", list, err)
			}
			if list, err := b.db.Releases(t.Context(), b.app, 0, 10); err != nil || len(list) != 0 {
				t.Errorf("releases are left: %v, %v", list, err)
			}
		})
	}
}

func withdrawIt(b *bench, m *record.Message) {
	_, err := b.d.Withdraw(b.t.Context(), b.app, m.ID)
	b.must(err)
}

func expireIt(b *bench, _ *record.Message) {
	b.pass(2 * time.Hour)
	b.tick()
}

// A newer message with the same collapse key replaces an older one on a device
// when it is released to it, and not before.
func TestStepsCollapse(t *testing.T) {
	b := newBench(t)
	b.follow()
	ords := b.devices(2)
	old := b.accept(toGroup(ords...), key("k"))
	m := b.spread(toGroup(ords...), herald.Spread{Over: 2}, key("k"))
	b.tick()
	b.wantStates(old.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateReplaced, ords[1]: herald.StatePending})
	newest := b.accept(toGroup(ords[1]), key("k"))
	b.reach()
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StatePending, ords[1]: herald.StateReplaced})
	b.pass(time.Second)
	b.tick()
	b.wantStates(newest.ID, map[herald.Ordinal]herald.DeliveryState{ords[1]: herald.StatePending})
	if got := b.released(m, ords...); len(got) != 1 {
		t.Errorf("it waits for %v", got)
	}
}

// Who was active lately gets it first.
func TestActiveFirst(t *testing.T) {
	b := newBench(t)
	b.follow()
	ords := b.devices(4)
	b.must(b.registry.Flush(t.Context())) // that they registered
	b.pass(40 * 24 * time.Hour)
	day := func(n int) string { return record.SeenSet(b.clock().AddDate(0, 0, -n)) }
	app, err := b.registry.App(b.app)
	b.must(err)
	app.Index.Apply(app.Index.Snapshot(nil).Pos, 4, []sets.Change{
		{Set: day(20), Ords: sets.New(ords[0])}, {Set: day(5), Ords: sets.New(ords[1])}, {Set: day(1), Ords: sets.New(ords[3])},
	})
	m := b.spread(toGroup(ords...), herald.Spread{Over: 4})
	var order []herald.Ordinal
	for range 4 {
		b.tick()
		for _, o := range b.released(m, ords...) {
			if !sets.New(order...).Contains(o) {
				order = append(order, o)
			}
		}
		b.pass(time.Second)
	}
	want := []herald.Ordinal{ords[3], ords[1], ords[0], ords[2]}
	for i := range want {
		if len(order) != 4 || order[i] != want[i] {
			t.Fatalf("released to %v, want %v", order, want)
		}
	}
}
