package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// load lets everybody act for a time, while disturb does its worst, which ends
// with a server that is ready.
func (w *world) load(publishers int, disturb func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(w.ctx)
	var busy sync.WaitGroup
	for i := range publishers {
		busy.Go(func() { w.publish(ctx, i) })
	}
	for app := range w.apps {
		busy.Go(func() { w.reshuffle(ctx, app) })
	}
	busy.Go(func() { w.watch(ctx) })
	disturb(ctx)
	cancel()
	if w.forum != nil {
		w.forum.quiet.Store(true)
	}
	busy.Wait()
}

// watch samples states and readiness.
func (w *world) watch(ctx context.Context) {
	r := w.random("watch", 0)
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for ctx.Err() == nil {
		began := time.Now()
		if status := w.n.ready(); status != 0 {
			w.j.ready(readiness{began, time.Now(), status})
		}
		if list := w.stored(); len(list) > 0 {
			// Young messages move most.
			p := list[len(list)-1-r.IntN(min(len(list), 30))]
			devices := w.list(p.App)
			d := devices[r.IntN(len(devices))]
			var t struct{ State string }
			if w.get(c, p.App, "/v1/messages/"+p.ID+"/devices/"+d.id, &t) == http.StatusOK {
				w.j.sample(sample{p.ID, d.index, time.Now(), t.State})
			}
		}
		w.pause(20 * time.Millisecond * w.slower)
	}
}

// killing kills the server again and again, at random moments, also while it
// starts.
func (w *world) killing(r *rand.Rand, kills int, life time.Duration) func(context.Context) {
	return func(ctx context.Context) {
		for range kills {
			w.await(r, life)
			w.n.kill()
			w.j.life("kill", 0)
			if r.IntN(4) == 0 {
				if err := w.n.spawn(); err != nil {
					w.t.Error(err)
				}
				w.pause(time.Duration(r.IntN(60)) * time.Millisecond)
				w.n.kill()
				w.j.life("kill", 0)
			}
			w.restart()
		}
		w.rest(life)
	}
}

// rest lets the last life of a server be one, where lives go by time.
func (w *world) rest(life time.Duration) {
	if w.perLife == 0 {
		w.pause(life)
	}
}

// await waits for some time, about the life of a server, or until so many
// messages more were accepted.
func (w *world) await(r *rand.Rand, life time.Duration) {
	if w.perLife == 0 {
		w.pause(time.Duration(r.Int64N(int64(2 * life))))
		return
	}
	enough := len(w.stored()) + r.IntN(2*w.perLife)
	for end := time.Now().Add(life); w.ctx.Err() == nil && len(w.stored()) < enough && time.Now().Before(end); {
		w.pause(5 * time.Millisecond)
	}
}

func (w *world) restart() {
	began := time.Now()
	if err := w.n.start(); err != nil {
		w.t.Error(err)
		w.stop()
		return
	}
	w.j.life("start", time.Since(began))
}

// TestKill kills the server while everybody is busy, and holds it to every
// invariant afterwards.
func TestKill(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 6, sdk: 1, pace: 8 * time.Millisecond, members: 4})
	before := n.load()
	w.begin()
	w.load(4, w.killing(w.random("kill", 0), 8, time.Second))
	e := w.gather(w.drained(patience), 20_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
}

// TestKillWithStrips kills the server while it keeps who waits by devices, too,
// because memory has room for next to nothing.
func TestKillWithStrips(t *testing.T) {
	t.Parallel()
	// The first end is in the middle of a bundle.
	n := newNode(t, planted(t), "FAULTS_CRAMPED=1", "FAULTS_POINT=bundling:40")
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 6, sdk: 1, pace: 8 * time.Millisecond})
	w.joinCrowd(t, herald.MaxDirect+100)
	before := n.load()
	w.begin()
	w.load(4, func(ctx context.Context) {
		w.crash(t, "bundling:40", false)
		n.env = []string{"FAULTS_CRAMPED=1"}
		w.restart()
		w.killing(w.random("kill", 0), 5, 2*time.Second)(ctx)
	})
	e := w.gather(w.drained(patience), 20_000)
	w.conclude(e, before)
	e.hold(t)
	w.tell(t, e)
	if bundles := countBundles(t, n.data); bundles < 4 {
		t.Errorf("%d bundles: what is tried was not there", bundles)
	}
}

// countBundles reads the files of a server that has stopped.
func countBundles(t *testing.T, data string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "herald.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM strip_bundle").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKillWhileMigrating kills the server again and again while it makes its
// schema: the next start goes on from what is there.
func TestKillWhileMigrating(t *testing.T) {
	t.Parallel()
	s := seed(t)
	for i := range 6 {
		n := newNode(t, plain(t))
		r := rand.New(rand.NewPCG(s, uint64(i)))
		for range 4 {
			if err := n.spawn(); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Duration(r.IntN(60)) * time.Millisecond)
			n.kill()
		}
		n.mustStart()
		n.createApp("after the kills")
		if code := n.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if wrong := inspect(n.data, true); len(wrong) > 0 {
			t.Errorf("after the kills:\n\t%s", few(wrong))
		}
	}
}

// TestRegistrationRacesPushToAll registers devices while messages to all are
// pushed: a device that is there before a push is in its target, and one that
// comes after the answer is not.
func TestRegistrationRacesPushToAll(t *testing.T) {
	t.Parallel()
	s := seed(t)
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 1})
	before := n.load()
	w.begin()
	var busy sync.WaitGroup
	for range 3 {
		busy.Go(func() {
			for range 12 {
				if d := w.register(0, false); d != nil {
					w.live(d)
				}
			}
		})
		busy.Go(func() {
			for range 25 {
				k := w.nonces.Add(1)
				w.send(web, &push{Kind: "all", TTL: 24 * time.Hour, Key: fmt.Sprintf("key-%d", k), Nonce: fmt.Sprintf("n%d-%d", w.seed, k)})
			}
		})
	}
	busy.Wait()
	e := w.gather(w.drained(patience), 20_000)
	w.conclude(e, before)
	e.hold(t)
}

// tell prints the figures of a run.
func (w *world) tell(t *testing.T, e *evidence) {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	unknown := 0
	for _, p := range w.j.pushes {
		if p.Status == 0 {
			unknown++
		}
	}
	t.Logf("%d pushes, %d accepted for good, %d without an answer; %d frames, %d acknowledgements, %d traces; %d kills, %d power cuts",
		len(w.j.pushes), len(e.byID), unknown, len(w.j.frames), len(w.j.acks), len(e.traces), w.j.kills, w.j.cuts)
	if f := w.forum; f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		t.Logf("%d publications over MQTT, %d arrivals, of which %d had to be", len(f.posts), len(f.arrivals), len(f.due()))
	}
}
