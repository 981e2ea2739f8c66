// Package journey_test walks the paths that matter to a user, through the real
// binary over real sockets: an app server pushes, and clients of six makers
// receive.
//
// Each test starts `herald dev` on a data folder of its own and on free ports
// of the loopback interface, reads its keys where a user would (the printed
// lines and the CLI context in the data folder), and drives
//
//   - Chromium: WebSocket and EventSource within a page, and the demo page;
//   - npm ws and npm eventsource, by the scripts in test/interop;
//   - curl, reading an event stream;
//   - the Go SDK in client/device.
//
// What is told to all of them: the same push arrives at once; who was away gets
// what was missed, in order and once; a killed server that starts again has
// lost nothing that it accepted; a withdrawn message is taken back, and never
// reaches who was away; a server that is told to stop says goodbye. Beside
// that: what the demo page shows, what axe finds in it, and what the HTTP port
// answers to bad input.
//
// Tests wait for events, with a deadline. A client that the machine lacks is
// reported as "unavailable: …" and left out of the others' company.
package journey_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for something that should happen at once.
// It is long, because a browser may have to start meanwhile on a machine that
// runs the tests of other packages; who passes waits no longer for that.
const patience = 90 * time.Second

// binary is the path of the herald under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "herald-journey-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "journey:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "herald")
	build := exec.Command("go", "build", "-o", binary, "github.com/herald-push/herald/cmd/herald")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "journey: the binary does not build:", err)
		return 1
	}
	code := m.Run()
	stopHelpers()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() // the SDK's
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "journey:", err)
		return 1
	}
	return code
}
