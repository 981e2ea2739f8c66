package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// TestReadyAgain kills a server for which many deliveries are pending, and stops
// it in order, and says after what time it is ready again. In the long form
// there are a million. The time is told and not judged: it is that of the
// machine, too.
func TestReadyAgain(t *testing.T) {
	t.Parallel()
	devices, each := 200, 10
	if long(t) > 0 {
		devices, each = herald.MaxDirect, herald.MaxPending
	}
	t.Run("messages to many", func(t *testing.T) {
		w := newWaiting(t, devices)
		numbers := make([]int, each)
		parallel(numbers, func(c *http.Client, _ int) {
			k := w.nonces.Add(1)
			w.send(c, &push{Kind: "ids", Names: w.ids(), TTL: 24 * time.Hour, Key: fmt.Sprintf("key-%d", k), Nonce: fmt.Sprintf("n%d-%d", w.seed, k)})
		})
		list := w.stored()
		if len(list) != each {
			t.Fatalf("%d of %d pushes were accepted", len(list), each)
		}
		w.readyAgain(t, devices*each, list[0], int64(devices))
	})
	t.Run("messages to one", func(t *testing.T) {
		w := newWaiting(t, devices)
		if code := w.n.stop(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		first := w.accept(t, devices, each)
		w.n.mustStart()
		w.readyAgain(t, devices*each, &push{ID: first.String()}, 1)
	})
}

// newWaiting makes a world of devices of one app that stay away.
func newWaiting(t *testing.T, devices int) *world {
	t.Helper()
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := i; k < devices; k += 8 {
				w.register(0, false)
			}
		})
	}
	wg.Wait()
	return w
}

func (w *world) ids() (out []string) {
	for _, d := range w.list(0) {
		out = append(out, d.id)
	}
	return out
}

// readyAgain ends the server in both ways, and starts it again.
func (w *world) readyAgain(t *testing.T, pending int, one *push, want int64) {
	t.Helper()
	for _, how := range []string{"kill", "stop"} {
		if how == "kill" {
			w.n.kill()
		} else if code := w.n.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		began := time.Now()
		w.n.mustStart()
		t.Logf("after a %s: ready again %s after the start, with %d deliveries pending", how, time.Since(began).Round(time.Millisecond), pending)
		v, _ := w.view(web, one)
		if v.Counts == nil || v.Counts.States[herald.StatePending] != want {
			t.Errorf("the first message counts %+v, want %d pending", v.Counts, want)
		}
	}
}

// accept puts messages to one device each into the folder of a server that is
// stopped, and gives the first.
func (w *world) accept(t *testing.T, devices, each int) (first herald.MessageID) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(w.n.data, "herald.db")})
	if err != nil {
		t.Fatal(err)
	}
	app := herald.AppKey(w.apps[0].Key)
	h, err := db.Head(t.Context(), app)
	if err != nil || h.Pos == 0 {
		t.Fatalf("the head is %+v: %v", h, err)
	}
	var ids herald.IDs
	todo := make(chan record.Message)
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for m := range todo {
				if _, err := db.Accept(context.Background(), record.Acceptance{Message: m}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range devices * each {
		now := time.Now()
		m := record.Message{
			Message: herald.Message{ID: ids.Next(now), App: app, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
				TTL: 24 * time.Hour, Accepted: now, Due: now},
			Body: []byte(`{"data":1}`), State: herald.MessageSending, Target: 1, EvalPos: h.Pos, Direct: []herald.Ordinal{herald.Ordinal(i % devices)},
		}
		if i == 0 {
			first = m.ID
		}
		todo <- m
	}
	close(todo)
	wg.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return first
}
