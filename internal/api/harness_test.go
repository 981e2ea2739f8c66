package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type seat struct {
	app herald.AppKey
	ord herald.Ordinal
}

// hub is who is connected: it takes what is handed over to those, and notes
// what the service tells sessions.
type hub struct {
	ledger *receipt.Ledger

	mu     sync.Mutex // guards what follows
	online map[seat]bool
	told   []string
	then   func() // called with what sessions are told, if it is not nil
	handed map[herald.MessageID]int
}

func (h *hub) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf(format, args...))
	if h.then != nil {
		h.then()
	}
}

// heard reports whether something was noted.
func (h *hub) heard(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.told, what)
}

func (h *hub) Online(app herald.AppKey) *sets.Set {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := sets.New()
	for s, on := range h.online {
		if s.app == app && on {
			out.Add(s.ord)
		}
	}
	return out
}

func (h *hub) Transports(app herald.AppKey, o herald.Ordinal) []string {
	if h.Online(app).Contains(o) {
		return []string{"websocket"}
	}
	return nil
}

func (h *hub) Offered(herald.AppKey, herald.Ordinal) herald.Pos { return 0 }

func (h *hub) Forget(ids ...herald.MessageID) {
	for _, id := range ids {
		h.note("forget %s", id)
	}
}

func (h *hub) Rebind(_ herald.AppKey, o herald.Ordinal, pos herald.Pos) { h.note("rebind %d", o) }

func (h *hub) Disconnect(_ herald.AppKey, o herald.Ordinal, why live.Reason) {
	h.note("disconnect %d %d", o, why.Code)
}

func (h *hub) Deliver(_ context.Context, d record.Handover) (*sets.Set, error) {
	took := sets.Intersect(d.Set, h.Online(d.App))
	// Settle looks at what was reported once it sees that this was handed over.
	defer func() {
		h.mu.Lock()
		h.handed[d.Msg.ID]++
		h.mu.Unlock()
	}()
	if d.Kind == record.ReleaseMessage && !took.Empty() {
		h.ledger.Report(d.App, record.Event{Msg: d.Msg.ID, State: herald.StateSent, Set: took, Time: d.At, Via: "websocket"})
	}
	return took, nil
}

// everything is an outlet without dispatch.Presence: it is offered what is for
// nobody here, too, so that tests see that a message had its turn.
type everything struct{ dispatch.Outlet }

// world is a service over real stages, with two apps.
type world struct {
	t        *testing.T
	s        *api.Service
	db       *sqlite.DB
	registry *registry.Registry
	ledger   *receipt.Ledger
	d        *dispatch.Dispatcher
	hub      *hub
	topics   *topicHub
	keeper   *retained.Keeper
	log      *topiclog.Log
	a, b     herald.AppKey
	masterA  api.Principal
	masterB  api.Principal

	mu  sync.Mutex // guards now
	now time.Time

	path string // of the database

	backlog    broken
	unfinished []herald.AppKey // as the service has said
}

// broken is a record in which what waits cannot be read while away is set.
type broken struct {
	*sqlite.DB
	away atomic.Bool
}

func (b *broken) fails() error {
	if b.away.Load() {
		return herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the database is away")
	}
	return nil
}

func (b *broken) EntryDevices(ctx context.Context, app herald.AppKey, first, last herald.Ordinal) (*sets.Set, error) {
	if err := b.fails(); err != nil {
		return nil, err
	}
	return b.DB.EntryDevices(ctx, app, first, last)
}

func (b *broken) EntryMessages(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.EntryMessage, error) {
	if err := b.fails(); err != nil {
		return nil, err
	}
	return b.DB.EntryMessages(ctx, app, ord, after, limit)
}

func (b *broken) AliasEntries(ctx context.Context, app herald.AppKey, ords *sets.Set, before herald.Pos, now time.Time) ([]record.AliasEntry, error) {
	if err := b.fails(); err != nil {
		return nil, err
	}
	return b.DB.AliasEntries(ctx, app, ords, before, now)
}

// noVendors is what an app has of vendors, as far as dispatch is concerned.
type noVendors struct{}

func (noVendors) Credentials(herald.AppKey) []record.Credential { return nil }

// newWorld is a world in which routes are planned by hand.
func newWorld(t *testing.T) *world {
	t.Helper()
	return worldWith(t, nil)
}

// routes has routes planned, if there is something to plan them with.
func (w *world) routes(have dispatch.Vendors) dispatch.RouteConfig {
	if have == nil {
		return dispatch.RouteConfig{}
	}
	return dispatch.RouteConfig{Store: w.db, Live: w.db, Addresses: w.db, Vendors: have}
}

