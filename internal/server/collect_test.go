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
		if got := percentFor(c.alive, leastRoom); got != c.want {
			t.Errorf("%d bytes alive: %d, want %d", c.alive, got, c.want)
		}
	}
}

func TestCollecting(t *testing.T) {
	was := debug.SetGCPercent(usualPercent)
	defer debug.SetGCPercent(was)
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"few messages", []step{{messages: busyFrom - 1, alive: mib, want: usualPercent}}},
		{"many, and a small heap", []step{{messages: busyFrom, alive: 32 * mib, want: 200}}},
		{"many, and a large heap", []step{{messages: busyFrom, alive: 640 * mib, want: usualPercent}}},
		{"the heap grows", []step{
			{messages: busyFrom, alive: 16 * mib, want: 400},
			{messages: busyFrom, alive: 17 * mib, want: 400}, // not worth it
			{messages: busyFrom, alive: 32 * mib, want: 200},
		}},
		{"a pause, and the end", []step{
			{messages: busyFrom, alive: 16 * mib, want: 400},
			{after: restsAfter - lookEvery, alive: 16 * mib, want: 400},
			{after: lookEvery, alive: 16 * mib, want: usualPercent, gives: true},
			{after: time.Hour, alive: 16 * mib, want: usualPercent},
		}},
		{"polls", []step{
			{polled: busyFrom - 1, alive: 16 * mib, want: usualPercent},
			{after: restsAfter, alive: 16 * mib, want: usualPercent},
			{polled: busyFrom, alive: 16 * mib, want: usualPercent},
			{after: restsAfter - lookEvery, alive: 16 * mib, want: usualPercent},
			{after: lookEvery, alive: 16 * mib, want: usualPercent, gives: true},
			{after: time.Hour, alive: 16 * mib, want: usualPercent},
		}},
		{"polls, and a large heap", []step{
			{polled: busyFrom, alive: leastRoom + mib, want: usualPercent},
			{after: restsAfter, alive: leastRoom + mib, want: usualPercent},
		}},
		{"messages, while polls are answered", []step{
			{messages: busyFrom, alive: 16 * mib, want: 400},
			{after: restsAfter - lookEvery, polled: busyFrom, alive: 16 * mib, want: 400},
			{after: restsAfter - lookEvery, alive: 16 * mib, want: 400},
			{after: lookEvery, alive: 16 * mib, want: usualPercent, gives: true},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			debug.SetGCPercent(usualPercent)
			now, accepted, polled, alive, gave := time.Unix(0, 0), uint64(10), uint64(20), uint64(0), false
			g := newCollecting(func() uint64 { return accepted }, func() uint64 { return polled })
			g.room = leastRoom
			g.alive, g.give = func() uint64 { return alive }, func() { gave = true }
			for i, s := range c.steps {
				now, accepted, gave = now.Add(max(s.after, lookEvery)), accepted+s.messages, false
				alive, polled = s.alive, polled+s.polled
				g.look(now)
				p := debug.SetGCPercent(usualPercent)
				debug.SetGCPercent(p)
				if p != s.want || gave != s.gives {
					t.Errorf("step %d: %d %%, given back %t; want %d %%, %t", i, p, gave, s.want, s.gives)
				}
			}
		})
	}
}

// step is what has happened since it was last looked, and what comes of it.
type step struct {
	after           time.Duration
	messages, alive uint64
	polled          uint64
	want            int
	gives           bool
}

func TestReadAlive(t *testing.T) {
	kept := make([]byte, 8<<20)
	runtime.GC()
	if got := readAlive(); got < uint64(len(kept)) {
		t.Errorf("%d bytes, with %d that are kept", got, len(kept))
	}
	runtime.KeepAlive(kept)
}

func TestCollectLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	collect(context.Background(), nil, nil) // or it would not end
}

func TestCollectEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	collect(ctx, func() uint64 { return 0 }, func() uint64 { return 0 })
}
