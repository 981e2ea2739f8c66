package faults_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// figures are the sums over the rounds of a soak.
type figures struct {
	rounds, pushes, accepted, unknown, frames, copies int
	kills, cuts, traces                               int
	lost, invented, crossed, toApp                    int
	restarts                                          []time.Duration
}

// long is how long a soak lasts; 0 is one short round.
func long(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("FAULTS_SOAK")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("FAULTS_SOAK: %v", err)
	}
	return d
}

// TestSoak kills the server and cuts its power in turn, under load. In its
// long form it does so round after round, each on a new data folder, and stops
// at the first that breaks an invariant.
func TestSoak(t *testing.T) {
	t.Parallel()
	total := long(t)
	var f figures
	s := seed(t)
	began := time.Now()
	for i := 0; i == 0 || time.Since(began) < total && !t.Failed(); i++ {
		t.Run(strconv.Itoa(i), func(t *testing.T) { f.round(t, s+uint64(i), total > 0) })
	}
	if total > 0 {
		t.Run("mounted disk", mountedDisk) // the short form needs no rights to mount anything
	}
	f.tell(t, s)
}

// tell prints the sums, so that a soak that is broken off has said something.
func (f *figures) tell(t *testing.T, s uint64) {
	t.Helper()
	if len(f.restarts) == 0 {
		return
	}
	slices.Sort(f.restarts)
	t.Logf("soak: %d rounds, seed %d: %d messages accepted for good (%d pushes, %d without an answer), %d deliveries received, of which %d copies; "+
		"%d kills, %d power cuts; %d lost, %d invented, %d cross-app, %d duplicates to the application; ready again after %s (median), %s (longest)",
		f.rounds, s, f.accepted, f.pushes, f.unknown, f.frames, f.copies, f.kills, f.cuts, f.lost, f.invented, f.crossed, f.toApp,
		f.restarts[len(f.restarts)/2].Round(time.Millisecond), f.restarts[len(f.restarts)-1].Round(time.Millisecond))
}

// round is one world from its first device to its inspected files.
func (f *figures) round(t *testing.T, s uint64, big bool) {
	n := newNode(t, planted(t))
	d := newPower(t, n, big && f.rounds%2 == 1)
	z, faults, every, life := size{devices: 5, sdk: 1, publishers: 3, pace: 10 * time.Millisecond}, 6, 4, 500*time.Millisecond
	if big {
		z, faults, every, life = size{devices: 16, sdk: 2, slower: 4, publishers: 12, users: 8, direct: true}, 15, 5, 20*time.Second
	}
	if big {
		n.env = append(n.env, "GOGC=400") // the machine is for messages
	}
	n.mustStart()
	began := time.Now()
	w := newWorld(t, n, s, z)
	if big {
		w.perLife = 5000
		w.joinCrowd(t, herald.MaxDirect+100)
	}
	w.batches = w.takesBatches()
	before := n.load()
	w.begin()
	w.load(z.publishers, func(ctx context.Context) {
		r := w.random("soak", 0)
		for i := range faults {
			if i%every == every-1 {
				w.cutting(d, r, 1, life)(ctx)
			} else {
				w.killing(r, 1, life)(ctx)
			}
		}
	})
	loaded := time.Now()
	open := w.drained(drainFor(big))
	drained := time.Now()
	e := w.gather(open, 10_000)
	w.conclude(e, before)
	e.hold(t)
	f.add(e)
	if big {
		w.tell(t, e)
		f.tell(t, s)
		t.Logf("under load for %s, drained after %s, checked after %s", loaded.Sub(began).Round(time.Second), drained.Sub(loaded).Round(time.Second), time.Since(drained).Round(time.Second))
	}
}

// drainFor is how long a round waits until nothing moves any more: what tens of
// thousands of messages leave behind takes longer on a machine that is busy.
func drainFor(big bool) time.Duration {
	if big {
		return 4 * patience
	}
	return patience
}

// joinCrowd registers devices that nobody plays, with the server stopped.
func (w *world) joinCrowd(t *testing.T, size int) {
	t.Helper()
	if code := w.n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(w.n.data, "herald.db")})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.apps {
		registerCrowd(t, db, herald.AppKey(a.Key), size, func(int) []herald.Tag { return []herald.Tag{"t0"} })
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.crowd = int64(size)
	w.n.mustStart()
}

func (f *figures) add(e *evidence) {
	broken := e.check()
	f.rounds++
	f.lost += len(broken[1]) + len(broken[2])
	f.invented += len(broken[3])
	f.crossed += len(broken[5])
	j := e.j
	j.mu.Lock()
	defer j.mu.Unlock()
	f.pushes += len(j.pushes)
	f.accepted += len(e.byID)
	f.traces += len(e.traces)
	f.kills += j.kills
	f.cuts += j.cuts
	f.restarts = append(f.restarts, j.restarts...)
	for _, p := range j.pushes {
		if p.Status == 0 {
			f.unknown++
		}
	}
	seen := map[traceKey]bool{}
	for _, x := range j.frames {
		if x.Type != "message" {
			continue
		}
		f.frames++
		k := traceKey{x.ID, x.Device}
		if seen[k] && x.SDK {
			f.toApp++
		} else if seen[k] {
			f.copies++
		}
		seen[k] = true
	}
}
