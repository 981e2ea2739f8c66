package servers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x", "server")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := program("server", filepath.Join(dir, "*")); err != nil || got != path {
		t.Errorf("%s, %v", got, err)
	}
	var u *Unavailable
	if _, err := program("no-such-server-of-a-database"); !errors.As(err, &u) {
		t.Errorf("what there is not: %v", err)
	}
	if _, err := newOwner("no such user"); os.Geteuid() == 0 && !errors.As(err, &u) {
		t.Errorf("a user that there is not: %v", err)
	}
}

func TestReachable(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if reachable(inner) {
		t.Error("a folder in a private one can be reached")
	}
	if !reachable("/") {
		t.Error("the root cannot be reached")
	}
}

// TestServers: each kind starts, ends, starts again on what it had, and leaves
// nothing behind.
func TestServers(t *testing.T) {
	for name, start := range map[string]func() (*Server, error){"PostgreSQL": Postgres, "MariaDB": MariaDB} {
		t.Run(name, func(t *testing.T) {
			s := Need(t, start)
			for _, end := range []func() error{s.Stop, s.Kill} {
				if err := errors.Join(end(), s.Start()); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Remove(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(s.Folder); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder is still there: %v", err)
			}
		})
	}
}
