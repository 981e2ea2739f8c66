package vault_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app     herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"
	another herald.AppKey = "bbbbbbbbbbbbbbbbbbbbbbbb"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a vault over a real store, with vendors that do as a test says.
type world struct {
	*vault.Vault
	t     *testing.T
	ctx   context.Context
	store *sqlite.DB
	ring  *seal.Ring

	mu     sync.Mutex            // guards what follows
	heard  []string              // by Reported
	say    func(provider.Report) // what a vendor says is given to it
	now    time.Time
	check  func(ctx context.Context, values map[string]string) error
	made   int
	told   []herald.Vendor // that a credential of theirs is another one
	closed []string        // the user of each that was closed
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// ended gives who was closed since it was asked last.
func (w *world) ended() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.closed, " ")
	w.closed = nil
	return out
}

// fake is a provider of the tests; checking is one with a Checker.
type fake struct {
	w      *world
	values map[string]string
	// environment is what it was told to be for.
	environment string
}

func (p *fake) Send(context.Context, provider.Address, *provider.Message) (provider.Result, error) {
	return provider.Result{}, nil
}

func (p *fake) Close() error {
	p.w.set(func() { p.w.closed = append(p.w.closed, p.values["user"]) })
	if p.values["user"] == "sticky" {
		return errors.New("it does not close")
	}
	return nil
}

type checking struct{ *fake }

// Listen makes it a provider.Listener.
func (p checking) Listen(f func(provider.Report)) { p.w.set(func() { p.w.say = f }) }

func (p checking) Check(ctx context.Context) error {
	p.w.mu.Lock()
	check := p.w.check
	p.w.mu.Unlock()
	return check(ctx, p.values)
}

func (w *world) drivers() []provider.Driver {
	fields := []provider.Field{
		{Name: "user", Needed: true, Help: "Who sends."}, {Name: "password", Secret: true, Needed: true, Help: "What the vendor gave."}, {Name: "note"},
	}
	newFake := func(c provider.Config) (*fake, error) {
		w.set(func() { w.made++ })
		if c.Values["password"] == "malformed" {
			return nil, herald.Invalid("password", "Copy all of it.", "it is not a password")
		}
		return &fake{w, c.Values, c.Environment}, nil
	}
	return []provider.Driver{
		{Name: herald.VendorAPNs, Fields: fields, Environments: []string{"production", "sandbox"}, New: func(c provider.Config) (provider.Provider, error) {
			p, err := newFake(c)
			return checking{p}, err
		}},
		{Name: herald.VendorWebhook, Fields: fields, New: func(c provider.Config) (provider.Provider, error) { return newFake(c) }, Complete: func(values map[string]string) error {
			if values["note"] == "refuse" {
				return herald.Invalid("note", "Leave it out.", "is not good")
			}
			if values["password"] == "" {
				values["password"], values["note"] = "made", "made here"
			}
			return nil
		}},
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: start, check: func(context.Context, map[string]string) error { return nil }}
	var err error
	w.store, err = sqlite.Open(w.ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "herald.db"), Now: w.clock})
	w.must(err)
	t.Cleanup(func() { w.must(w.store.Close()) })
	w.ring, err = seal.New([]byte("server key"))
	w.must(err)
	for _, key := range []herald.AppKey{app, another} {
		w.must(w.store.CreateApp(w.ctx, record.App{Key: key, Created: start}))
	}
	w.open(w.drivers())
	t.Cleanup(func() { w.Close() })
	return w
}

