package dispatch

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// What has a position is handed over in its order, each once.
func TestHandoverInLogOrder(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.online(o...)
	b.follow()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 15 {
				r := request(to(o...))
				r.Message.App = b.app
				if _, _, err := b.d.Accept(context.Background(), r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.reach()
	got := b.outlet.handed()
	if len(got) != 60 {
		t.Fatalf("%d handovers", len(got))
	}
	if !slices.IsSortedFunc(got, func(a, b record.Handover) int { return int(a.Pos) - int(b.Pos) }) {
		t.Error("the handovers are not in log order")
	}
	for _, h := range got {
		if h.App != b.app || h.Kind != record.ReleaseMessage || h.Set.Len() != 2 || !h.At.Equal(begin) || h.Msg.Pos != h.Pos {
			t.Fatalf("handover %+v", h)
		}
	}
}

// A handover is of one slab, and each outlet is asked for those whom the ones
// before it did not take.
func TestHandoverBySlab(t *testing.T) {
	b := newBench(t)
	first, second := b.outlet, &outlet{ledger: b.ledger, inside: make(chan struct{}, 1)}
	b.online(1)
	b.d.c.Outlets = []Outlet{first, second}
	b.follow()
	b.accept(toGroup(1, 2, 70_000))
	b.reach()
	want := [][]herald.Ordinal{{1, 2}, {70_000}}
	for i, h := range first.handed() {
		if !slices.Equal(h.Set.Ordinals(), want[i]) {
			t.Errorf("first outlet, handover %d: %v", i, h.Set.Ordinals())
		}
	}
	want = [][]herald.Ordinal{{2}, {70_000}}
	if n := len(second.handed()); n != 2 {
		t.Fatalf("the second outlet has %d handovers", n)
	}
	for i, h := range second.handed() {
		if !slices.Equal(h.Set.Ordinals(), want[i]) {
			t.Errorf("second outlet, handover %d: %v", i, h.Set.Ordinals())
		}
	}
}

// Withdraw returns only after the hand-over of the message has stopped.
func TestWithdrawWaitsForTheHandover(t *testing.T) {
	b := newBench(t)
	o := b.devices(3)
	b.online(o[0], o[1])
	b.follow()
	letGo := b.holdBack()
	m := b.accept(to(o...))
	<-b.outlet.inside
	returned := make(chan error, 1)
	go func() {
		_, err := b.d.Withdraw(context.Background(), b.app, m.ID)
		returned <- err
	}()
	// The record has the end before the hand-over is over.
	b.withdrawn(m.ID)
	select {
	case err := <-returned:
		t.Fatalf("Withdraw returned (%v) while the message was being handed over", err)
	default:
	}
	letGo()
	b.must(<-returned)
	got := b.outlet.handed()
	if len(got) != 2 || got[1].Kind != record.ReleaseWithdraw || !slices.Equal(got[1].Set.Ordinals(), o[:2]) {
		t.Fatalf("handovers %+v", got)
	}
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{
		o[0]: herald.StateUnconfirmed, o[1]: herald.StateUnconfirmed, o[2]: herald.StateWithdrawn,
	})
}

func TestWithdraw(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.follow()
	t.Run("before it came to its turn", func(t *testing.T) {
		// The follower stands still on an earlier message meanwhile.
		letGo := b.holdBack()
		b.accept(to(o...))
		<-b.outlet.inside
		m := b.accept(to(o...))
		returned := make(chan error, 1)
		go func() {
			_, err := b.d.Withdraw(context.Background(), b.app, m.ID)
			returned <- err
		}()
		b.withdrawn(m.ID)
		letGo()
		b.must(<-returned)
		for _, h := range b.outlet.handed() {
			if h.Msg.ID == m.ID {
				t.Error("it was handed over")
			}
		}
		b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateWithdrawn, o[1]: herald.StateWithdrawn})
	})
	t.Run("refusals", func(t *testing.T) {
		gone := b.accept(to(o...))
		if _, err := b.d.Withdraw(t.Context(), b.app, gone.ID); err != nil {
			t.Fatal(err)
		}
		v := b.accept(to(o...), ttl(0))
		for name, c := range map[string]struct {
			id   herald.MessageID
			want herald.Code
		}{"twice": {gone.ID, herald.CodeConflict}, "TTL 0": {v.ID, herald.CodeConflict}, "unknown": {1, herald.CodeNotFound}} {
			if _, err := b.d.Withdraw(t.Context(), b.app, c.id); herald.CodeOf(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		letGo := b.holdBack()
		m := b.accept(to(o...))
		<-b.outlet.inside
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := b.d.Withdraw(ctx, b.app, m.ID); err == nil {
			t.Error("it says that nobody is sent the message any more")
		}
		letGo()
	})
}

// The newer message replaces the older one on the devices that it is for.
func TestCollapse(t *testing.T) {
	for _, kind := range []string{"direct", "group"} {
		t.Run(kind, func(t *testing.T) {
			target := to
			if kind == "group" {
				target = toGroup
			}
			b := newBench(t)
			o := b.devices(5)
			b.follow()
			b.online(o[1])
			old := b.accept(target(o[0], o[1], o[2], o[3]), key("score"))
			b.accept(target(o[0]), key("other"))
			b.reach()
			b.report(old.ID, herald.StateReceived, o[2])
			b.online()
			partial := b.accept(target(o[0], o[1], o[2]), key("score"))
			b.reach()
			b.wantStates(old.ID, map[herald.Ordinal]herald.DeliveryState{
				o[0]: herald.StateReplaced, o[1]: herald.StateUnconfirmed, o[2]: herald.StateReceived, o[3]: herald.StatePending,
			})
			if got := b.message(old.ID).State; got != herald.MessageSending {
				t.Errorf("partly replaced, it is %s", got)
			}
			full := b.accept(target(o...), key("score"))
			b.reach()
			b.wantStates(old.ID, map[herald.Ordinal]herald.DeliveryState{o[3]: herald.StateReplaced})
			b.wantStates(partial.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateReplaced, o[2]: herald.StateReplaced})
			b.wantStates(full.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending, o[4]: herald.StatePending})
			for id, want := range map[herald.MessageID]herald.MessageState{
				old.ID: herald.MessageReplaced, partial.ID: herald.MessageReplaced, full.ID: herald.MessageSending,
			} {
				if got := b.message(id).State; got != want {
					t.Errorf("message %s is %s, want %s", id, got, want)
				}
			}
			steps, err := b.ledger.History(t.Context(), b.message(old.ID), o[0])
			if err != nil || len(steps) != 1 || steps[0].Detail != partial.ID.String() {
				t.Errorf("history %+v, %v", steps, err)
			}
		})
	}
}

