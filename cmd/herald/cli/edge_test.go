package cli

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/edge/certstest"
)

func TestConfigCheckReadsTheCertificate(t *testing.T) {
	w := newWorld(t)
	now := w.Now()
	pair := certstest.Make(t, now.AddDate(0, -2, 0), now.AddDate(0, -1, 0))
	cert, key := pair.Write(t, t.TempDir())
	args := []string{"config", "check", "--set", "server.https=127.0.0.1:0", "--set", "tls.cert=" + cert}
	if code := w.run(t, append(args, "--set", "tls.key="+key)...); code != 0 || !strings.Contains(w.out.String(), "warning: the certificate has expired") {
		t.Errorf("exit %d: %s%s", code, w.out, w.err)
	}
	_, other := certstest.Valid(t).Write(t, t.TempDir())
	if code := w.run(t, append(args, "--set", "tls.key="+other)...); code != ExitConfiguration || !strings.Contains(w.err.String(), "does not match the certificate") {
		t.Errorf("exit %d: %s", code, w.err)
	}
}

func TestTCPFlag(t *testing.T) {
	w := newWorld(t)
	got := make(chan config.Config, 1)
	w.Open = func(_ context.Context, c config.Config, _ *slog.Logger) (Node, error) {
		got <- c
		return nil, context.Canceled
	}
	for _, command := range []string{"serve", "dev"} {
		w.run(t, command, "--tcp", "127.0.0.1:9")
		if c := <-got; c.Server.TCP != "127.0.0.1:9" {
			t.Errorf("%s: got %q", command, c.Server.TCP)
		}
	}
}
