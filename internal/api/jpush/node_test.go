package jpush

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// crowd is the presence of a node on which some devices are connected.
type crowd struct {
	mu sync.Mutex // guards on
	on *sets.Set
}

func (c *crowd) Online(herald.AppKey) *sets.Set {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.on.Clone()
}

func (c *crowd) Transports(app herald.AppKey, o herald.Ordinal) []string {
	if c.Online(app).Contains(o) {
		return []string{"websocket"}
	}
	return nil
}

func (*crowd) Offered(herald.AppKey, herald.Ordinal) herald.Pos      { return 0 }
func (*crowd) Rebind(herald.AppKey, herald.Ordinal, herald.Pos)      {}
func (*crowd) Disconnect(herald.AppKey, herald.Ordinal, live.Reason) {}

// node is the API over the real service and a store in a temporary folder.
type node struct {
	t       *testing.T
	api     *API
	service *api.Service
	app     herald.AppKey
	secret  string
	master  api.Principal
	crowd   crowd

	// group makes a group of the app and another one without devices.
	group func() (herald.GroupKey, string)
	// seen has devices connect, and writes that they did.
	seen func(ords ...herald.Ordinal)
	// attempts are what came of vendors.
	attempts attempts

	mu  sync.Mutex // guards now
	now time.Time
}

// attempts is a record with other counts, if there are any.
type attempts struct {
	api.AttemptStore
	counts []record.AttemptCount
}

func (a *attempts) AttemptCounts(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.AttemptCount, error) {
	if a.counts == nil {
		return a.AttemptStore.AttemptCounts(ctx, app, id)
	}
	return a.counts, nil
}

func (n *node) clock() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *node) pass(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func newNode(t *testing.T, configure ...func(*Config)) *node {
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	n := &node{t: t, now: time.Now().UTC().Truncate(time.Millisecond), crowd: crowd{on: sets.New()}}
	var reg *registry.Registry
	var disp atomic.Pointer[dispatch.Dispatcher]
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "herald.db"), Log: log, Now: n.clock,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if reg != nil {
				reg.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if d := disp.Load(); d != nil {
				d.OnRelease(app, pos)
			}
		}})
	must(t, err)
	reg = registry.New(registry.Config{Store: db, ServerKey: []byte(strings.Repeat("k", 32)), Log: log, Now: n.clock})
	must(t, reg.Load(ctx))
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt, Log: log, Now: n.clock})
	backlog := offline.New(offline.Config{Store: db, Ledger: ledger, Registry: reg, Now: n.clock})
	evaluator := audience.New(audience.Config{Registry: reg, Online: n.crowd.Online, Now: n.clock})
	d, err := dispatch.New(ctx, dispatch.Config{Store: db, Ledger: ledger, Registry: reg, Evaluate: api.Evaluate(evaluator), GroupLimit: 100, Log: log, Now: n.clock,
		Make: func(ctx context.Context, s *record.Schedule, at time.Time) (dispatch.Request, error) {
			return n.service.Schedules.Make(ctx, s, at)
		}})
	must(t, err)
	disp.Store(d)
	must(t, d.Start(ctx))
	t.Cleanup(func() {
		d.Close()
		must(t, ledger.Close(context.Background()))
		must(t, db.Close())
	})
	row, secret, err := reg.CreateApp(ctx, "test")
	must(t, err)
	must(t, d.Follow(ctx, row.Key))
	n.app, n.secret, n.master = row.Key, secret, api.Principal{Kind: api.Master, App: row.Key}
	n.attempts.AttemptStore = db
	n.service = api.New(api.Config{Registry: reg, Audience: evaluator, Dispatch: d, Ledger: ledger, Backlog: backlog, Presence: &n.crowd, Messages: db, Audits: db, Groups: db, Templates: db, Attempts: &n.attempts, Log: log, Now: n.clock})
	c := Config{Service: n.service, Keys: admission.NewBuckets(1000), Strangers: admission.NewBuckets(50), Failures: admission.NewFailures(50), Now: n.clock}
	for _, f := range configure {
		f(&c)
	}
	n.api = New(c)
	n.group = func() (herald.GroupKey, string) {
		t.Helper()
		g, secret, err := reg.CreateGroup(ctx, "both")
		must(t, err)
		other, _, err := reg.CreateApp(ctx, "other")
		must(t, err)
		must(t, d.Follow(ctx, other.Key))
		for _, app := range []herald.AppKey{n.app, other.Key} {
			_, err := reg.JoinGroup(ctx, g.Key, app)
			must(t, err)
		}
		return g.Key, secret
	}
	n.seen = func(ords ...herald.Ordinal) {
		t.Helper()
		for _, o := range ords {
			reg.Seen(n.app, o)
		}
		must(t, reg.Flush(ctx))
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what a call was answered.
type answer struct {
	*httptest.ResponseRecorder
	text string
}

// do makes a call with the master secret.
func (n *node) do(method, path, body string, headers ...string) answer {
	n.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.SetBasicAuth(string(n.app), n.secret)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return n.serve(r)
}

func (n *node) serve(r *http.Request) answer {
	n.t.Helper()
	rec := httptest.NewRecorder()
	n.api.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Body)
	must(n.t, err)
	for _, name := range []string{"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "X-Rate-Limit-Quota"} {
		if !digits(rec.Header().Get(name)) {
			n.t.Errorf("%s %s: %s is %q", r.Method, r.URL, name, rec.Header().Get(name))
		}
	}
	if got := rec.Header().Get("Content-Type"); got != "application/json" || len(b) == 0 || !json.Valid(b) {
		n.t.Errorf("%s %s: answered %q as %q", r.Method, r.URL, b, got)
	}
	return answer{rec, string(b)}
}

