package courier

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/internal/provider"
)

func newBreaker() *breaker { return &breaker{failures: 3, now: time.Now} }

func (b *breaker) must(t *testing.T, want bool) pass {
	t.Helper()
	p, ok := b.enter(t.Context())
	if ok != want {
		t.Fatalf("a pass: %v, want %v", ok, want)
	}
	return p
}

func TestBreaker(t *testing.T) {
	down := provider.OfStatus(503, 0)
	t.Run("failures in a row open it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			p := b.must(t, true)
			for i, err := range []*provider.Error{down, down, nil, down, down, provider.OfStatus(400, 0), down, down, down} {
				if opens := b.note(p, err); opens != (i == 8) {
					t.Fatalf("call %d opens it: %v", i, opens)
				}
			}
			if b.holds(p) || b.trouble() != down || b.forgettable() {
				t.Error("an old pass holds")
			}
			b.must(t, false)
		})
	})
	t.Run("one call is tried when it has rested, and the rests grow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			p := b.must(t, true)
			for range 3 {
				b.note(p, down)
			}
			for i := range 20 {
				at := b.rests()
				rest, most := time.Until(at), min(minRest<<i, maxRest)
				if rest < most/2 || rest > most {
					t.Errorf("rest %d is %v, want %v or half of it", i, rest, most)
				}
				elapse(rest)
				p = b.must(t, true)
				if !p.probe {
					t.Fatal("more than one call is tried")
				}
				b.note(p, down)
				b.leave(p)
			}
			elapse(maxRest)
			p = b.must(t, true)
			b.note(p, nil)
			b.leave(p)
			if !b.rests().IsZero() || !b.holds(p) || b.trouble() != nil || !b.forgettable() {
				t.Error("it is not closed again")
			}
			if p = b.must(t, true); p.probe {
				t.Error("it still tries")
			}
		})
	})
	t.Run("others wait for who tries", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			b.note(b.must(t, true), provider.OfStatus(401, 0))
			if rest := time.Until(b.rests()); rest < minUnauthorized/2 || rest > minUnauthorized {
				t.Errorf("rests for %v", rest)
			}
			b.retry()
			p := b.must(t, true)
			got := make(chan bool)
			go func() {
				p, ok := b.enter(t.Context())
				got <- ok && !p.probe
			}()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, ok := b.enter(ctx); ok {
				t.Error("a pass for who is told to stop")
			}
			b.note(p, nil)
			b.leave(p)
			if !<-got {
				t.Error("who waited was not let through")
			}
		})
	})
	t.Run("what was begun before says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			old := b.must(t, true)
			b.note(old, provider.OfStatus(429, time.Minute))
			at := b.rests()
			if rest := time.Until(at); rest < time.Minute || rest > 66*time.Second {
				t.Errorf("rests for %v", rest)
			}
			b.note(old, nil)
			b.note(old, down)
			if !b.rests().Equal(at) {
				t.Error("an older call has changed it")
			}
			b.note(old, provider.OfStatus(429, time.Hour))
			if !b.rests().After(at) {
				t.Error("an older call asked for more, and was not heard")
			}
		})
	})
}

func TestBackoff(t *testing.T) {
	for times := range 100 {
		want := maxRest
		if times < 9 {
			want = min(maxRest, minRest<<times)
		}
		if d := backoff(minRest, maxRest, times); d > want || d < want/2 {
			t.Errorf("after %d times %v, want %v or half of it", times, d, want)
		}
	}
}

func TestPace(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &pace{}
	if p.take(now) != 0 || !p.idle(now) || p.room(now) < 1<<30 || !p.next(now).Equal(now) {
		t.Error("without a rate it holds up calls")
	}
	p.set(rate{3, time.Minute, false})
	for i, tt := range []struct{ after, wait time.Duration }{
		{0, 0}, {10 * time.Second, 0}, {20 * time.Second, 0}, {30 * time.Second, 33 * time.Second}, {62 * time.Second, time.Second},
		{63 * time.Second, 0}, {64 * time.Second, 9 * time.Second}, {10 * time.Minute, 0},
	} {
		if got := p.take(now.Add(tt.after)); got != tt.wait {
			t.Errorf("call %d at %v waits %v, want %v", i, tt.after, got, tt.wait)
		}
	}
	p.set(rate{3, time.Minute, false}) // the same: nothing is forgotten
	end := now.Add(10 * time.Minute)
	if p.room(end) != 2 || p.idle(end) || !p.idle(end.Add(2*time.Minute)) {
		t.Errorf("room for %d", p.room(end))
	}
	p.take(end)
	p.take(end)
	if next := p.next(end); !next.Equal(end.Add(63 * time.Second)) {
		t.Errorf("next at %v", next)
	}
	// A high rate is kept to in shorter times.
	p.set(rate{100 * mostKept, 100 * time.Second, false})
	n := 0
	for p.take(now) == 0 {
		n++
	}
	if wait := p.take(now); n != mostKept || wait != time.Second+50*time.Millisecond {
		t.Errorf("%d calls at once, then %v", n, wait)
	}
}

func TestGate(t *testing.T) {
	common := make(chan struct{}, 2)
	busy, other := newGate(10, common), newGate(10, common)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var leave []func()
	for range ownCalls + 2 {
		leave = append(leave, busy.enter(t.Context(), nil))
	}
	if busy.enter(ctx, nil) != nil {
		t.Error("a call more than there is room for")
	}
	over := make(chan struct{})
	close(over)
	if busy.enter(t.Context(), over) != nil {
		t.Error("a call of a message that was recalled")
	}
	for range ownCalls {
		if free := other.enter(t.Context(), nil); free == nil {
			t.Fatal("one gate takes the room of another")
		}
	}
	for _, free := range leave {
		free()
	}
	if len(common) != 0 || len(busy.slots) != 0 || len(busy.own) != 0 {
		t.Error("room was not given back")
	}
	one := newGate(1, common)
	one.enter(t.Context(), nil)
	if one.enter(ctx, nil) != nil || one.enter(t.Context(), over) != nil {
		t.Error("two calls where there may be one")
	}
}

func TestGone(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := &gone{}
	g.add("a", now, now)
	if !g.has("a", now) || g.has("a", now.Add(1)) || g.has("b", now) {
		t.Error("it has what it should not")
	}
	g.add("b", now, now.Add(3*time.Minute))
	if !g.has("a", now) {
		t.Error("it forgets too soon")
	}
	g.add("c", now, now.Add(6*time.Minute))
	if g.has("a", now) || !g.has("b", now) {
		t.Error("it does not forget")
	}
}