// TTL 0 reaches who is connected, is not stored, and can be asked for.
func TestVolatile(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.online(o[0])
	b.follow()
	m := b.accept(to(o...), ttl(0))
	if got := b.outlet.handed(); len(got) != 1 || got[0].Pos != 0 || got[0].Set.Len() != 2 {
		t.Fatalf("handovers %+v", got)
	}
	if _, err := b.db.Message(t.Context(), b.app, m.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("the record has it: %v", err)
	}
	b.must(b.ledger.Settled(t.Context(), b.app))
	c, err := b.ledger.Counts(t.Context(), m)
	if err != nil || c.Target != 2 || c.States[herald.StateSent] != 1 || c.States[herald.StatePending] != 1 {
		t.Errorf("counts %+v, %v", c, err)
	}
	if _, ok := b.ledger.Volatile(b.app, m.ID); !ok {
		t.Error("it cannot be asked for")
	}
	b.pass(herald.VolatileTTL + time.Second)
	if _, ok := b.ledger.Volatile(b.app, m.ID); ok {
		t.Error("it can be asked for after ten minutes")
	}
}

func TestIdempotentVolatileIsOneMessage(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	b.online(o...)
	b.follow()
	accept := func() ([]byte, error) {
		r := request(to(o...), ttl(0))
		r.Message.App = b.app
		r.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Until: begin.Add(time.Hour)}
		r.Answer = func(id herald.MessageID) []byte { return []byte(id.String()) }
		_, prior, err := b.d.Accept(context.Background(), r)
		return prior, err
	}
	var mu sync.Mutex
	var repeated int
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			prior, err := accept()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if prior != nil {
				repeated++
			}
		})
	}
	wg.Wait()
	if n := len(b.outlet.handed()); n != 1 || repeated != 7 {
		t.Errorf("%d handovers, %d repetitions", n, repeated)
	}
}

func TestGroupLimit(t *testing.T) {
	b := newBench(t)
	b.d.c.GroupLimit = 3
	o := b.devices(2)
	b.follow()
	accept := func(tg Target, change ...func(*herald.Message)) error {
		r := request(tg, change...)
		r.Message.App = b.app
		_, _, err := b.d.Accept(t.Context(), r)
		b.reach()
		return err
	}
	for range 3 {
		b.must(accept(toGroup(o...)))
	}
	if err := accept(toGroup(o...)); herald.CodeOf(err) != herald.CodeLimitReached {
		t.Errorf("one too many: %v", err)
	}
	// What is not kept as a set, or not kept at all, does not count.
	b.must(accept(to(o...)))
	b.must(accept(toGroup(o...), ttl(0)))
	// What was promised for later is released all the same.
	b.target = toGroup(o...)
	later := b.accept(Target{}, due(begin.Add(time.Minute)))
	b.pass(2 * time.Minute)
	b.must(b.d.releaseDue(t.Context()))
	if got := b.message(later.ID).State; got != herald.MessageSending {
		t.Errorf("the promised message is %s", got)
	}
	b.reach()
	list := b.outlet.handed()
	_, err := b.d.Withdraw(t.Context(), b.app, list[0].Msg.ID)
	b.must(err)
	_, err = b.d.Withdraw(t.Context(), b.app, list[1].Msg.ID)
	b.must(err)
	b.must(accept(toGroup(o...)))
}
