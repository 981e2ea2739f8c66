package courier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

// sent is a call that reached a vendor.
type sent struct {
	vendor herald.Vendor
	token  string
	m      *provider.Message
	at     time.Time
}

// vendor is a provider that answers as a test says, once it has slept.
type vendor struct {
	w      *world
	driver *provider.Driver
	answer func(s sent) (provider.Result, error)
	slow   time.Duration // each call takes so long, or until it is broken off
	speak  func(ctx context.Context)
	as     provider.Provider // it, with more methods; nil for itself

	mu         sync.Mutex // guards what follows
	calls      []sent
	credential record.Credential
}

func (v *vendor) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	if v.w.point(ctx) != nil {
		return provider.Result{}, provider.Lost(errCrash, false)
	}
	s := sent{v.driver.Name, to.Token, m, v.w.now()}
	v.mu.Lock()
	v.calls = append(v.calls, s)
	v.mu.Unlock()
	v.w.mu.Lock()
	v.w.calls++
	v.w.most = max(v.w.most, v.w.calls)
	v.w.mu.Unlock()
	defer func() {
		v.w.mu.Lock()
		v.w.calls--
		v.w.mu.Unlock()
	}()
	if v.speak != nil {
		v.speak(ctx)
	}
	v.sleep(ctx, v.slow)
	if ctx.Err() != nil {
		return provider.Result{}, provider.Lost(ctx.Err(), true)
	}
	if v.answer == nil {
		return provider.Result{Reference: m.ID.String() + "/" + to.Token}, nil
	}
	return v.answer(s)
}

func (v *vendor) Close() error { return nil }

func (v *vendor) sent() []sent {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.calls)
}

// of counts the calls for each token.
func (v *vendor) of() map[string]int {
	out := map[string]int{}
	for _, s := range v.sent() {
		out[s.token]++
	}
	return out
}

// sleep has each call take a time.
func (v *vendor) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

var errCrash = errors.New("the process was killed")

// world is a model of the record, with vendors.
type world struct {
	t       *testing.T
	vendors map[herald.Vendor]*vendor
	limits  Limits
	// What is asked instead of the world; nil for itself.
	errandStore  ErrandStore
	addressStore AddressStore
	messageStore Messages

	mu        sync.Mutex // guards what follows
	errands   map[int64]*record.Errand
	whole     map[int64]*sets.Set // of each errand at first
	tallies   map[int64][]record.Tally
	attempts  []record.Attempt
	addresses []record.Address
	messages  map[herald.MessageID]*record.Message
	received  map[herald.MessageID]*sets.Set
	events    []record.Event
	problems  []string
	lastID    int64
	leased    map[int64]bool
	peak      int // of leased errands
	calls     int // under way
	most      int // of them
	saves     int
	fail      error         // of every call of the store
	openErr   error         // of opening a provider
	damaged   bool          // messages are
	kill      int           // points until a kill; 0 for never
	dead      chan struct{} // closed by the kill
}

func newWorld(t *testing.T) *world {
	return &world{
		// Few calls at once, because the race detector fails by itself where many
		// timers of a bubble fire at one moment (golang/go#78156).
		limits: Limits{Calls: 8},
		t:      t, vendors: map[herald.Vendor]*vendor{}, errands: map[int64]*record.Errand{}, whole: map[int64]*sets.Set{},
		tallies: map[int64][]record.Tally{}, messages: map[herald.MessageID]*record.Message{},
		received: map[herald.MessageID]*sets.Set{}, leased: map[int64]bool{},
	}
}

func (w *world) now() time.Time { return time.Now() }

// add adds a vendor.
func (w *world) add(name herald.Vendor, idempotent bool, answer func(sent) (provider.Result, error)) *vendor {
	v := &vendor{w: w, answer: answer, driver: &provider.Driver{Name: name, Idempotent: idempotent}}
	v.credential = record.Credential{ID: "crd_" + string(name), Vendor: name}
	w.vendors[name] = v
	return v
}

