//go:build unix

package readme

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fakeHerald is a shell script in place of the binary: it prints what herald
// dev prints, with the address of a server of this test.
const fakeHerald = `#!/bin/sh
case "$1" in
dev) printf 'Address: %s\nApp key: %s\nMaster secret: %s\n' "$FAKE_URL" abcdefghijklmnopqrstuvwx ABCDEFGHIJKLMNOPQRSTUVWX
	exec sleep 1000 ;;
config) grep -q '^good:' "$4" || { echo "unknown key"; exit 3; } ;;
*) exit 2 ;;
esac
`

func newFake(t *testing.T) *Runner {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, secret, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/readyz":
		case r.URL.Path == "/v1/messages" && key == "abcdefghijklmnopqrstuvwx" && secret == "ABCDEFGHIJKLMNOPQRSTUVWX":
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"id":"1"}`))
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("FAKE_URL", server.URL)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "herald"), []byte(fakeHerald), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	r := NewRunner(root, t.TempDir(), bin)
	t.Cleanup(r.Stop)
	return r
}

const startFake = "<!-- run: dev background -->\n'''sh\ngo run ./cmd/herald dev\n'''\n"

func TestRunner(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"a command that works", "<!-- run: a -->\n'''sh\necho one >file\n'''\n<!-- run: b -->\n'''sh\ncat file\n'''\n<!-- output: b -->\n'''text\none\n'''\n", ""},
		{"a command that fails", "<!-- run: a -->\n'''sh\necho why; false; echo not here\n'''\n", "exit status 1\nwhy\n"},
		{"a pipe that fails", "<!-- run: a -->\n'''bash\nfalse | cat\n'''\n", "exit status 1"},
		{"another output", "<!-- run: a -->\n'''console\n$ echo one\ntwo\n'''\n", "did not print, or not in this order: two"},
		{"a session", "<!-- run: a -->\n'''console\n$ echo one\none\n'''\n", ""},
		{"in the background", "<!-- run: a background until=up -->\n'''sh\necho up; sleep 1000\n'''\n<!-- output: a -->\n'''text\nup\n'''\n", ""},
		{"a background that ends", "<!-- run: a background until=up -->\n'''sh\necho down\n'''\n", "ended and was to go on: exit status 0\ndown"},
		{"herald dev", startFake + "<!-- run: a -->\n'''sh\n" +
			"echo $APP_KEY ${APP_KEY} APP_KEY:MASTER_SECRET; [ http://127.0.0.1:7700 = $FAKE_URL ]\n'''\n" +
			"<!-- output: a -->\n'''text\nabcdefghijklmnopqrstuvwx abcdefghijklmnopqrstuvwx abcdefghijklmnopqrstuvwx:ABCDEFGHIJKLMNOPQRSTUVWX\n'''\n", ""},
		{"a message", startFake + "<!-- run: a -->\n'''json\n{\"audience\":\"all\"}\n'''\n<!-- output: a -->\n'''text\n{\"id\":\"...\"}\n'''\n", ""},
		{"a message that is no JSON", startFake + "<!-- run: a -->\n'''json\n{audience}\n'''\n", "not valid JSON"},
		{"a message and no server", "<!-- run: a -->\n'''json\n{}\n'''\n", "no block above has started a server"},
		{"a configuration", "<!-- run: a -->\n'''yaml\ngood: 1\n'''\n", ""},
		{"a bad configuration", "<!-- run: a -->\n'''yaml\nbad: 1\n'''\n", "exit status 3\nunknown key"},
		{"a clone", "<!-- run: a as=clone -->\n'''sh\ngit clone " + repository + " && cd herald\n'''\n", ""},
		{"a clone of another", "<!-- run: a as=clone -->\n'''sh\ngit clone https://example.com/x\n'''\n", "only clones"},
		{"a clone of nothing", "<!-- run: a as=clone -->\n'''sh\ncd herald\n'''\n", "has to clone"},
		{"make", "<!-- run: a as=make -->\n'''sh\nmake test # all of it\nmake fuzz FUZZTIME=1m\n'''\n", ""},
		{"make nothing", "<!-- run: a as=make -->\n'''sh\nmake\n'''\n", "lines of the form make TARGET"},
		{"make what is not there", "<!-- run: a as=make -->\n'''sh\nmake coffee\n'''\n", "no target coffee"},
		{"output of what prints nothing", "<!-- run: a as=make -->\n'''sh\nmake test\n'''\n<!-- output: a -->\n'''text\nx\n'''\n", "printed nothing"},
		{"an unknown kind", "<!-- run: a as=magic -->\n'''sh\nls\n'''\n", `no way to run "magic"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks, err := Parse(doc(tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			r := newFake(t)
			for _, b := range blocks {
				if err = r.Run(t.Context(), b); err != nil {
					break
				}
			}
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestRunnerStopEndsWhatTheShellStarted(t *testing.T) {
	r := newFake(t)
	blocks, err := Parse(doc("<!-- run: a background until=up -->\n'''sh\nsleep 1000 & echo $! >child; echo up; wait\n'''\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context(), blocks[0]); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	child, err := os.ReadFile(filepath.Join(r.Dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(child))
	if !until(t.Context(), stopTime, nil, func() bool { return !isAlive(t, pid) }) {
		t.Errorf("process %s, which the block started, is still there", pid)
	}
}

// isAlive reports a process that runs; one that is dead and only waits for
// init to take note (state Z) does not.
func isAlive(t *testing.T, pid string) bool {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return syscall.Kill(n, 0) == nil
}

func TestRunnerNodeAndGo(t *testing.T) {
	r := newFake(t)
	t.Run("go", func(t *testing.T) {
		blocks, err := Parse(doc("<!-- run: g -->\n'''go\npackage main\n\nimport \"" +
			"github.com/herald-push/herald\"\n\nfunc main() { println(herald.Audience{}.All) }\n'''\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context(), blocks[0]); err != nil {
			t.Error(err)
		}
	})
	t.Run("node", func(t *testing.T) {
		if _, err := exec.LookPath("node"); err != nil {
			t.Skip("unavailable: node, not installed")
		}
		blocks, err := Parse(doc("<!-- run: n -->\n'''js\nconsole.log('APP_KEY'.length)\n'''\n<!-- output: n -->\n'''text\n7\n'''\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if err := r.Run(t.Context(), b); err != nil {
				t.Error(err)
			}
		}
	})
}
