package faults_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// crowd is Apple with many devices, of which it counts how often each is pushed to.
type crowd struct {
	all   atomic.Int64
	calls []atomic.Uint32
}

func crowdToken(i int) string { return fmt.Sprintf("%064x", i+1) }

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	i, err := strconv.ParseUint(r.URL.Path[len(r.URL.Path)-16:], 16, 63)
	if err != nil || i == 0 || i > uint64(len(c.calls)) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.calls[i-1].Add(1)
	c.all.Add(1)
	w.Header().Set("Apns-Id", "5c0b2f4e-0000-8000-8000-"+r.URL.Path[len(r.URL.Path)-12:])
}

// manyDevices is how many the push goes to: few in a run of the tests, a million
// with FAULTS_DEVICES.
func manyDevices(t *testing.T) int {
	t.Helper()
	s := os.Getenv("FAULTS_DEVICES")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1000 {
		t.Fatalf("FAULTS_DEVICES is a number from 1000, not %q", s)
	}
	return n
}

// TestKillInAPushToMany kills the server when half of a push to vendor devices is
// out. The other half follows, and of what was done nothing is sent again but the
// batches that were under way. Memory is no matter of how many they are.
func TestKillInAPushToMany(t *testing.T) {
	t.Parallel()
	devices := manyDevices(t)
	apple := &crowd{calls: make([]atomic.Uint32, devices)}
	s := httptest.NewServer(apple)
	t.Cleanup(s.Close)
	_, key := appleKey(t)
	n := newNode(t, planted(t), "HERALD_EGRESS__ALLOW=loopback", "HERALD_EGRESS__PORTS=any", "HERALD_EGRESS__HTTP=true")
	n.mustStart()
	c := &clientele{t: t, n: n, app: n.createApp("app"), client: &http.Client{Timeout: patience}, devices: devices}
	t.Cleanup(c.client.CloseIdleConnections)
	c.call(http.MethodPost, "/v1/credentials", appleCredential(key, s.URL), nil)
	if code := n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	c.client.CloseIdleConnections()
	c.enroll()

	n.mustStart()
	before := residentBytes(t, n.cmd.Process.Pid)
	if before == 0 && runtime.GOOS == "linux" {
		t.Error("the system does not say how much memory the server has")
	}
	begin := time.Now()
	var sent struct{ ID herald.MessageID }
	c.call(http.MethodPost, "/v1/messages", map[string]any{
		"audience": "all", "notification": map[string]string{"title": "Hello"}, "route": map[string]any{"steps": []map[string]string{{"channel": "vendor"}}},
	}, &sent)
	highest := c.progress("half of it is out", func() (int64, bool) {
		out := apple.all.Load()
		return out, out >= int64(devices)/2
	})
	n.kill()
	c.client.CloseIdleConnections()
	out := apple.all.Load()

	n.env = append(n.env, "FAULTS_CLOCK=3m") // later than what was under way is leased
	n.mustStart()
	var r client.AttemptReport
	highest = max(highest, c.progress("everybody has come to an outcome", func() (int64, bool) {
		var by map[herald.Vendor]int64
		r, by = c.outcomes(sent.ID)
		return by[herald.VendorAPNs], by[herald.VendorAPNs] >= int64(devices)
	}))
	took := time.Since(begin)
	if len(r.Outcomes) != 1 || r.Outcomes[0].Outcome != "accepted" || r.Outcomes[0].Count != int64(devices) {
		t.Errorf("outcomes %+v", r.Outcomes)
	}
	missed, again := 0, 0
	for i := range apple.calls {
		switch n := apple.calls[i].Load(); {
		case n == 0:
			missed++
		case n > 1:
			again += int(n) - 1
		}
	}
	// Each slab is an errand, with one batch under way.
	slabs := (devices + sets.SlabSize - 1) / sets.SlabSize
	if most := (slabs + 1) * vendorBatch; missed > 0 || again > most {
		t.Errorf("%d devices were missed, %d pushes were made again, at most %d", missed, again, most)
	}
	// What a device costs the registry is there before; what a push adds is no
	// matter of how many it goes to.
	if grown := highest - before; grown > 160<<20 {
		t.Errorf("memory grew from %d MB by %d MB", before>>20, grown>>20)
	}
	t.Logf("%d devices in %.1f s, killed after %d; %d pushes made again; memory %d MB, at most %d MB", devices, took.Seconds(), out, again, before>>20, highest>>20)
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// enroll writes the devices into the record while the server does not run.
func (c *clientele) enroll() {
	t := c.t
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(c.n.data, "herald.db")})
	if err != nil {
		t.Fatal(err)
	}
	var busy sync.WaitGroup
	var next atomic.Int64
	now := time.Now().UTC()
	for range 256 {
		busy.Go(func() {
			for i := int(next.Add(1) - 1); i < c.devices && !t.Failed(); i = int(next.Add(1) - 1) {
				if _, _, err := db.Register(t.Context(), record.Registration{Device: record.Device{
					App: herald.AppKey(c.app.Key), ID: herald.RegistrationID(fmt.Sprintf("%020d", i)), Platform: herald.PlatformIOS, Created: now, Seen: now,
				}, Addresses: []record.Address{{Kind: "apns", Environment: "production", Token: crowdToken(i)}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	if err := db.Close(); err != nil || t.Failed() {
		t.Fatal(err)
	}
}

// progress waits until something is done that goes on all the time, and gives the
// most memory that the server had meanwhile.
func (c *clientele) progress(what string, done func() (int64, bool)) (highest int64) {
	t := c.t
	t.Helper()
	last := int64(-1)
	for deadline := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
		n, enough := done()
		highest = max(highest, residentBytes(t, c.n.cmd.Process.Pid))
		if enough {
			return highest
		}
		if n > last {
			last, deadline = n, time.Now().Add(patience)
		} else if time.Now().After(deadline) || t.Failed() {
			t.Fatalf("nothing moves for %s at %d: %s", patience, n, what)
		}
	}
}

// residentBytes is the memory of a process that is its own; 0 where the system
// does not say.
func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
