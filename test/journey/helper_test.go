package journey_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const interop = "../interop"

// helper is a running script of test/interop. One of each is shared by all
// tests, because a browser takes its time to start.
type helper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}

	mu      sync.Mutex
	tapes   map[string]*tape
	calls   int
	answers map[int]chan event
}

var helpers = struct {
	sync.Mutex
	running map[string]*helper
}{running: map[string]*helper{}}

// need skips the test if the machine lacks a program, and gives its path.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("unavailable: %s, the command was not found", names[0])
	return ""
}

func needChromium(t *testing.T) string {
	t.Helper()
	return need(t, "chromium", "chromium-browser", "google-chrome")
}

// script prepares to run a script of test/interop.
func script(t *testing.T, chromium bool, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(need(t, "node"), append([]string{name}, args...)...)
	cmd.Dir = interop
	cmd.Env = os.Environ()
	if chromium {
		cmd.Env = append(cmd.Env, "CHROMIUM="+needChromium(t))
	}
	if _, err := os.Stat(filepath.Join(interop, "node_modules", "playwright-core")); err != nil {
		t.Skip("unavailable: npm packages, test/interop/node_modules is missing (npm ci was not run)")
	}
	return cmd
}

// useHelper starts a script unless it runs already.
func useHelper(t *testing.T, name string) *helper {
	t.Helper()
	helpers.Lock()
	defer helpers.Unlock()
	if h := helpers.running[name]; h != nil {
		return h
	}
	h := &helper{
		cmd: script(t, name == "browser.mjs", name), ended: make(chan struct{}),
		tapes: map[string]*tape{}, answers: map[int]chan event{},
	}
	h.cmd.Stderr = os.Stderr
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := h.tape("")
	go h.read(stdout)
	helpers.running[name] = h
	ready.await(t, name, 0, func(e event) bool { return e.Event == "ready" })
	return h
}

func stopHelpers() {
	helpers.Lock()
	defer helpers.Unlock()
	for _, h := range helpers.running {
		_ = h.stdin.Close() // they end with their input
		select {
		case <-h.ended:
		case <-time.After(patience):
			_ = h.cmd.Process.Kill() // it may have ended just now
		}
		_ = h.cmd.Wait() // its exit code says nothing
	}
}

func (h *helper) read(stdout io.Reader) {
	defer close(h.ended)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Event: "failure", Detail: "not JSON: " + lines.Text()}
		}
		if e.Event != "answer" {
			h.tape(e.Client).add(e)
			continue
		}
		h.mu.Lock()
		answer := h.answers[e.Call]
		delete(h.answers, e.Call)
		h.mu.Unlock()
		if answer != nil {
			answer <- e
		}
	}
}

// tape gives the tape of one of the script's clients.
func (h *helper) tape(client string) *tape {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tapes[client] == nil {
		h.tapes[client] = newTape()
	}
	return h.tapes[client]
}

// ask gives a command and waits for its answer.
func (h *helper) ask(t *testing.T, command object) json.RawMessage {
	t.Helper()
	answer := make(chan event, 1)
	h.mu.Lock()
	h.calls++
	command["call"] = h.calls
	h.answers[h.calls] = answer
	line, err := json.Marshal(command)
	if err == nil {
		_, err = h.stdin.Write(append(line, '\n'))
	}
	h.mu.Unlock()
	if err != nil {
		t.Fatalf("%s: %v", command["cmd"], err)
	}
	select {
	case e := <-answer:
		if e.Error != "" {
			t.Fatalf("%s %s: %s", command["cmd"], line, e.Error)
		}
		return e.Value
	case <-h.ended:
		t.Fatalf("%s: the script has ended", command["cmd"])
	case <-time.After(2 * patience):
		t.Fatalf("%s: no answer", command["cmd"])
	}
	return nil
}