// want checks the status and the whole body of an answer, in which … stands for
// anything but a quote.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.Code != status || !like(body, a.text) {
		t.Errorf("answered %d %s, want %d %s", a.Code, a.text, status, body)
	}
}

// refused checks the code of an error.
func (a answer) refused(t *testing.T, status, code int) {
	t.Helper()
	var f failure
	if err := json.Unmarshal([]byte(a.text), &f); err != nil || a.Code != status || f.Error.Code != code || f.Error.Message == "" {
		t.Errorf("answered %d %s, want %d with code %d", a.Code, a.text, status, code)
	}
}

func like(pattern, text string) bool {
	for i, part := range strings.Split(pattern, "…") {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 || i > 0 && strings.Contains(text[:at], `"`) {
			return false
		}
		text = text[at+len(part):]
	}
	return text == ""
}

// pushed sends and gives the ID.
func (n *node) pushed(body string) herald.MessageID {
	n.t.Helper()
	a := n.do("POST", "/v3/push", body)
	var s sent
	if err := json.Unmarshal([]byte(a.text), &s); err != nil || a.Code != 200 {
		n.t.Fatalf("answered %d %s", a.Code, a.text)
	}
	id, err := herald.ParseMessageID(s.ID)
	must(n.t, err)
	return id
}

// register makes a device, whose ID sorts behind those before.
func (n *node) register(p herald.Platform, alias herald.Alias, tags ...herald.Tag) herald.RegistrationID {
	n.t.Helper()
	n.pass(time.Millisecond)
	a, err := n.service.Devices.Register(n.t.Context(), n.master, api.RegisterRequest{Profile: api.Profile{Platform: p}, Alias: alias, Tags: tags})
	must(n.t, err)
	return a.RegistrationID
}

// view gives a message as /v1 shows it.
func (n *node) view(id herald.MessageID) api.MessageView {
	n.t.Helper()
	v, err := n.service.Messages.Get(n.t.Context(), n.master, id)
	must(n.t, err)
	return v
}
