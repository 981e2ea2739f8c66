//go:build unix

package systemd

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// manager is a notify socket of its own, as systemd has one.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// socket is a path that is short enough for the address of a socket.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotify(t *testing.T) {
	names := map[string]string{"by path": socket(t)}
	if runtime.GOOS == "linux" {
		names["abstract"] = "@herald-test-" + filepath.Base(t.TempDir()) + filepath.Base(filepath.Dir(names["by path"]))
	}
	for way, name := range names {
		t.Run(way, func(t *testing.T) {
			c := manager(t, name)
			n, err := Open([]string{"A=B", "NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=30000000", "WATCHDOG_PID=7"}, 7)
			if err != nil {
				t.Fatal(err)
			}
			if !n.Present() || n.Watchdog() != 30*time.Second {
				t.Errorf("present %v, watchdog %s", n.Present(), n.Watchdog())
			}
			for want, states := range map[string][]State{
				"READY=1\nSTATUS=listening on x":           {Ready, Status("listening on x")},
				"STATUS=a READY=1":                         {Status("a\nREADY=1")},
				"STOPPING=1\nEXTEND_TIMEOUT_USEC=45000000": {Stopping, Extend(45 * time.Second)},
				"WATCHDOG=1":                               {Alive},
			} {
				if err := n.Send(states...); err != nil {
					t.Fatal(err)
				}
				if got := next(t, c); got != want {
					t.Errorf("the manager hears %q, want %q", got, want)
				}
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			if err := n.Send(Alive); err == nil || !strings.HasPrefix(err.Error(), "systemd: ") {
				t.Errorf("after Close: %v", err)
			}
			if err := n.Close(); err != nil {
				t.Errorf("a second Close: %v", err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	there := socket(t)
	manager(t, there)
	tests := []struct {
		name     string
		environ  []string
		present  bool
		watchdog time.Duration
		wrong    string
	}{
		{"no manager", []string{"WATCHDOG_USEC=1"}, false, 0, ""},
		{"no watchdog", []string{"NOTIFY_SOCKET=" + there}, true, 0, ""},
		{"a watchdog for whoever is asked", []string{"NOTIFY_SOCKET=" + there, "WATCHDOG_USEC=1500"}, true, 1500 * time.Microsecond, ""},
		{"a watchdog of the parent", []string{"NOTIFY_SOCKET=" + there, "WATCHDOG_USEC=1500", "WATCHDOG_PID=8"}, true, 0, ""},
		{"not a number", []string{"NOTIFY_SOCKET=" + there, "WATCHDOG_USEC=soon"}, false, 0, "no number of microseconds"},
		{"never", []string{"NOTIFY_SOCKET=" + there, "WATCHDOG_USEC=0"}, false, 0, "no number of microseconds"},
		{"far too long", []string{"NOTIFY_SOCKET=" + there, "WATCHDOG_USEC=9223372036854775807"}, false, 0, "no number of microseconds"},
		{"nobody there", []string{"NOTIFY_SOCKET=" + there + "x"}, false, 0, "the notify socket"},
		{"another kind of socket", []string{"NOTIFY_SOCKET=vsock:2:1"}, false, 0, "neither a path nor"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Open(tt.environ, 7)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if n.Present() != tt.present || n.Watchdog() != tt.watchdog {
				t.Errorf("present %v, watchdog %s", n.Present(), n.Watchdog())
			}
			if err := n.Send(Ready); err != nil {
				t.Error(err)
			}
		})
	}
}
