//go:build unix

package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/systemd"
)

// answering is a server that can be asked whether it lives.
type answering struct {
	fakeNode
	answers func(ctx context.Context) error
}

func (n *answering) Answers(ctx context.Context) error { return n.answers(ctx) }

func TestServiceManagerIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "s")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	hears := func(want ...string) {
		t.Helper()
		_ = manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 4096)
		n, err := manager.Read(b)
		for err == nil && string(b[:n]) == "WATCHDOG=1" && want[0] != "WATCHDOG=1" {
			n, err = manager.Read(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(b[:n]), "\n")
		if strings.Join(lines, "|") != strings.Join(want, "|") {
			t.Errorf("the manager hears %q, want %q", lines, want)
		}
	}

	w := newWorld(t)
	w.Environ = append(w.Environ, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=20000")
	asked := make(chan struct{}, 1)
	w.Open = func(context.Context, config.Config, *slog.Logger) (Node, error) {
		return &answering{fakeNode{url: "http://127.0.0.1:7700"}, func(context.Context) error {
			select {
			case asked <- struct{}{}:
			default:
			}
			return errors.New("refused, and so awake")
		}}, nil
	}
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- Main(ctx, []string{"serve", "--set", "server.drain_time=5s"}, w.World) }()
	hears("READY=1", "STATUS=listening on http://127.0.0.1:7700")
	for range 3 {
		hears("WATCHDOG=1")
	}
	<-asked
	stop()
	hears("STOPPING=1", "STATUS=draining", "EXTEND_TIMEOUT_USEC=20000000")
	if c := <-code; c != 0 {
		t.Errorf("exit %d: %s", c, w.err)
	}

	// A manager that cannot be reached would stop the service after its
	// time-out; the reason is said at once.
	n := &fakeNode{url: "http://127.0.0.1:7700"}
	w.Open = func(context.Context, config.Config, *slog.Logger) (Node, error) { return n, nil }
	w.Environ = []string{"HERALD_DATA=" + w.folder, "NOTIFY_SOCKET=" + name + "x"}
	if c := w.run(t, "serve"); c != ExitFailure || !n.closed || !strings.Contains(w.err.String(), "systemd: the notify socket") {
		t.Errorf("exit %d, closed %v: %s", c, n.closed, w.err)
	}
}

// Whoever is stuck is not said to be alive.
func TestStuckServerFeedsNoWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		refuses := func(context.Context) error { return errors.New("too many connections") }
		for name, tt := range map[string]struct {
			node Node
			want bool
		}{
			"stuck":           {&answering{answers: stuck}, false},
			"refuses":         {&answering{answers: refuses}, true},
			"cannot be asked": {&fakeNode{}, true},
		} {
			m := &manager{Notifier: &systemd.Notifier{}, node: tt.node}
			began := time.Now()
			if got := m.answers(t.Context(), 15*time.Second); got != tt.want {
				t.Errorf("%s: alive is %v", name, got)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("%s: it was waited for %s", name, took)
			}
		}
	})
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	var asked string
	w.Health = func(ctx context.Context, folder string) error {
		asked = folder
		if _, limited := ctx.Deadline(); !limited {
			t.Error("it waits for ever")
		}
		return nil
	}
	if code := w.run(t, "health"); code != 0 || w.out.String() != "ready\n" || asked != w.folder {
		t.Errorf("exit %d, asked %s: %s%s", code, asked, w.out, w.err)
	}
	file := filepath.Join(t.TempDir(), "herald.yaml")
	if err := os.WriteFile(file, []byte("data: /srv/elsewhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Environ = nil
	if code := w.run(t, "health", "--config", file); code != 0 || asked != "/srv/elsewhere" {
		t.Errorf("exit %d, asked %s: %s", code, asked, w.err)
	}
	if code := w.run(t, "health", "--config", file+"x"); code != ExitConfiguration {
		t.Errorf("without the file: exit %d: %s", code, w.err)
	}
	w.Health = func(context.Context, string) error {
		return herald.Errorf(herald.CodeStorageUnavailable, "Look at its log.", "the server is draining")
	}
	if code := w.run(t, "health"); code != ExitNotReachable || !strings.Contains(w.err.String(), "the server is draining\n  Look") {
		t.Errorf("exit %d: %s", code, w.err)
	}
}
