package dispatch

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// outlet records what it is handed, and can be told to hold on to it.
type outlet struct {
	ledger *receipt.Ledger // reports sent for who is online

	mu     sync.Mutex // guards what follows
	online *sets.Set
	got    []record.Handover
	hold   chan struct{} // if not nil, Deliver waits for it
	inside chan struct{} // told when Deliver is reached
}

func (o *outlet) Deliver(_ context.Context, h record.Handover) (*sets.Set, error) {
	o.mu.Lock()
	o.got = append(o.got, h)
	hold := o.hold
	took := sets.Intersect(h.Set, o.online)
	o.mu.Unlock()
	select {
	case o.inside <- struct{}{}:
	default:
	}
	if hold != nil {
		<-hold
	}
	if !took.Empty() && h.Kind == record.ReleaseMessage {
		o.ledger.Report(h.App, record.Event{Msg: h.Msg.ID, State: herald.StateSent, Set: took, Time: h.At, Via: "test"})
	}
	return took, nil
}

func (o *outlet) handed() []record.Handover {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got)
}

// bench is a dispatcher on a real record, with a clock that stands still. It
// follows nothing until it is told to.
type bench struct {
	t        *testing.T
	dir      string
	app      herald.AppKey
	db       *sqlite.DB
	registry *registry.Registry
	ledger   *receipt.Ledger
	outlet   *outlet
	d        *Dispatcher
	target   Target                   // what an audience that falls due comes to
	refusal  error                    // or why it cannot be evaluated
	routes   func(*bench) RouteConfig // nil: there is only the live channel
	made     Request                  // what an occurrence of a schedule comes to, unless refusal says why not
	broken   *broken                  // if not nil, it stands before the record
	dense    bool                     // targets are kept slab by slab, however small

	mu  sync.Mutex // guards now
	now time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), now: begin}
	b.open()
	row, _, err := b.registry.CreateApp(t.Context(), "test")
	b.must(err)
	b.app = row.Key
	b.must(b.ledger.Load(t.Context(), b.app))
	t.Cleanup(b.close)
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	b.db, err = sqlite.Open(b.t.Context(), sqlite.Config{
		Path: filepath.Join(b.dir, "herald.db"), Now: b.clock, Inline: b.inline(),
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if b.registry != nil {
				b.registry.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if b.d != nil {
				b.d.OnRelease(app, pos)
			}
		},
		OnAccepted: func(m *record.Message) {
			if b.d != nil {
				b.d.OnAccepted(m)
			}
		},
	})
	b.must(err)
	b.registry = registry.New(registry.Config{Store: b.db, ServerKey: make([]byte, 32), Now: b.clock})
	b.must(b.registry.Load(b.t.Context()))
	var store interface {
		Store
		receipt.Store
	} = b.db
	if b.broken != nil {
		b.broken.DB = b.db
		store = b.broken
	}
	b.ledger = receipt.New(receipt.Config{Store: store, Messages: b.db, Plans: b.db, DeadAt: b.registry.DeadAt, Now: b.clock, Small: -int64(b.inline())})
	b.outlet = &outlet{ledger: b.ledger, online: sets.New(), inside: make(chan struct{}, 1)}
	var routes RouteConfig
	if b.routes != nil {
		routes = b.routes(b)
	}
	b.d, err = New(b.t.Context(), Config{
		Routes: routes,
		Store:  store, Ledger: b.ledger, Registry: b.registry, Outlets: []Outlet{b.outlet}, Now: b.clock,
		Evaluate: func(context.Context, herald.AppKey, herald.Audience) (Target, error) { return b.target, b.refusal },
		Make:     func(context.Context, *record.Schedule, time.Time) (Request, error) { return b.made, b.refusal },
	})
	b.must(err)
}

// inline is 1, for a store and a ledger that take nothing for small, or 0.
func (b *bench) inline() int {
	if b.dense {
		return 1
	}
	return 0
}

func (b *bench) close() {
	b.t.Helper()
	if b.d == nil {
		return
	}
	b.d.Close()
	b.must(b.ledger.Close(context.Background()))
	b.must(b.db.Close())
	b.d, b.registry = nil, nil
}

