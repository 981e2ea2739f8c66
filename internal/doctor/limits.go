package doctor

import (
	"fmt"
	"time"
)

const (
	mib = 1 << 20
	gib = 1 << 30
	// lowDisk and noDisk: the store grows with what is retained, and refuses
	// messages when the disk is full.
	lowDisk = 2 * gib
	noDisk  = 256 * mib
	// reserve is what the server needs of open files besides connections.
	reserve = 256
)

func (s System) diskSpace(path string) Finding {
	const check, remedy = "disk space", "Make room, or name a folder on a larger disk with --data."
	n, err := s.Free(s.existing(path))
	switch {
	case err != nil:
		return unknown(check, err)
	case n < noDisk:
		return Finding{check, Failure, size(n) + " free", remedy}
	case n < lowDisk:
		return Finding{check, Warning, size(n) + " free", remedy}
	}
	return ok(check, "%s free", size(n))
}

// LowDisk reports whether the disk of a folder has so little room that it is
// warned of; false where the system does not tell.
func LowDisk(folder string) bool {
	n, err := freeSpace(folder)
	return err == nil && n < lowDisk
}

func (s System) descriptors(connections int) Finding {
	const check = "open files"
	soft, hard, err := s.Descriptors()
	if err != nil {
		return unknown(check, err)
	}
	// Go programs raise their soft limit to the hard one at start.
	limit := max(soft, hard)
	room := uint64(0)
	if limit > reserve {
		room = limit - reserve
	}
	switch {
	case limit >= 1<<30:
		return ok(check, "no limit that matters")
	case connections > 0 && room < uint64(connections):
		return Finding{check, Failure, fmt.Sprintf("the limit is %d, and live.connections asks for %d", limit, connections),
			fmt.Sprintf("Raise it to %d (LimitNOFILE= in systemd, ulimit -Hn in a shell), or lower live.connections.", uint64(connections)+reserve)}
	case room < 1024:
		return Finding{check, Warning, fmt.Sprintf("the limit is %d, enough for %d connections", limit, room), "Raise it, for example with LimitNOFILE=1048576 in systemd."}
	}
	return ok(check, "the limit is %d, enough for %d connections", limit, room)
}

// jump is the difference between the wall clock and the monotonic clock that
// is still taken for measuring.
const jump = 20 * time.Millisecond

func (s System) clock() Finding {
	const check = "clock"
	before := s.Now()
	if y := before.Year(); y < 2025 || y > 2090 {
		return Finding{check, Failure, fmt.Sprintf("the clock says %d; message IDs and TTLs need the right time", y), "Set the clock, and run a time service such as chrony."}
	}
	s.Wait(100 * time.Millisecond)
	after := s.Now()
	// Round strips the monotonic reading, so that Sub uses the wall clock.
	if f := drift(after.Round(0).Sub(before.Round(0)), after.Sub(before)); f.State != OK {
		return f
	}
	return ok(check, "%s", before.UTC().Format(time.RFC3339))
}

// drift judges how far the wall clock and the monotonic clock went meanwhile.
func drift(wall, monotonic time.Duration) Finding {
	if d := wall - monotonic; d.Abs() > jump {
		return Finding{"clock", Warning, fmt.Sprintf("the clock jumped by %s within %s", d.Round(time.Millisecond), monotonic.Round(time.Millisecond)),
			"Run a time service, such as chrony or systemd-timesyncd, and look whether a virtual machine's host sets the clock too."}
	}
	return ok("clock", "steady")
}

func (s System) zones() Finding {
	const check = "time zones"
	if err := s.Zone("Asia/Shanghai"); err != nil {
		return Finding{check, Warning, "the time zone database is missing: sending by local time would fail", "Install the package tzdata."}
	}
	return ok(check, "the database is present")
}

func (s System) memory(queues int64) Finding {
	const check = "memory"
	n, err := s.Memory()
	switch {
	case err != nil:
		return unknown(check, err)
	case n < 256*mib:
		return Finding{check, Warning, size(n) + " in all", "Give the server at least 512 MiB."}
	case queues > 0 && uint64(queues) > n/2:
		return Finding{check, Warning, fmt.Sprintf("%s in all, of which slow clients may take %s", size(n), size(uint64(queues))), fmt.Sprintf("Lower live.queue_memory to about %d.", n/4)}
	}
	return ok(check, "%s", size(n))
}

func (s System) kernel() Finding {
	const check = "system"
	name, err := s.Kernel()
	if err != nil {
		return unknown(check, err)
	}
	return ok(check, "%s", name)
}

// size writes bytes for people.
func size(n uint64) string {
	if n < gib {
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}