// open begins anew over the same store.
func (w *world) open(drivers []provider.Driver) {
	w.t.Helper()
	w.Vault = vault.New(vault.Config{Store: w.store, Ring: w.ring, Drivers: drivers, Now: w.clock, Renewed: func(_ herald.AppKey, vendor herald.Vendor) {
		w.Credentials(app) // nothing is locked
		w.set(func() { w.told = append(w.told, vendor) })
	}, Reported: func(of herald.AppKey, vendor herald.Vendor, r provider.Report) {
		w.set(func() { w.heard = append(w.heard, string(of)+" "+string(vendor)+" "+r.Reference) })
	}})
	w.must(w.Load(w.ctx))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(s vault.Spec) record.Credential {
	w.t.Helper()
	c, err := w.Create(w.ctx, app, s)
	w.must(err)
	w.ended() // the one that was made to check it
	return c
}

func spec(vendor herald.Vendor, environment, name, user string) vault.Spec {
	return vault.Spec{Vendor: vendor, Environment: environment, Name: name, Values: map[string]string{"user": user, "password": "secret of " + user}}
}

func (w *world) lease(environment, name string) *provider.Lease {
	w.t.Helper()
	l, err := w.Open(w.ctx, app, herald.VendorAPNs, environment, name)
	w.must(err)
	return l
}

// userOf tells with whose values a provider was made.
func userOf(l *provider.Lease) string { return l.Provider.(checking).values["user"] }

func TestCreateAndFind(t *testing.T) {
	w := newWorld(t)
	all := w.create(spec(herald.VendorAPNs, "", "", "everybody"))
	w.create(spec(herald.VendorAPNs, "sandbox", "", "tester"))
	w.create(spec(herald.VendorAPNs, "", "b", "second"))
	check := func() {
		t.Helper()
		for _, c := range []struct{ environment, name, want string }{
			{"production", "", "everybody"}, {"sandbox", "", "tester"}, {"", "", "everybody"}, {"sandbox", "b", "second"}, {"", "c", ""},
		} {
			got, ok := w.Find(app, herald.VendorAPNs, c.environment, c.name)
			if ok != (c.want != "") || got.Shown["user"] != c.want || got.Sealed != nil || len(got.Shown) > 1 {
				t.Errorf("%q, %q: %+v, %v", c.environment, c.name, got, ok)
			}
		}
		list := w.Credentials(app)
		if len(list) != 3 || list[0].ID != all.ID || list[1].Name != "b" || list[2].Environment != "sandbox" || list[0].Sealed != nil || len(w.Credentials(another)) != 0 {
			t.Errorf("%+v", list)
		}
	}
	check()
	w.open(w.drivers())
	check()
	for environment, want := range map[string]string{"sandbox": "sandbox", "production": ""} {
		l := w.lease(environment, "")
		if got := l.Provider.(checking).environment; got != want {
			t.Errorf("the provider for %s is for %q", environment, got)
		}
		l.Release()
	}
	if got, err := w.Get(app, all.ID); err != nil || got.ID != all.ID || got.Sealed != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.Get(another, all.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("of another app: %v", err)
	}
	rows, err := w.store.Credentials(w.ctx)
	w.must(err)
	for _, r := range rows {
		if len(r.Sealed) == 0 || strings.Contains(string(r.Sealed), "secret of") || r.Shown["password"] != "" {
			t.Errorf("the record has the secret: %+v", r)
		}
	}
	if len(w.Drivers()) != 2 {
		t.Errorf("%d drivers", len(w.Drivers()))
	}
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t)
	w.create(spec(herald.VendorAPNs, "", "", "one"))
	with := func(s vault.Spec, name, value string) vault.Spec {
		s.Values[name] = value
		return s
	}
	apns := func() vault.Spec { return spec(herald.VendorAPNs, "", "new", "two") }
	hook := func() vault.Spec { return spec(herald.VendorWebhook, "", "", "two") }
	for _, c := range []struct {
		name  string
		app   herald.AppKey
		spec  vault.Spec
		code  herald.Code
		field string
	}{
		{"a vendor that is not there", app, spec("acme", "", "", "two"), herald.CodeInvalidRequest, "vendor"},
		{"an environment of a vendor that has none", app, spec(herald.VendorWebhook, "sandbox", "", "two"), herald.CodeInvalidRequest, "environment"},
		{"an environment that is not there", app, spec(herald.VendorAPNs, "staging", "", "two"), herald.CodeInvalidRequest, "environment"},
		{"a bad name", app, spec(herald.VendorAPNs, "", "a\nb", "two"), herald.CodeInvalidRequest, "name"},
		{"no values", app, vault.Spec{Vendor: herald.VendorAPNs, Name: "new"}, herald.CodeInvalidRequest, "values.user"},
		{"an empty value", app, with(apns(), "password", ""), herald.CodeInvalidRequest, "values.password"},
		{"a value that is not known", app, with(apns(), "color", "red"), herald.CodeInvalidRequest, "values.color"},
		{"a value that the provider refuses", app, with(apns(), "password", "malformed"), herald.CodeInvalidRequest, "values.password"},
		{"what cannot be completed", app, with(hook(), "note", "refuse"), herald.CodeInvalidRequest, "values.note"},
		{"too large", app, with(apns(), "note", strings.Repeat("x", vault.MaxBytes)), herald.CodeInvalidRequest, "values"},
		{"one that is there", app, spec(herald.VendorAPNs, "", "", "two"), herald.CodeConflict, ""},
		{"an app that is not there", "cccccccccccccccccccccccc", apns(), herald.CodeNotFound, ""},
	} {
		_, err := w.Create(w.ctx, c.app, c.spec)
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Field != c.field || e.Remedy == "" {
			t.Errorf("%s: %+v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret of") {
			t.Errorf("%s: the error has the secret: %v", c.name, err)
		}
	}
	if n := len(w.Credentials(app)); n != 1 {
		t.Errorf("%d are there", n)
	}
}

func TestCompleted(t *testing.T) {
	w := newWorld(t)
	given := map[string]string{"user": "one"}
	c := w.create(vault.Spec{Vendor: herald.VendorWebhook, Values: given})
	if c.Shown["note"] != "made here" || len(given) != 1 {
		t.Errorf("%+v, and what was given is %v", c, given)
	}
	l, err := w.Open(w.ctx, app, herald.VendorWebhook, "", "")
	w.must(err)
	defer l.Release()
	if p := l.Provider.(*fake); p.values["password"] != "made" {
		t.Errorf("%v", p.values)
	}
}

// TestLeases: there is one provider of a version of a credential, and it is
// closed when nobody has it any more.
func TestLeases(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "old"))
	a, b := w.lease("", ""), w.lease("sandbox", "")
	if a.Provider != b.Provider || userOf(a) != "old" || a.Driver.Name != herald.VendorAPNs || a.Credential.ID != c.ID || a.Credential.Sealed != nil {
		t.Errorf("%+v, %+v", a, b)
	}
	a.Release()
	a.Release() // once more than there is to give
	_, err := w.Update(w.ctx, app, c.ID, map[string]string{"user": "new"})
	w.must(err)
	if got := w.ended(); got != "new" {
		t.Errorf("while it is lent, closed: %q; only the trial is to be", got)
	}
	n := w.lease("", "")
	if userOf(n) != "new" || n.Provider.(checking).values["password"] != "secret of old" {
		t.Errorf("after the change: %v", n.Provider.(checking).values)
	}
	if b.Release(); w.ended() != "old" {
		t.Error("the one before was not closed when it came back")
	}
	n.Release()
	if got := w.ended(); got != "" {
		t.Errorf("%q was closed, which is to be lent again", got)
	}
	w.must(w.Delete(w.ctx, app, c.ID))
	if got := w.ended(); got != "new" {
		t.Errorf("deleted, closed: %q", got)
	}
	if _, err := w.Open(w.ctx, app, herald.VendorAPNs, "sandbox", "x"); provider.KindOf(err) != provider.Unauthorized || !strings.Contains(err.Error(), "apns in sandbox with the name x") {
		t.Errorf("a deleted one is opened: %v", err)
	}
	if err := w.Delete(w.ctx, app, c.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("deleted twice: %v", err)
	}
}

