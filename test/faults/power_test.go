package faults_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// powered is a disk whose power can be cut under a running server, which then
// starts again on what was there.
type powered interface {
	cutPower(w *world) error
}

// kept is a disk that is played by the binary with the tag "faults": a folder
// holds what was synced, and by chance some of what was not (see
// internal/faults). It needs no rights and no file system of its own.
type kept struct{ dir string }

// newKept gives a node such a disk.
func newKept(t *testing.T, n *node) *kept {
	t.Helper()
	k := &kept{t.TempDir()}
	n.env = append(n.env, "FAULTS_DISK="+k.dir)
	return k
}

func (k *kept) cutPower(w *world) error {
	w.n.kill()
	w.j.life("cut", 0)
	if err := k.give(w.n.data); err != nil {
		return err
	}
	w.restart()
	return nil
}

// give puts what the disk has in the place of what the process saw.
func (k *kept) give(data string) error { return move(k.dir, data) }

// take makes sure of everything, as "sync" does.
func (k *kept) take(data string) error { return move(data, k.dir) }

func move(from, to string) error {
	for _, name := range []string{"herald.db", "herald.db-wal", "herald.db-journal", "herald.db-shm"} {
		if err := os.Remove(filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) || strings.HasSuffix(name, "-shm") {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fail makes the disk fail in a way, "full" or "nosync", and heal takes that
// back.
func (k *kept) fail(t *testing.T, how string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, how), nil, 0o600); err != nil {
		t.Error(err)
	}
}

func (k *kept) heal(t *testing.T, how string) {
	t.Helper()
	if err := os.Remove(filepath.Join(k.dir, how)); err != nil {
		t.Error(err)
	}
}

// cutting cuts the power again and again.
func (w *world) cutting(d powered, r *rand.Rand, cuts int, life time.Duration) func(context.Context) {
	return func(context.Context) {
		for range cuts {
			w.await(r, life)
			if err := d.cutPower(w); err != nil {
				w.t.Error(err)
				return
			}
		}
		w.rest(life)
	}
}

// TestPowerCut cuts the power of a busy server, several times.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, planted(t))
	d := newKept(t, n)
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 5, sdk: 1, pace: 8 * time.Millisecond, members: 4})
	before := n.load()
	w.begin()
	w.load(3, w.cutting(d, w.random("cut", 0), 6, 500*time.Millisecond))
	e := w.gather(w.drained(patience), 8_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
}

// TestPowerCutFindsWhatWasNotSynced shows that the method is one: without
// synced commits the same cuts lose what was accepted, and the check says so.
func TestPowerCutFindsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"OFF", "NORMAL"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, planted(t), "FAULTS_SYNC="+mode)
			unsynced(t, n, newKept(t, n))
		})
	}
}

func unsynced(t *testing.T, n *node, d interface {
	powered
	take(data string) error
}) {
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 3, pace: 5 * time.Millisecond})
	w.settleFor = time.Second
	// Who they are is kept: a server that forgot its apps would be found by
	// anybody.
	if code := n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if err := d.take(n.data); err != nil {
		t.Fatal(err)
	}
	n.mustStart()
	w.load(2, func(context.Context) {
		until(t, "some pushes are accepted", func() bool { return len(w.stored()) > 20 })
		if err := d.cutPower(w); err != nil {
			t.Error(err)
		}
	})
	e := w.gather(nil, 5_000)
	w.conclude(e, load{})
	if lost := noSilentLoss(e); len(lost) == 0 {
		t.Error("what was accepted and never synced has survived the cut: the cut is none")
	} else {
		t.Logf("%d of %d accepted messages are lost, as they should be", len(e.gone), len(e.byID))
	}
}

// TestFullDisk fills the disk under a busy server: what does not fit is refused
// with 503, and when there is room again the server goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, planted(t))
	d := newKept(t, n)
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 4, pace: 5 * time.Millisecond})
	w.fullDisk(t, func() { d.fail(t, "full") }, func() { d.heal(t, "full") })
}

func (w *world) fullDisk(t *testing.T, fill, empty func()) {
	before := w.n.load()
	w.begin()
	w.load(2, func(context.Context) {
		w.pause(time.Second)
		fill()
		w.refusing(t)
		if !w.n.alive() {
			t.Error("the server ended because the disk was full")
		}
		empty()
		until(t, "the server is ready again", func() bool { return w.n.ready() == 200 })
		w.pause(time.Second)
	})
	e := w.gather(w.drained(patience), 8_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
}

// TestFailedSync lets every sync fail, and forgets what it was to keep. What was
// accepted is there when the server starts again; before that nothing is
// accepted, although the disk would take it.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, planted(t))
	d := newKept(t, n)
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 4, pace: 5 * time.Millisecond})
	before := n.load()
	w.begin()
	w.load(2, func(context.Context) {
		w.pause(time.Second)
		d.fail(t, "nosync")
		w.refusing(t)
		d.heal(t, "nosync")
		had, last := w.refusals(), len(w.stored())
		until(t, "more writes are refused", func() bool { return w.refusals() > had+3 })
		if n.ready() == 200 || len(w.stored()) > last {
			t.Error("the server is ready again on a disk that has failed")
		}
		if err := d.cutPower(w); err != nil {
			t.Error(err)
		}
		w.pause(time.Second)
	})
	e := w.gather(w.drained(patience), 8_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
}

// refusing waits until writes are refused as they should be, and the server has
// said for a while that it is not ready.
func (w *world) refusing(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() { // as was seen once, with nothing that told why
			said := w.n.out.from(0)
			t.Logf("%d pushes were refused, and %d times it was not ready; it runs: %v; the last that it said:\n%s",
				w.refusals(), w.unready(), w.n.alive(), said[max(0, len(said)-8000):])
		}
	}()
	until(t, "writes are refused, and the server says that it is not ready", func() bool {
		return w.refusals() > 3 && w.unready() > 3
	})
	w.pause(2 * time.Second)
}

// refusals counts the pushes that were refused because of the disk.
func (w *world) refusals() (n int) {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	for _, x := range w.j.writes {
		if x.Status == 503 && x.Code == "storage_unavailable" {
			n++
		}
	}
	return n
}

// unready counts the answers of /readyz that say so.
func (w *world) unready() (n int) {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	for _, x := range w.j.readies {
		if x.Status == 503 {
			n++
		}
	}
	return n
}
