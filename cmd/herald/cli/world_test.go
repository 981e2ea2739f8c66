package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = herald.AppKey("abcdefghijklmnopqrstuvwx")
	testSecret = "ABCDEFGHIJKLMNOPQRSTUVWX"
)

// safe is a buffer that several goroutines may write to.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// world is a World whose parts a test can set and look at.
type world struct {
	World
	folder   string
	out, err *safe
}

func newWorld(t *testing.T) *world {
	w := &world{folder: filepath.Join(t.TempDir(), "data"), out: &safe{}, err: &safe{}}
	w.World = World{Out: w.out, Err: w.err, Environ: []string{"HERALD_DATA=" + w.folder}, Self: "herald", OS: "linux",
		Now: func() time.Time { return time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC) },
		LAN: func() (string, error) { return "192.168.1.5", nil },
		Open: func(context.Context, config.Config, *slog.Logger) (Node, error) {
			t.Error("the test opens no server")
			return nil, errors.New("no server")
		},
		Administer: func(context.Context, config.Config) (api.Admin, func() error, error) {
			t.Error("the test administers nothing")
			return nil, nil, errors.New("no admin")
		},
		Ready: func(context.Context, string) error { return nil },
	}
	return w
}

// run runs a command and gives its exit code.
func (w *world) run(t *testing.T, args ...string) int {
	t.Helper()
	return Main(t.Context(), args, w.World)
}

// server starts a fake of /v1 and stores a context for it.
func (w *world) server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	x := cliContext{URL: s.URL, AppKey: testKey, MasterSecret: testSecret}
	if err := x.write(w.folder); err != nil {
		t.Fatal(err)
	}
	return s
}

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); d != "" {
		t.Errorf("%s (-) differs; go test -update writes it:\n%s", path, d)
	}
}

// fakeNode is a server that serves nothing.
type fakeNode struct {
	url    string
	fresh  bool
	admin  fakeAdmin
	runErr error
	closed bool
}

func (n *fakeNode) Run(ctx context.Context) error {
	if n.runErr != nil {
		return n.runErr
	}
	<-ctx.Done()
	return nil
}
func (n *fakeNode) Close() error     { n.closed = true; return nil }
func (n *fakeNode) URL() string      { return n.url }
func (n *fakeNode) Fresh() bool      { return n.fresh }
func (n *fakeNode) Admin() api.Admin { return &n.admin }

// fakeAdmin keeps apps in memory.
type fakeAdmin struct {
	apps []api.AppSummary
	made []api.NewApp
	kept time.Duration // of the last rotation
	err  error
	fakeGroups
}

func (a *fakeAdmin) CreateApp(_ context.Context, app api.NewApp) (api.AppSecrets, error) {
	if a.err != nil {
		return api.AppSecrets{}, a.err
	}
	a.made = append(a.made, app)
	a.apps = append(a.apps, api.AppSummary{AppKey: testKey, Name: app.Name, CreatedAt: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Devices: 2})
	return api.AppSecrets{AppKey: testKey, Name: app.Name, MasterSecret: testSecret, JWTSecret: "jwt-secret"}, nil
}

func (a *fakeAdmin) ListApps(context.Context) ([]api.AppSummary, error) { return a.apps, a.err }

func (a *fakeAdmin) RotateApp(_ context.Context, key herald.AppKey, keep time.Duration) (api.AppSecrets, error) {
	for _, app := range a.apps {
		if app.AppKey == key {
			a.kept = keep
			return api.AppSecrets{AppKey: key, Name: app.Name, MasterSecret: "NEWNEWNEWNEWNEWNEWNEWNEW"}, nil
		}
	}
	return api.AppSecrets{}, herald.Errorf(herald.CodeNotFound, "See the list.", "no such app")
}

func (a *fakeAdmin) PageToken(_ context.Context, key herald.AppKey, installation string) (string, error) {
	return "hp1." + string(key) + "." + installation, a.err
}