func worldWith(t *testing.T, have dispatch.Vendors) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Millisecond)}
	clock := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	w.path = filepath.Join(t.TempDir(), "herald.db")
	var err error
	w.db, err = sqlite.Open(ctx, sqlite.Config{
		Path: w.path, Now: clock,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if w.registry != nil {
				w.registry.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if w.d != nil {
				w.d.OnRelease(app, pos)
			}
		},
	})
	w.must(err)
	w.registry = registry.New(registry.Config{Store: w.db, ServerKey: make([]byte, 32), Now: clock, Sealer: bare{}})
	w.ledger = receipt.New(receipt.Config{Store: w.db, Messages: w.db, Plans: w.db, DeadAt: w.registry.DeadAt, Now: clock})
	w.hub = &hub{ledger: w.ledger, online: map[seat]bool{}, handed: map[herald.MessageID]int{}}
	w.topics = &topicHub{subscribed: map[seatedTopic]*sets.Set{}}
	w.backlog.DB = w.db
	backlog := offline.New(offline.Config{Store: &w.backlog, Ledger: w.ledger, Registry: w.registry, Now: clock})
	evaluator := audience.New(audience.Config{Registry: w.registry, Online: w.hub.Online, Subscribers: w.topics.Subscribers, Now: clock})
	w.d, err = dispatch.New(ctx, dispatch.Config{
		Store: w.db, Ledger: w.ledger, Registry: w.registry, Outlets: []dispatch.Outlet{everything{w.hub}}, Evaluate: api.Evaluate(evaluator), Now: clock,
		Routes: w.routes(have),
		Make: func(ctx context.Context, s *record.Schedule, at time.Time) (dispatch.Request, error) {
			return w.s.Schedules.Make(ctx, s, at)
		},
	})
	w.must(err)
	w.s = api.New(api.Config{
		Registry: w.registry, Audience: evaluator, Dispatch: w.d, Ledger: w.ledger, Backlog: backlog, Presence: w.hub,
		Subscriptions: w.topics, Messages: w.db, Webhooks: w.webhooks(clock), Vault: w.vault(clock), Audits: w.db, Groups: w.db, Templates: w.db, Retained: w.retained(clock), Sessions: w.persistent(clock), Attempts: w.db, Environments: vendors, Now: clock,
		Unfinished: func(app herald.AppKey) { w.unfinished = append(w.unfinished, app) },
	})
	for _, key := range []*herald.AppKey{&w.a, &w.b} {
		row, _, err := w.registry.CreateApp(ctx, "test")
		w.must(err)
		*key = row.Key
	}
	w.masterA, w.masterB = api.Principal{Kind: api.Master, App: w.a}, api.Principal{Kind: api.Master, App: w.b}
	w.must(w.d.Start(ctx))
	t.Cleanup(func() {
		w.d.Close()
		w.must(w.ledger.Close(context.Background()))
		w.must(w.db.Close())
	})
	return w
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// device registers a device and gives it with what its token proves.
func (w *world) device(app herald.AppKey, r api.RegisterRequest) api.Principal {
	w.t.Helper()
	a, err := w.s.Devices.Register(w.t.Context(), api.Principal{Kind: api.Master, App: app}, r)
	w.must(err)
	p, err := w.s.Apps.Bearer(w.t.Context(), a.Token, netip.Addr{})
	w.must(err)
	return p
}

func (w *world) online(p api.Principal, on bool) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.hub.online[seat{p.App, p.Ord}] = on
}

func (w *world) send(p api.Principal, body string) (api.SendAnswer, error) {
	return w.sendKey(p, body, "")
}

func (w *world) sendKey(p api.Principal, body, key string) (api.SendAnswer, error) {
	r, err := w.s.Messages.Decode([]byte(body))
	if err != nil {
		return api.SendAnswer{}, err
	}
	return w.s.Messages.Send(w.t.Context(), p, r, key, []byte(body))
}

func (w *world) sent(p api.Principal, body string) api.SendAnswer {
	w.t.Helper()
	a, err := w.send(p, body)
	w.must(err)
	w.settle()
	return a
}

// settle waits until what was accepted is handed over and what was reported is
// counted.
func (w *world) settle() {
	w.t.Helper()
	for _, app := range []herald.AppKey{w.a, w.b} {
		list, err := w.db.Releases(w.t.Context(), app, 0, 10_000)
		w.must(err)
		deadline := time.Now().Add(10 * time.Second)
		for len(list) > 0 {
			last := list[len(list)-1]
			w.hub.mu.Lock()
			handed := w.hub.handed[last.Msg.ID] > 0
			w.hub.mu.Unlock()
			// It counts as released a moment before it is handed over, which
			// it is not if it is for nobody or has ended.
			none := last.Msg.Target == 0 || last.Msg.State != herald.MessageSending
			if w.ledger.Released(app) >= last.Pos && (handed || none) {
				break
			}
			if time.Now().After(deadline) {
				w.t.Fatal("the log is not followed")
			}
		}
		w.must(w.ledger.Settled(w.t.Context(), app))
	}
}

func code(err error) herald.Code { return herald.CodeOf(err) }

// toDevice is the body of a message to one device.
func toDevice(p api.Principal) string {
	return fmt.Sprintf(`{"audience":{"registration_ids":["%s"]},"data":1}`, p.Device)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func long(n int) string { return strings.Repeat("a", n) }

// bare seals nothing.
type bare struct{}

func (bare) Seal(_ string, secret []byte) []byte          { return secret }
func (bare) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }
