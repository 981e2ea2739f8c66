package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// TestCrashAtPoint ends the process exactly between two steps that belong
// together, starts it again, and holds it to every invariant.
func TestCrashAtPoint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		point string // and at which pass of it
		crowd bool   // some pushes have a target that is kept in chunks
		stop  bool   // the point is passed when the server is stopped in order
	}{
		{"migrated:1", false, false},
		{"before_commit:200", false, false},
		{"committed:200", false, false},
		{"drafted:3", true, false},
		{"handed:60", false, false},
		{"receipts_logged:100", false, false},
		{"before_fold:1", false, true},
		{"folded:1", false, true},
		{"ended:5", false, false},
		{"stepped:9", true, false},
		{"went_live:3", false, false},
		{"recalled:3", false, false},
		{"topics_written:40", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.point, func(t *testing.T) {
			t.Parallel()
			s := seed(t)
			n := newNode(t, planted(t))
			if tt.point == "migrated:1" {
				// A new folder is the only one that is migrated yet.
				n.env = []string{"FAULTS_POINT=" + tt.point}
				if err := n.start(); err == nil {
					t.Fatal("the server passed the point")
				}
				n.env = nil
			}
			n.mustStart()
			z := size{devices: 4, pace: 5 * time.Millisecond}
			if tt.point == "topics_written:40" {
				z.members = 4
			}
			w := newWorld(t, n, s, z)
			if code := n.stop(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			if tt.crowd {
				gatherCrowd(t, n, herald.AppKey(w.apps[0].Key))
				w.crowded = true
			}
			if tt.point != "migrated:1" {
				n.env = []string{"FAULTS_POINT=" + tt.point}
			}
			n.mustStart()
			before := n.load()
			w.begin()
			w.load(2, func(ctx context.Context) {
				if tt.crowd {
					go w.shout(ctx)
				}
				w.crash(t, tt.point, tt.stop)
				n.env = nil
				w.restart()
				w.pause(time.Second)
			})
			e := w.gather(w.drained(patience), 10_000)
			w.conclude(e, before)
			e.hold(t)
		})
	}
}

// TestCrashWhileRemoving ends the process when the removal of a device is
// durable and what waits for the device has not ended yet. The message lies far
// back in the log, where a start does not look at messages one by one.
func TestCrashWhileRemoving(t *testing.T) {
	t.Parallel()
	n := newNode(t, planted(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 1})
	gone := w.list(0)[0]
	p := w.pushTo(t, gone)
	if code := n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: n.data + "/herald.db"})
	if err != nil {
		t.Fatal(err)
	}
	registerCrowd(t, db, herald.AppKey(w.apps[0].Key), 4200, everySecond)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	n.env = []string{"FAULTS_POINT=removed:1"}
	n.mustStart()
	if r := n.call(t.Context(), web, http.MethodDelete, "/v1/devices/"+gone.id, w.apps[0].basic(), "", nil); r.status != 0 {
		t.Fatalf("the server passed the point: status %d", r.status)
	}
	<-n.exited
	n.env = nil
	n.mustStart()
	until(t, "what waited for the device has ended", func() bool {
		v, _ := w.view(web, p)
		return v.Counts != nil && v.Counts.States[herald.StateDeviceGone] == 1
	})
}