// restart closes everything and opens it again on the same record.
func (b *bench) restart() {
	b.t.Helper()
	b.close()
	b.open()
}

// follow follows the log of the app, in a goroutine of the dispatcher.
func (b *bench) follow() { b.t.Helper(); b.must(b.d.Follow(b.t.Context(), b.app)) }

// reach waits until everything that has a position now is handed over.
func (b *bench) reach() {
	b.t.Helper()
	last, err := b.db.LastRelease(b.t.Context(), b.app)
	b.must(err)
	b.must(b.d.follower(b.app).reach(b.t.Context(), last))
	b.must(b.ledger.Settled(b.t.Context(), b.app))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// devices registers devices and puts them online.
func (b *bench) devices(n int) (out []herald.Ordinal) {
	b.t.Helper()
	for range n {
		d, _, _, err := b.registry.Register(b.t.Context(), registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther})
		b.must(err)
		out = append(out, d.Ord)
	}
	return out
}

func (b *bench) online(ords ...herald.Ordinal) {
	b.outlet.mu.Lock()
	defer b.outlet.mu.Unlock()
	b.outlet.online = sets.New(ords...)
}

func to(ords ...herald.Ordinal) Target { return Target{Direct: ords, Devices: int64(len(ords))} }

func toGroup(ords ...herald.Ordinal) Target {
	return Target{Group: sets.New(ords...), Devices: int64(len(ords))}
}

func request(t Target, change ...func(*herald.Message)) Request {
	r := Request{Body: []byte(`{"data":1}`), Target: t}
	r.Message = herald.Message{Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal, TTL: time.Hour}
	for _, f := range change {
		f(&r.Message)
	}
	return r
}

func key(k string) func(*herald.Message) { return func(m *herald.Message) { m.CollapseKey = k } }

func ttl(d time.Duration) func(*herald.Message) { return func(m *herald.Message) { m.TTL = d } }

func due(at time.Time) func(*herald.Message) { return func(m *herald.Message) { m.Due = at } }

func (b *bench) accept(t Target, change ...func(*herald.Message)) *record.Message {
	b.t.Helper()
	r := request(t, change...)
	r.Message.App = b.app
	m, _, err := b.d.Accept(b.t.Context(), r)
	b.must(err)
	return m
}

func (b *bench) message(id herald.MessageID) *record.Message {
	b.t.Helper()
	m, err := b.db.Message(b.t.Context(), b.app, id)
	b.must(err)
	return m
}

func (b *bench) state(id herald.MessageID, o herald.Ordinal) herald.DeliveryState {
	b.t.Helper()
	s, err := b.ledger.State(b.t.Context(), b.message(id), o)
	b.must(err)
	return s
}

func (b *bench) wantStates(id herald.MessageID, want map[herald.Ordinal]herald.DeliveryState) {
	b.t.Helper()
	for o, s := range want {
		if got := b.state(id, o); got != s {
			b.t.Errorf("message %s on device %d: %s, want %s", id, o, got, s)
		}
	}
}

func (b *bench) report(id herald.MessageID, s herald.DeliveryState, ords ...herald.Ordinal) {
	b.t.Helper()
	b.must(b.ledger.Apply(b.t.Context(), b.app, record.Event{Msg: id, State: s, Set: sets.New(ords...), Time: b.clock(), Via: "receipt"}))
}

// withdrawn waits until the record has the end of a message.
func (b *bench) withdrawn(id herald.MessageID) {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for b.message(id).State != herald.MessageWithdrawn {
		if time.Now().After(deadline) {
			b.t.Fatal("the message is not withdrawn")
		}
	}
}

// holdBack has the outlet hold on to what it is handed from now on, and gives
// the function that lets go.
func (b *bench) holdBack() (letGo func()) {
	b.t.Helper()
	b.reach()
	select {
	case <-b.outlet.inside: // of an earlier handover
	default:
	}
	hold := make(chan struct{})
	set := func(c chan struct{}) {
		b.outlet.mu.Lock()
		defer b.outlet.mu.Unlock()
		b.outlet.hold = c
	}
	set(hold)
	return func() {
		set(nil)
		close(hold)
	}
}
