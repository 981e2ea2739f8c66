package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// heapRoom is how much the heap may grow at least before the garbage collector
// runs. Go's default lets it grow by what is alive, which on a small
// installation is a few megabytes: then a server that is busy collects a hundred
// times a second, and that is a fifth of its work.
const heapRoom = 64 << 20

// The percentages that Go is given: its default, and what is enough for a heap
// of a few megabytes.
const (
	usualPercent = 100
	mostPercent  = 800
)

// collecting sets Go's percentage anew after each collection.
type collecting struct {
	percent int
	stopped atomic.Bool
}

// collectLess lets the heap grow by heapRoom, unless the environment says how
// the collector is to work. It is undone by what it answers.
func collectLess() (stop func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := os.LookupEnv(name); set {
			return func() {}
		}
	}
	c := &collecting{percent: usualPercent}
	c.look()
	return func() {
		if !c.stopped.Swap(true) {
			debug.SetGCPercent(usualPercent)
		}
	}
}

// look sets the percentage, and has itself called after the next collection.
func (c *collecting) look() {
	if c.stopped.Load() {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if p := percentFor(sample[0].Value.Uint64()); p < c.percent*9/10 || p > c.percent*11/10 {
		c.percent = p
		debug.SetGCPercent(p)
	}
	runtime.AddCleanup(new([16]byte), func(c *collecting) { c.look() }, c)
}

// percentFor is the percentage for a heap of which so many bytes are alive.
func percentFor(alive uint64) int {
	if alive >= heapRoom {
		return usualPercent
	}
	return int(min(mostPercent, max(usualPercent, heapRoom*100/max(alive, 1))))
}
