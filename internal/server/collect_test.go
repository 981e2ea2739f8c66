package server

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	for _, c := range []struct {
		alive uint64
		want  int
	}{{0, 800}, {1 << 20, 800}, {4 << 20, 800}, {16 << 20, 400}, {32 << 20, 200}, {64 << 20, 100}, {1 << 40, 100}} {
		if got := percentFor(c.alive); got != c.want {
			t.Errorf("%d bytes alive: %d, want %d", c.alive, got, c.want)
		}
	}
}

// percent reads what Go is set to.
func percent() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

func TestCollectLess(t *testing.T) {
	was := percent()
	defer debug.SetGCPercent(was)
	debug.SetGCPercent(usualPercent)
	t.Setenv("GOGC", "100") // what it says is Go's to read; it is only seen that it is there
	collectLess()()
	if percent() != usualPercent {
		t.Fatal("the environment does not count")
	}
}

// TestCollectLessFollowsTheHeap lets the heap grow beyond the room and shrink.
func TestCollectLessFollowsTheHeap(t *testing.T) {
	was := percent()
	defer debug.SetGCPercent(was)
	debug.SetGCPercent(usualPercent)
	stop := collectLess()
	defer stop()
	until := func(what string, is func(int) bool) {
		t.Helper()
		for range 10000 { // the cleanup runs a moment after a collection
			runtime.GC()
			if is(percent()) {
				return
			}
			runtime.Gosched()
		}
		t.Fatalf("%s: the percentage is %d", what, percent())
	}
	until("a small heap", func(p int) bool { return p > usualPercent })
	much := make([]byte, 4*heapRoom)
	until("a large heap", func(p int) bool { return p == usualPercent })
	runtime.KeepAlive(much)
	until("a small heap again", func(p int) bool { return p > usualPercent })
	stop()
	if percent() != usualPercent {
		t.Errorf("after the end the percentage is %d", percent())
	}
}
