package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/server"
)

// TestBackup backs up and restores a real data folder.
func TestBackup(t *testing.T) {
	w := newWorld(t)
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops, cfg.Server.TCP = w.folder, "127.0.0.1:0", "127.0.0.1:0", ""
	s, err := server.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, other := filepath.Join(dir, "b.tar"), filepath.Join(dir, "other")
	expect := func(code int, out, note string, args ...string) {
		t.Helper()
		w.out.b, w.err.b = bytes.Buffer{}, bytes.Buffer{}
		if got := w.run(t, args...); got != code || !strings.Contains(w.out.String(), out) || !strings.Contains(w.err.String(), note) {
			t.Errorf("%q: exit %d, want %d\n%s%s", args, got, code, w.out, w.err)
		}
	}
	expect(ExitOK, "It holds the server key", "", "backup", file)
	expect(ExitRefused, "", "is there already", "backup", file)
	expect(ExitRefused, "", "a herald runs", "restore", file)
	expect(ExitRefused, "", "a herald runs", "migrate-store", "--from", w.folder, "--to", "postgres://127.0.0.1:1/x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expect(ExitOK, "0 apps, 0 rows", "reading", "backup", "verify", file)
	expect(ExitOK, `"schema":`, "", "backup", "verify", file, "--json")
	if !json.Valid([]byte(w.out.String())) {
		t.Errorf("not JSON: %s", w.out)
	}
	expect(ExitOK, "without the server key", "", "backup", filepath.Join(dir, "bare.tar"), "--no-keys")
	expect(ExitOK, `"keys":true`, "", "backup", filepath.Join(dir, "json.tar"), "--json")
	expect(ExitRefused, "", "has a database already", "restore", file)
	expect(ExitOK, "0 apps are as they were", "", "restore", file, "--data", other)
	expect(ExitOK, `"schema"`, "", "restore", file, "--data", filepath.Join(dir, "third"), "--json")
	if err := os.WriteFile(file, []byte("no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(ExitFailure, "", "the backup is damaged", "backup", "verify", file)
	expect(ExitFailure, "", "no such file", "restore", filepath.Join(dir, "none"), "--data", filepath.Join(dir, "fourth"))

	expect(ExitUsage, "", "", "backup")
	expect(ExitUsage, "", "", "backup", "verify")
	expect(ExitUsage, "", "", "restore")
	expect(ExitUsage, "", "--from is missing", "migrate-store")
	expect(ExitUsage, "", "--to is missing", "migrate-store", "--from", w.folder)
	expect(ExitUsage, "", "do not go together", "migrate-store", "--from", w.folder, "--to", "x", "--reopen")
	expect(ExitUsage, "", "sqlite:FOLDER", "migrate-store", "--from", w.folder, "--to", "x")
	expect(ExitUsage, "", "sqlite:FOLDER", "migrate-store", "--from", "x", "--reopen")
	expect(ExitNotReachable, "", "cannot be used", "migrate-store", "--from", w.folder, "--to", "postgres://127.0.0.1:1/x")
	expect(ExitOK, "can be started", "", "migrate-store", "--from", w.folder, "--reopen")
	expect(ExitConfiguration, "", "", "backup", file, "--set", "node=5000")
	expect(ExitConfiguration, "", "", "restore", file, "--set", "node=5000")
	expect(ExitRefused, "", "no database", "backup", file+"2", "--data", filepath.Join(dir, "none"))
}
