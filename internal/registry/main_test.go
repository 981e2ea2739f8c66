package registry_test

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverKey is the key of the servers in these tests.
var serverKey = []byte("0123456789abcdef0123456789abcdef")

// world is a registry on a real record, with a clock that stands still.
type world struct {
	*registry.Registry
	t   testing.TB
	dir string
	db  *sqlite.DB
	// wrap, if set, stands between registry and record from the next start on.
	wrap func(registry.Store) registry.Store

	mu  sync.Mutex // guards clock
	now time.Time
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	w.start(serverKey)
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) path() string { return filepath.Join(w.dir, "herald.db") }

func (w *world) start(key []byte) {
	w.t.Helper()
	var reg *registry.Registry
	db, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path(), Now: w.clock,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) { reg.OnSets(app, e) }})
	must(w.t, err)
	w.db = db
	var store registry.Store = db
	if w.wrap != nil {
		store = w.wrap(db)
	}
	reg = registry.New(registry.Config{Store: store, ServerKey: key, Now: w.clock, Sealer: places{}})
	w.Registry = reg
	must(w.t, reg.Load(w.t.Context()))
}

func (w *world) stop() {
	w.t.Helper()
	if w.db != nil {
		must(w.t, w.db.Close())
		w.db = nil
	}
}

func (w *world) restart(key []byte) {
	w.t.Helper()
	w.stop()
	w.start(key)
}

// sql changes the database behind the back of a world that has stopped.
func (w *world) sql(q string, args ...any) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.path())
	must(w.t, err)
	_, err = db.ExecContext(w.t.Context(), q, args...)
	must(w.t, err)
	must(w.t, db.Close())
}

func (w *world) newApp() (herald.AppKey, string) {
	w.t.Helper()
	row, secret, err := w.CreateApp(w.t.Context(), "test")
	must(w.t, err)
	return row.Key, secret
}

func (w *world) app(key herald.AppKey) *registry.App {
	w.t.Helper()
	app, err := w.App(key)
	must(w.t, err)
	return app
}

func (w *world) register(q registry.RegisterRequest) (record.Device, string) {
	w.t.Helper()
	d, token, _, err := w.Register(w.t.Context(), q)
	must(w.t, err)
	return d, token
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, want herald.Code) {
	t.Helper()
	if got := herald.CodeOf(err); got != want {
		t.Fatalf("got %v (code %q), want code %q", err, got, want)
	}
}

func ptr[T any](v T) *T { return &v }

const installation = "an-installation-of-a-device"

// places seals nothing, and opens only at the place that it was sealed for.
type places struct{}

func (places) Seal(place string, secret []byte) []byte {
	return append([]byte(place+"\n"), secret...)
}

func (places) Open(place string, sealed []byte) ([]byte, error) {
	if secret, ok := bytes.CutPrefix(sealed, []byte(place+"\n")); ok {
		return secret, nil
	}
	return nil, errors.New("sealed for another place")
}