// TestLeasesAtOnce: who comes at once gets the same provider.
func TestLeasesAtOnce(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	w.set(func() { w.made = 0 })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			l, err := w.Open(w.ctx, app, herald.VendorAPNs, "", "")
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Release()
			if err := w.NoteProblem(w.ctx, app, c.ID, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if w.made != 1 || w.ended() != "" {
		t.Errorf("%d were made", w.made)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	w.create(spec(herald.VendorAPNs, "", "", "sticky"))
	w.create(spec(herald.VendorAPNs, "", "b", "lent"))
	w.lease("", "").Release()
	l := w.lease("", "b")
	w.Close()
	if got := w.ended(); got != "sticky" {
		t.Errorf("closed: %q", got)
	}
	l.Release()
	if got := w.ended(); got != "lent" {
		t.Errorf("closed when it came back: %q", got)
	}
	if _, err := w.Open(w.ctx, app, herald.VendorAPNs, "", ""); provider.KindOf(err) != provider.Unavailable {
		t.Errorf("lent after the end: %v", err)
	}
}

// TestListens: what a vendor says on a connection comes with the app and the
// vendor, once for each provider that is made.
func TestListens(t *testing.T) {
	w := newWorld(t)
	w.create(spec(herald.VendorAPNs, "", "", "ann"))
	if w.say != nil {
		t.Fatal("a provider that was made to check values listens")
	}
	w.lease("", "").Release()
	if w.say == nil {
		t.Fatal("the provider does not listen")
	}
	w.say(provider.Report{Reference: "r1"})
	if want := []string{string(app) + " apns r1"}; !slices.Equal(w.heard, want) {
		t.Errorf("heard %q, want %q", w.heard, want)
	}
}
