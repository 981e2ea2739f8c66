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
// accepted, and those that had waited for devices which come back.
//
// Connections as such get no such room: what a storm of them leaves behind would
// stay in memory, and what an idle one costs is what they are judged by.
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
	// A storm of clients leaves garbage and room behind, which Go would keep
	// until there is work again. It is given back when there was little to do
	// for quietAfter, if that is worth a collection: spareFrom, and a quarter of
	// what is alive.
	quietAfter = 10 * time.Second
	quietBelow = 4 << 20 // bytes a second
	spareFrom  = 4 << 20
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
	before   uint64    // messages when it was last looked
	busy     time.Time // when it was last

	memory    func() memory
	allocated uint64    // when it was last looked
	loud      time.Time // when much was allocated, last; zero when all was given back after it
	give      func()
}

// memory is what there is of it, in bytes.
type memory struct {
	allocated uint64 // ever
	alive     uint64 // after the last collection
	spare     uint64 // could be given back
}

func readMemory() memory {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	m := memory{allocated: s[0].Value.Uint64(), alive: s[1].Value.Uint64()}
	garbage := s[2].Value.Uint64() - min(m.alive, s[2].Value.Uint64())
	m.spare = garbage + s[3].Value.Uint64()
	return m
}

func newCollecting(messages func() uint64) *collecting {
	return &collecting{messages: messages, percent: usualPercent, before: messages(),
		room: min(max(doctor.Memory()/16, leastRoom), mostRoom), memory: readMemory, give: debug.FreeOSMemory}
}

// collect does so until ctx ends, unless the environment says how the collector
// is to work.
func collect(ctx context.Context, messages func() uint64) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	c := newCollecting(messages)
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
	n, m := c.messages(), c.memory()
	if n-c.before >= busyFrom {
		c.busy = now
	}
	if m.allocated-c.allocated >= quietBelow*uint64(lookEvery/time.Second) {
		c.loud = now
	}
	c.before, c.allocated = n, m.allocated
	switch {
	case c.busy.Equal(now):
		c.set(percentFor(m.alive, c.room))
	case c.percent > usualPercent && now.Sub(c.busy) >= restsAfter:
		c.set(usualPercent)
	}
	if c.percent == usualPercent && !c.loud.IsZero() && now.Sub(c.loud) >= quietAfter {
		c.loud = time.Time{}
		if m.spare >= max(spareFrom, m.alive/4) {
			c.give()
		}
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
