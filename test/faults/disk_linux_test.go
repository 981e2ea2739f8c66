package faults_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limitFiles bounds how large the files of a process may become, from now on:
// a write past it fails. 0 takes the bound away.
func (n *node) limitFiles(bytes uint64) error {
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if bytes == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	return unix.Prlimit(n.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil)
}

// failingWrites lets every write of the server fail for a while, then takes
// the cause away and starts it again: a disk that has failed is not trusted
// before that.
func failingWrites(w *world, ctx context.Context) {
	if err := w.n.limitFiles(4096); err != nil {
		w.t.Error(err)
	}
	until(w.t, "writes are refused", func() bool { return w.refusals() > 3 })
	w.pause(5 * time.Second)
	had := w.refusals()
	until(w.t, "writes are still refused", func() bool { return w.refusals() > had+1 })
	if !w.n.alive() {
		w.t.Error("the server ended because a write failed")
	}
	if err := w.n.limitFiles(0); err != nil && w.n.alive() {
		w.t.Error(err)
	}
	w.n.kill()
	w.restart()
	w.pause(500 * time.Millisecond)
}

// TestFailedWrite lets writes fail: what is refused is refused honestly, and
// nothing that was accepted is lost.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 4, pace: 5 * time.Millisecond})
	before := n.load()
	w.begin()
	w.load(2, func(ctx context.Context) {
		w.pause(time.Second)
		failingWrites(w, ctx)
		if w.unready() == 0 {
			t.Error("the server never said that it was not ready")
		}
	})
	e := w.gather(w.drained(patience), 10_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
}
