package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapRoom is how much the heap of a busy server may grow at least before the
// garbage collector runs. Go's default lets it grow by what is alive, which on a
// small installation is a few megabytes: then a server that is busy collects a
// hundred times a second, and that is a fifth of its work.
const heapRoom = 64 << 20

// lookEvery is how often it is looked whether the server is busy: whether it
// has allocated more than heapRoom since.
const lookEvery = 10 * time.Second

// The percentages that Go is given: its default, and what is enough for a heap
// of a few megabytes.
const (
	usualPercent = 100
	mostPercent  = 800
)

// collecting sets Go's percentage (GOGC): more while the server is busy.
type collecting struct {
	percent   int
	allocated uint64 // bytes since the process began, when it was last looked
}

// collect does so until ctx ends, unless the environment says how the collector
// is to work.
func collect(ctx context.Context) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	c := &collecting{percent: usualPercent}
	defer c.set(usualPercent)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			c.look()
		}
	}
}

func (c *collecting) look() {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	alive, allocated := s[0].Value.Uint64(), s[1].Value.Uint64()
	busy := allocated-c.allocated > heapRoom
	c.allocated = allocated
	switch was := c.percent; {
	case busy:
		c.set(percentFor(alive))
	case was > usualPercent:
		// What the busy time has left is given back: an idle server is small.
		c.set(usualPercent)
		debug.FreeOSMemory()
	}
}

// set is not done for little, because it stops all goroutines for a moment.
func (c *collecting) set(percent int) {
	if percent < c.percent*9/10 || percent > c.percent*11/10 {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is the percentage for a heap of which so many bytes are alive.
func percentFor(alive uint64) int {
	return int(min(mostPercent, max(usualPercent, heapRoom*100/max(alive, 1))))
}
