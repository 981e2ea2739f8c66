package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
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

var sink []byte

func TestCollecting(t *testing.T) {
	was := debug.SetGCPercent(usualPercent)
	defer debug.SetGCPercent(was)
	c := &collecting{percent: usualPercent}
	// percent is what Go is set to.
	percent := func() int {
		p := debug.SetGCPercent(usualPercent)
		debug.SetGCPercent(p)
		return p
	}
	work := func() {
		for range 2 * heapRoom >> 20 {
			sink = make([]byte, 1<<20)
		}
		sink = nil
		runtime.GC()
	}
	c.look() // takes what was allocated before
	c.look()
	if percent() != usualPercent {
		t.Errorf("at rest: %d", percent())
	}
	work()
	c.look()
	if p := percent(); p <= usualPercent || p != c.percent {
		t.Errorf("a small heap, busy: %d", p)
	}
	much := make([]byte, 2*heapRoom)
	work()
	c.look()
	if percent() != usualPercent {
		t.Errorf("a large heap, busy: %d", percent())
	}
	runtime.KeepAlive(much)
	work()
	c.look()
	c.look()
	if percent() != usualPercent {
		t.Errorf("at rest again: %d", percent())
	}
}

func TestCollectLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	collect(context.Background()) // or it would not end
}

func TestCollectEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	collect(ctx)
}