// TestCrashWhileBinding ends the process when a device has another alias and
// what waits for it by the old one has not ended yet. It ends with the start,
// although the device does not connect.
func TestCrashWhileBinding(t *testing.T) {
	t.Parallel()
	n := newNode(t, planted(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 1})
	device, secret := w.list(0)[0], w.apps[0].basic()
	call := func(path, body string) reply {
		return n.call(t.Context(), web, http.MethodPost, path, secret, "", json.RawMessage(body))
	}
	bind := func(alias string) reply {
		return call("/v1/aliases", fmt.Sprintf(`{"bindings":[{"registration_id":%q,"alias":%q}]}`, device.id, alias))
	}
	if r := bind("crash-before"); r.status != http.StatusOK {
		t.Fatalf("binding: status %d", r.status)
	}
	r := call("/v1/messages", `{"audience":{"aliases":["crash-before"]},"data":1}`)
	var sent struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(r.body, &sent); err != nil || sent.ID == "" {
		t.Fatalf("sending: status %d, %v", r.status, err)
	}
	if code := n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	n.env = []string{"FAULTS_POINT=bound:1"}
	n.mustStart()
	if r := bind("crash-after"); r.status != 0 {
		t.Fatalf("the server passed the point: status %d", r.status)
	}
	<-n.exited
	n.env = nil
	n.mustStart()
	until(t, "what waited by the old alias has ended", func() bool {
		var v struct {
			Counts struct {
				States map[herald.DeliveryState]int64 `json:"states"`
			} `json:"counts"`
		}
		r := n.call(t.Context(), web, http.MethodGet, "/v1/messages/"+sent.ID, secret, "", nil)
		return json.Unmarshal(r.body, &v) == nil && v.Counts.States[herald.StateRebound] == 1
	})
}

// crash waits until the process has ended by itself.
func (w *world) crash(t *testing.T, point string, stop bool) {
	t.Helper()
	if point == "migrated:1" {
		w.pause(time.Second)
		w.n.kill()
		return
	}
	if stop {
		until(t, "devices have got something", func() bool { return w.seen() > 20 })
		w.pause(2 * time.Second)
		// On a fast machine the log may have become so long that it was folded
		// without a stop.
		if code := w.n.stop(); code == 0 {
			t.Error("the server stopped in order and did not pass the point")
		}
		return
	}
	select {
	case <-w.n.exited:
		w.j.life("kill", 0)
	case <-time.After(patience):
		t.Errorf("the server did not pass %s", point)
		w.n.kill()
	}
}

// seen counts the frames that all devices have got.
func (w *world) seen() (n int64) {
	for _, d := range w.list(-1) {
		n += d.seen.Load()
	}
	return n
}

// A target is kept in chunks when it takes more than the 16 KiB that fit into
// the row of a message: three slabs in which every second device is meant.
const (
	crowdSlabs = 3
	crowdSize  = 9000 // devices in a slab
)

// gatherCrowd registers devices in a folder that no server has open, every
// second one with the tag "crowd". They never connect.
func gatherCrowd(t *testing.T, n *node, app herald.AppKey) {
	t.Helper()
	for slab := range crowdSlabs {
		if slab > 0 {
			edit(t, n.data, "UPDATE app_head SET next_ord = ? WHERE app = (SELECT id FROM app WHERE app_key = ?)", slab<<16, string(app))
		}
		db, err := sqlite.Open(t.Context(), sqlite.Config{Path: n.data + "/herald.db"})
		if err != nil {
			t.Fatal(err)
		}
		registerCrowd(t, db, app, crowdSize, everySecond)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// everySecond gives every second device of a crowd its tag.
func everySecond(i int) []herald.Tag {
	if i%2 == 0 {
		return []herald.Tag{"crowd"}
	}
	return nil
}

func registerCrowd(t *testing.T, db *sqlite.DB, app herald.AppKey, size int, tags func(i int) []herald.Tag) {
	t.Helper()
	var wg sync.WaitGroup
	todo := make(chan int)
	for range 128 {
		wg.Go(func() {
			for i := range todo {
				r := record.Registration{Device: record.Device{App: app, ID: herald.NewRegistrationID(time.Now()), Platform: herald.PlatformOther, Created: time.Now()}, AddTags: tags(i)}
				if _, _, err := db.Register(t.Context(), r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range size {
		todo <- i
	}
	close(todo)
	wg.Wait()
}

// shout pushes to the crowd, with a TTL that does not keep anybody waiting.
func (w *world) shout(ctx context.Context) {
	for ctx.Err() == nil {
		n := w.nonces.Add(1)
		w.send(web, &push{
			Kind: "tag", Names: []string{"crowd"}, TTL: 2 * time.Second,
			Key: fmt.Sprintf("key-%d", n), Nonce: fmt.Sprintf("n%d-%d", w.seed, n), Spread: n % 2,
		})
		w.pause(100 * time.Millisecond)
	}
}