// message adds a message with an errand for devices [from, to).
func (w *world) message(id herald.MessageID, v herald.Vendor, ttl time.Duration, from, to herald.Ordinal) *record.Message {
	m := &record.Message{State: herald.MessageSending, Target: int64(to - from)}
	m.ID, m.App, m.TTL, m.Due, m.Accepted = id, app, ttl, w.now(), w.now()
	m.Content.Notification = &herald.Notification{Title: "hello"}
	set := sets.New()
	for o := from; o < to; o++ {
		set.Add(o)
	}
	m.Group = record.WholeImage(set)
	w.mu.Lock()
	w.messages[id] = m
	w.mu.Unlock()
	w.errand(m, v, set)
	return m
}

func (w *world) errand(m *record.Message, v herald.Vendor, set *sets.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastID++
	e := &record.Errand{
		Lane: record.Lane{App: app, Vendor: v}, ID: w.lastID, Msg: m.ID, Step: 1, Owner: record.OwnerDevice, Kind: string(v),
		At: w.now(), Left: set.Clone(),
	}
	w.errands[e.ID], w.whole[e.ID] = e, set.Clone()
}

// devices gives devices [from, to) an address with a vendor.
func (w *world) devices(v herald.Vendor, from, to herald.Ordinal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.addresses {
		if a := &w.addresses[i]; a.Kind == string(v) && a.Ord >= from && a.Ord < to && a.Invalid.IsZero() {
			a.Invalid, a.Reason = w.now(), "replaced"
		}
	}
	for o := from; o < to; o++ {
		w.addresses = append(w.addresses, record.Address{
			App: app, Owner: record.OwnerDevice, Ord: o, Kind: string(v), Token: token(v, o), Created: w.now(), Updated: w.now(),
		})
	}
}

func token(v herald.Vendor, o herald.Ordinal) string { return fmt.Sprintf("%s-%d", v, o) }

// start runs a courier until stop is called.
func (w *world) start() (c *Courier, stop func()) {
	c = New(Config{
		Errands: cmp.Or[ErrandStore](w.errandStore, w), Addresses: cmp.Or[AddressStore](w.addressStore, w), Messages: cmp.Or[Messages](w.messageStore, w), Ledger: w, Limits: w.limits,
		Open: func(_ context.Context, _ herald.AppKey, name herald.Vendor, _, _ string) (*provider.Lease, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.openErr != nil {
				return nil, w.openErr
			}
			v := w.vendors[name]
			var p provider.Provider = v
			if v.as != nil {
				p = v.as
			}
			return &provider.Lease{Provider: p, Driver: v.driver, Credential: v.credential, Release: func() {}}, nil
		},
		NoteProblem: func(_ herald.AppKey, id string, p *provider.Error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if p == nil {
				w.problems = append(w.problems, id+" is well")
			} else {
				w.problems = append(w.problems, id+" "+string(p.Kind))
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return c, func() {
		cancel()
		<-done
	}
}

// over waits until no errand is left, for at most a time.
func (w *world) over(most time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(most); ; elapse(time.Second) {
		w.mu.Lock()
		n := len(w.errands)
		w.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d errands are left after %v", n, most)
		}
	}
}

// check holds that each owner of each errand has exactly one outcome, and gives
// how many have which.
func (w *world) check() map[string]int {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for id, whole := range w.whole {
		all := sets.New()
		for _, t := range w.tallies[id] {
			if sets.Common(all, t.Set) > 0 {
				w.t.Errorf("errand %d: owners with two outcomes", id)
			}
			all.Or(t.Set)
			name := string(t.Fate)
			if t.Code != "" {
				name += " " + t.Code
			}
			out[name] += int(t.Set.Len())
		}
		if w.errands[id] == nil && !sets.Equal(all, whole) {
			w.t.Errorf("errand %d: %d owners with an outcome, want %d", id, all.Len(), whole.Len())
		}
	}
	return out
}

// states counts devices that were reported in a state, each once.
func (w *world) states(state herald.DeliveryState) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[herald.MessageID]*sets.Set{}
	for _, e := range w.events {
		if e.State == state {
			if all[e.Msg] == nil {
				all[e.Msg] = sets.New()
			}
			all[e.Msg].Or(e.Set)
		}
	}
	n := 0
	for _, s := range all {
		n += int(s.Len())
	}
	return n
}

// elapse lets time pass, of a bubble's clock.
func elapse(d time.Duration) { <-time.After(d) }

func same(t *testing.T, got, want map[string]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

func bubble(t *testing.T, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}
