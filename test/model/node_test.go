package model_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store"
)

// patience is how long a test waits for something that has to happen.
const patience = 60 * time.Second

// clock is set forward by the test only.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type seat struct {
	app herald.AppKey
	ord herald.Ordinal
}

// hub is who is connected: it takes what is handed over to those. It outlives
// the node that it is the outlet of.
type hub struct {
	mu     sync.Mutex // guards what follows
	ledger *receipt.Ledger
	online map[seat]bool
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

func (h *hub) Deliver(_ context.Context, d record.Handover) (*sets.Set, error) {
	took := sets.Intersect(d.Set, h.Online(d.App))
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.Kind == record.ReleaseMessage && !took.Empty() {
		h.ledger.Report(d.App, record.Event{Msg: d.Msg.ID, State: herald.StateSent, Set: took, Time: d.At, Via: "websocket"})
	}
	return took, nil
}

func (h *hub) Transports(herald.AppKey, herald.Ordinal) []string     { return nil }
func (h *hub) Offered(herald.AppKey, herald.Ordinal) herald.Pos      { return 0 }
func (h *hub) Rebind(herald.AppKey, herald.Ordinal, herald.Pos)      {}
func (h *hub) Disconnect(herald.AppKey, herald.Ordinal, live.Reason) {}
func (h *hub) Subscribers(herald.AppKey, herald.Topic) *sets.Set     { return sets.New() }

// node is a server in this process, as internal/server puts it together, with
// a clock of its own and without transports.
type node struct {
	place    place
	record   string // its name there
	clock    *clock
	hub      *hub
	db       *store.DB
	registry *registry.Registry
	ledger   *receipt.Ledger
	backlog  *offline.Backlog
	d        *dispatch.Dispatcher
	s        *api.Service
}

func openNode(in place, name string, c *clock, h *hub) (*node, error) {
	ctx := context.Background()
	n := &node{place: in, record: name, clock: c, hub: h}
	var mu sync.Mutex // the store tells of commits before the stages exist
	d, err := in.driver(name)
	if err != nil {
		return nil, err
	}
	n.db, err = store.Open(ctx, store.Config{
		Driver: d, Now: c.Now, Log: slog.New(slog.DiscardHandler),
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if n.registry != nil {
				n.registry.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			mu.Lock()
			d := n.d
			mu.Unlock()
			if d != nil {
				d.OnRelease(app, pos)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	n.registry = registry.New(registry.Config{Store: n.db, ServerKey: make([]byte, 32), Now: c.Now})
	if err := n.registry.Load(ctx); err != nil {
		return nil, err
	}
	n.ledger = receipt.New(receipt.Config{Store: n.db, Messages: n.db, Plans: n.db, DeadAt: n.registry.DeadAt, Now: c.Now})
	h.mu.Lock()
	h.ledger = n.ledger
	h.mu.Unlock()
	n.backlog = offline.New(offline.Config{Store: n.db, Ledger: n.ledger, Registry: n.registry, Now: c.Now})
	evaluator := audience.New(audience.Config{Registry: n.registry, Online: h.Online, Subscribers: h.Subscribers, Now: c.Now})
	dispatcher, err := dispatch.New(ctx, dispatch.Config{
		Store: n.db, Ledger: n.ledger, Registry: n.registry, Outlets: []dispatch.Outlet{h}, Evaluate: api.Evaluate(evaluator), Now: c.Now,
	})
	if err != nil {
		return nil, err
	}
	mu.Lock()
	n.d = dispatcher
	mu.Unlock()
	n.s = api.New(api.Config{
		Registry: n.registry, Audience: evaluator, Dispatch: dispatcher, Ledger: n.ledger, Backlog: n.backlog, Presence: h,
		Messages: n.db, Now: c.Now,
	})
	return n, dispatcher.Start(ctx)
}

func (n *node) close() error {
	n.d.Close()
	return errors.Join(n.ledger.Close(context.Background()), n.db.Close())
}

func until(what string, met func() bool) error {
	for deadline := time.Now().Add(patience); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}

// template is a record with two apps, of which the first has a crowd: so many
// devices that a message to all is kept as sets.
type template struct {
	place  place
	record string
	apps   []herald.AppKey
}

const crowd = herald.MaxDirect + 100

func newTemplate(t *testing.T, in place) template {
	t.Helper()
	name, err := in.make("")
	if err != nil {
		t.Fatal(err)
	}
	tp := template{place: in, record: name}
	n, err := openNode(in, name, &clock{now: start}, newHub())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		row, _, err := n.registry.CreateApp(t.Context(), "model")
		if err == nil {
			err = n.d.Follow(t.Context(), row.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
		tp.apps = append(tp.apps, row.Key)
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for k := i; k < crowd; k += 64 {
				r := api.RegisterRequest{Tags: []herald.Tag{"crowd"}}
				if _, err := n.s.Devices.Register(t.Context(), api.Principal{Kind: api.Master, App: tp.apps[0]}, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	return tp
}

func newHub() *hub {
	return &hub{online: map[seat]bool{}}
}
