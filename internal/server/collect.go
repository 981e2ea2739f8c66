package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/herald-push/herald/internal/doctor"
)

// The heap may grow by so much at least, while messages come by the thousand,
// before the garbage collector runs: a sixteenth of the machine's memory within
// these bounds. Go's default lets it grow by what is alive, which on a small
// installation is a few megabytes: then a server that is busy collects a hundred
// times a second, and that is a fifth of its work. Messages are those that are
// accepted, those that had waited for devices which come back, and those that are
// handed to vendors.
//
// Connections as such get no such room: what a storm of them leaves behind would
// stay in memory, and what an idle one costs is what they are judged by. Nor do
// messages that polls are answered with, for each of which there is a request: of
// a heap that has once been large, what Go keeps to manage it is not given back,
// and ten thousand held polls need no more than that. What they leave behind is.
const (
	leastRoom = 64 << 20
	mostRoom  = 256 << 20
)

const (
	// lookEvery is how often it is looked whether the server is busy, and
	// busyFrom is how many messages there were since then.
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
	messages func() uint64 // ever
	room     uint64
	percent  int
	polled   func() uint64 // ever, of those that polls are answered with
	before   uint64        // messages when it was last looked
	answered uint64        // and those of polls
	busy     time.Time     // when it was last
	gives    bool          // what polls have left is to be given back

	alive func() uint64 // bytes, after the last collection
	give  func()
}

func readAlive() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func newCollecting(messages, polled func() uint64) *collecting {
	return &collecting{messages: messages, polled: polled, percent: usualPercent, before: messages(), answered: polled(),
		room: min(max(doctor.Memory()/16, leastRoom), mostRoom), alive: readAlive, give: debug.FreeOSMemory}
}

// collect does so until ctx ends, unless the environment says how the collector
// is to work.
func collect(ctx context.Context, messages, polled func() uint64) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	c := newCollecting(messages, polled)
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
	n, m := c.messages(), c.polled()
	busy, polls := n-c.before >= busyFrom, m-c.answered >= busyFrom
	c.before, c.answered = n, m
	if busy || polls {
		c.busy = now
	}
	// To give back takes a collection, and little is gained of a heap that is large.
	c.gives = c.gives || polls && c.alive() <= c.room
	switch {
	case busy:
		c.set(percentFor(c.alive(), c.room))
	case (c.gives || c.percent > usualPercent) && now.Sub(c.busy) >= restsAfter:
		// What the busy time has left is given back: an idle server is small.
		c.gives = false
		c.set(usualPercent)
		c.give()
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
func percentFor(alive, room uint64) int {
	return int(min(mostPercent, max(usualPercent, room*100/max(alive, 1))))
}
