package audience_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an evaluator over a registry on a real record. Time stands still
// but where a test moves it.
type world struct {
	*audience.Evaluator
	t      testing.TB
	reg    *registry.Registry
	key    herald.AppKey
	online *sets.Set
	topics map[herald.Topic]*sets.Set
	// looked, if set, is called after each look-up of aliases.
	looked func()

	mu  sync.Mutex // guards now
	now time.Time
}

// lookUps is a record that tells when aliases were looked up.
type lookUps struct {
	registry.Store
	w *world
}

func (l lookUps) OrdinalsByAlias(ctx context.Context, app herald.AppKey, a []herald.Alias) (map[herald.Alias][]herald.Ordinal, error) {
	m, err := l.Store.OrdinalsByAlias(ctx, app, a)
	if l.w.looked != nil {
		l.w.looked()
	}
	return m, err
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), online: sets.New()}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "herald.db"), Now: w.clock,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) { w.reg.OnSets(app, e) }})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	w.reg = registry.New(registry.Config{Store: lookUps{db, w}, ServerKey: make([]byte, 32), Now: w.clock})
	must(t, w.reg.Load(t.Context()))
	row, _, err := w.reg.CreateApp(t.Context(), "test")
	must(t, err)
	w.key = row.Key
	w.Evaluator = audience.New(audience.Config{
		Registry: w.reg, Now: w.clock, Online: func(herald.AppKey) *sets.Set { return w.online },
		Subscribers: func(app herald.AppKey, t herald.Topic) *sets.Set {
			if s := w.topics[t]; app == w.key && s != nil {
				return s
			}
			return sets.New()
		},
	})
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

func (w *world) register(q registry.RegisterRequest) record.Device {
	w.t.Helper()
	q.App = w.key
	d, _, _, err := w.reg.Register(context.Background(), q)
	must(w.t, err)
	return d
}

func (w *world) remove(d record.Device) {
	w.t.Helper()
	_, err := w.reg.Remove(context.Background(), w.key, d.ID)
	must(w.t, err)
}

func (w *world) evaluate(a herald.Audience) audience.Target {
	w.t.Helper()
	must(w.t, a.Validate())
	target, err := w.Evaluate(context.Background(), w.key, a)
	must(w.t, err)
	return target
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }
