// Package faults_test holds Herald to docs/guarantees.md while everything goes
// wrong around it.
//
// A run drives the real binary on real files: app servers publish over HTTP,
// devices of two apps connect over WebSocket, SSE, HTTP streaming, polling and
// raw TCP, cut, stall, acknowledge late or twice or by cursor, and come back
// over another transport. What each of them did and saw goes to a journal
// outside the data folder. Meanwhile the server is killed, its power is cut,
// its disk fills up or fails. In the end every device stays connected until
// nothing moves any more, the server is asked what became of each message on
// each device, and each invariant is checked, in a function of its own, from
// the journal and those answers.
//
// That the checker sees what it should is proven by planted defects: a binary
// with the build tag "planted" does one thing wrong, and the check of the
// invariant concerned has to say so. In the same way the power cut is shown to
// lose what was never synced, with synchronous=OFF.
//
// Environment:
//
//	FAULTS_SOAK=10m       the long form of TestSoak, with figures at the end
//	FAULTS_DEVICES=1000000 so many in TestKillInAPushToMany
//	FAULTS_SEED=7   the seed of every random choice; printed on failure
//	FAULTS_KEEP=dir keep journals there, and data folders in which something waits for ever
package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for something that has to happen.
const patience = 90 * time.Second

// builds are the binaries under test, made when the first test wants them.
var builds struct {
	dir            string
	plain, planted func() (string, error)
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "herald-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	builds.dir = dir
	builds.plain = sync.OnceValues(func() (string, error) { return build("herald", "") })
	builds.planted = sync.OnceValues(func() (string, error) { return build("herald-planted", "faults,planted") })
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	return code
}

func build(name, tags string) (string, error) {
	path := filepath.Join(builds.dir, name)
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "github.com/herald-push/herald/cmd/herald")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the binary does not build: %w\n%s", err, out)
	}
	return path, nil
}

// plain is the binary as it is released.
func plain(t *testing.T) string { return built(t, builds.plain) }

// planted is the binary with fault points and planted defects.
func planted(t *testing.T) string { return built(t, builds.planted) }

func built(t *testing.T, once func() (string, error)) string {
	t.Helper()
	path, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// seed gives the seed of a test's random choices.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("FAULTS_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FAULTS_SEED: %v", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to try again: FAULTS_SEED=%d go test -run '^%s$' ./test/faults", n, t.Name())
		}
	})
	return n
}

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
