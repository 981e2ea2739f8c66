package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for _, c := range []struct {
		alive uint64
		want  int
	}{{0, 800}, {1 << 20, 800}, {8 << 20, 800}, {16 << 20, 400}, {32 << 20, 200}, {64 << 20, 100}, {1 << 40, 100}} {
		if got := percentFor(c.alive); got != c.want {
			t.Errorf("%d bytes alive: %d, want %d", c.alive, got, c.want)
		}
	}
}

func TestCollecting(t *testing.T) {
	was := debug.SetGCPercent(usualPercent)
	defer debug.SetGCPercent(was)
	accepted, now := uint64(10), time.Unix(0, 0)
	c := &collecting{accepted: func() uint64 { return accepted }, percent: usualPercent, before: accepted}
	// step looks after some messages and some time, and gives what Go is set to.
	step := func(messages uint64, after time.Duration) int {
		accepted, now = accepted+messages, now.Add(after)
		c.look(now)
		p := debug.SetGCPercent(usualPercent)
		debug.SetGCPercent(p)
		return p
	}
	runtime.GC()
	if p := step(busyFrom-1, lookEvery); p != usualPercent {
		t.Errorf("few messages: %d", p)
	}
	if p := step(busyFrom, lookEvery); p <= usualPercent || p != c.percent {
		t.Errorf("many messages, a small heap: %d", p)
	}
	if p := step(0, restsAfter-1); p <= usualPercent {
		t.Errorf("a pause: %d", p)
	}
	much := make([]byte, 2*heapRoom)
	runtime.GC()
	if p := step(busyFrom, lookEvery); p != usualPercent {
		t.Errorf("many messages, a large heap: %d", p)
	}
	runtime.KeepAlive(much)
	much = nil
	runtime.GC()
	if p := step(busyFrom, lookEvery); p <= usualPercent {
		t.Errorf("many messages again: %d", p)
	}
	if p := step(0, restsAfter); p != usualPercent {
		t.Errorf("at rest: %d", p)
	}
}

func TestCollectLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	collect(context.Background(), nil) // or it would not end
}

func TestCollectEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	collect(ctx, func() uint64 { return 0 })
}
