package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapRoom is how much the heap may grow at least, while messages come by the
// thousand, before the garbage collector runs. Go's default lets it grow by what
// is alive, which on a small installation is a few megabytes: then a server that
// is busy collects a hundred times a second, and that is a fifth of its work.
//
// Connections get no such room: what a storm of them leaves behind would stay
// in memory, and what an idle one costs is what they are judged by.
const heapRoom = 64 << 20

const (
	// lookEvery is how often it is looked whether the server is busy, and
	// busyFrom is how many messages it has accepted since then.
	lookEvery = time.Second
	busyFrom  = 500
	// restsAfter is how long it keeps the room when it is not busy any more.
	restsAfter = 30 * time.Second
)

// The percentages that Go is given: its default, and what is enough for a heap
// of a few megabytes.
const (
	usualPercent = 100
	mostPercent  = 800
)

// collecting sets Go's percentage (GOGC): more while the server is busy.
type collecting struct {
	accepted func() uint64 // messages, ever
	percent  int
	before   uint64    // that were accepted when it was last looked
	busy     time.Time // when it was last
}

// collect does so until ctx ends, unless the environment says how the collector
// is to work.
func collect(ctx context.Context, accepted func() uint64) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	c := &collecting{accepted: accepted, percent: usualPercent, before: accepted()}
	defer c.set(usualPercent)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			c.look(now)
		}
	}
}

func (c *collecting) look(now time.Time) {
	n := c.accepted()
	busy := n-c.before >= busyFrom
	c.before = n
	switch {
	case busy:
		c.busy = now
		s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(s)
		c.set(percentFor(s[0].Value.Uint64()))
	case c.percent > usualPercent && now.Sub(c.busy) >= restsAfter:
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
