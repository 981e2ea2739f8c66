package journey_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a `herald dev` that runs, or ran.
type server struct {
	dir     string   // its working folder; the data folder is herald-data below it
	env     []string // beside the environment of the tests
	url     string
	link    string // of the demo page
	context struct {
		URL          string `json:"url"`
		AppKey       string `json:"app_key"`
		MasterSecret string `json:"master_secret"`
	}

	cmd    *exec.Cmd
	output *output
	exited chan struct{} // closed when the process is gone
}

// output collects what the process prints, and wakes who waits for more.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(b), nil
}

func (o *output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

// await waits until a text was printed.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	o.find(t, regexp.MustCompile(regexp.QuoteMeta(text)), nil)
}

// find waits until something was printed that matches, and gives it. It gives
// up when the process has ended.
func (o *output) find(t *testing.T, what *regexp.Regexp, exited <-chan struct{}) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, changed := o.now()
		if found := what.FindString(text); found != "" {
			return found
		}
		select {
		case <-changed:
		case <-exited:
			text, _ = o.now()
			t.Fatalf("the process ended before it printed %s:\n%s", what, text)
		case <-deadline:
			t.Fatalf("%s was not printed within %s:\n%s", what, patience, text)
		}
	}
}

var pageLink = regexp.MustCompile(`http://[^\s"']+/demo/#[^\s"']+`)

// startServer starts a server on an empty folder and free ports.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	s.start(t, ownAddress(), flags...)
	return s
}

// ownAddress has a port below those that the system gives out, so that nobody
// takes it while a server is away that comes back to it. If somebody has it,
// herald dev goes to the next.
func ownAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(31000+rand.IntN(1700)))
}

// start starts the server on an address, and returns when it is ready.
func (s *server) start(t *testing.T, address string, flags ...string) {
	t.Helper()
	began := time.Now()
	s.output = &output{changed: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"dev", "--data", filepath.Join(s.dir, "herald-data")}, flags...)...)
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), "HERALD_SERVER__HTTP="+address, "HERALD_SERVER__OPS=127.0.0.1:0", "HERALD_SERVER__TCP=127.0.0.1:0")
	s.cmd.Env = append(s.cmd.Env, s.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() {
		_ = cmd.Wait() // its exit code is read from cmd.ProcessState
		close(exited)
	}()
	t.Cleanup(func() { s.kill(t) })

	s.link = s.awaitLink(t)
	context, err := os.ReadFile(filepath.Join(s.dir, "herald-data", "context.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(context, &s.context); err != nil {
		t.Fatalf("context.json: %v", err)
	}
	s.url = strings.TrimRight(s.context.URL, "/")
	poll(t, "ready", func() (bool, string) {
		status, _ := s.readiness()
		return status == http.StatusOK, http.StatusText(status)
	})
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
}

func (s *server) awaitLink(t *testing.T) string {
	t.Helper()
	return s.output.find(t, pageLink, s.exited)
}

// address is where the server listens, to start another one there.
func (s *server) address(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// kill ends the process at once, as a crash would.
func (s *server) kill(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Kill() // it may be gone already
	s.awaitExit(t)
}

// terminate asks the process to stop.
func (s *server) terminate(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
}

func (s *server) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (s *server) awaitExit(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Error("the server is still there")
	}
	web.CloseIdleConnections()
}

// readiness asks /readyz; the status is 0 if nobody answers.
func (s *server) readiness() (int, error) {
	r, err := web.Get(s.url + "/readyz")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	return r.StatusCode, nil
}
