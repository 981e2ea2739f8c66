//go:build unix

package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// waitingEach is how many direct and how many group messages wait for a device.
const waitingEach = 10

// node is the centre of a server without its edges.
type node struct {
	db       *sqlite.DB
	registry *registry.Registry
	ledger   *receipt.Ledger
	hub      *live.Hub
	app      herald.AppKey
	ids      herald.IDs
}

type directory struct{ *registry.Registry }

func (d directory) Authenticate(ctx context.Context, token string) (live.Device, string, error) {
	a, err := d.DeviceToken(ctx, token)
	return live.Device{App: a.App, Ord: a.Ord, ID: a.ID, Platform: a.Platform, BoundPos: a.BoundPos}, a.Fresh, err
}

func (d directory) Seen(dev live.Device, _ time.Time) { d.Registry.Seen(dev.App, dev.Ord) }

func (d directory) MayUse(live.Device, herald.TopicVerb, herald.Topic) error { return nil }

type backlog struct{ *offline.Backlog }

func (b backlog) Resume(ctx context.Context, d live.Device, upto, offered herald.Pos) error {
	return b.Backlog.Resume(ctx, offline.Device{App: d.App, Ord: d.Ord, ID: d.ID}, upto, offered)
}

func (b backlog) Waiting(ctx context.Context, d live.Device, after herald.Pos, limit int) ([]live.Waiting, herald.Pos, bool, error) {
	list, upto, more, err := b.Backlog.Waiting(ctx, offline.Device{App: d.App, Ord: d.Ord, ID: d.ID}, after, limit)
	out := make([]live.Waiting, len(list))
	for i, w := range list {
		out[i] = live.Waiting(w)
	}
	return out, upto, more, err
}

func newNode(b *testing.B) *node { return newNodeWith(b, 0, 0) }

// newNodeWith makes a node with so much memory for sets, and so many bytes of a
// target that are kept in the row of a message; 0 means what is usual.
func newNodeWith(b *testing.B, memory int64, inline int) *node {
	b.Helper()
	n := &node{}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	n.db, err = sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(b.TempDir(), "herald.db"), Inline: inline, OnSets: func(app herald.AppKey, e record.SetLogEntry) {
		n.registry.OnSets(app, e)
	}})
	must(b, err)
	n.registry = registry.New(registry.Config{Store: n.db, ServerKey: bytes.Repeat([]byte{7}, 32)})
	must(b, n.registry.Load(ctx))
	row, _, err := n.registry.CreateApp(ctx, "bench")
	must(b, err)
	n.app = row.Key
	n.ledger = receipt.New(receipt.Config{Store: n.db, Messages: n.db, DeadAt: n.registry.DeadAt, Memory: memory})
	must(b, n.ledger.Load(ctx, n.app))
	back := offline.New(offline.Config{Store: n.db, Ledger: n.ledger, Registry: n.registry})
	n.hub = live.NewHub(live.Options{Directory: directory{n.registry}, Backlog: backlog{back}, Receipts: n.ledger})
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.hub.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		wg.Wait()
		must(b, n.ledger.Close(context.Background()))
		must(b, n.db.Close())
	})
	return n
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// each runs f for 0 to n-1, several at a time so that they share commits.
func each(b *testing.B, n int, f func(i int) error) {
	b.Helper()
	next, errs := make(chan int), make(chan error, 256)
	for range cap(errs) {
		go func() {
			var err error
			for i := range next {
				if err == nil {
					err = f(i)
				}
			}
			errs <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range cap(errs) {
		must(b, <-errs)
	}
}

// send accepts a message and tracks it, as dispatch does.
func (n *node) send(m *record.Message) error {
	now := time.Now()
	m.App, m.Audience, m.Priority, m.State = n.app, herald.Audience{All: true}, herald.PriorityNormal, herald.MessageSending
	m.TTL, m.Accepted, m.Due, m.ID = time.Hour, now, now, n.ids.Next(now)
	m.Body = []byte(`{"notification":{"title":"Your order has shipped","body":"It left the warehouse at 09:30 and should reach you tomorrow."},"data":{"order":4711}}`)
	done, err := n.db.Accept(context.Background(), record.Acceptance{Message: *m})
	if err != nil {
		return err
	}
	m.Pos, m.FirstN = done.Pos, done.FirstN
	if m.Group != nil { // as the record gives it
		if m, err = n.db.Message(context.Background(), n.app, m.ID); err != nil {
			return err
		}
	}
	n.ledger.Track(m)
	n.ledger.Advance(n.app, m.Pos)
	return nil
}

// socket is a connection whose client acknowledges what it gets at once.
type socket struct {
	mu      sync.Mutex
	session *live.Session
	got     int
	done    *sync.WaitGroup
	acks    chan<- ackOf
}

type ackOf struct {
	session *live.Session
	frame   []byte
}

func (s *socket) Send(f live.Frame) error {
	at := bytes.Index(f, []byte(`"id":"`))
	if at < 0 {
		return nil // welcome
	}
	id := f[at+6:]
	id = id[:bytes.IndexByte(id, '"')]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks <- ackOf{s.session, fmt.Appendf(nil, `{"type":"ack","ids":["%s"]}`, id)}
	if s.got++; s.got == 2*waitingEach {
		s.done.Done()
	}
	return nil
}

func (s *socket) Close(live.Reason) {}

// BenchmarkReturn has devices come back for whom ten direct and ten group
// messages wait each: authenticated, sent, acknowledged one by one, counted.
// One operation is one device; the sockets are left out.
func BenchmarkReturn(b *testing.B) {
	n := newNode(b)
	tokens, ords := make([]string, b.N), make([]herald.Ordinal, b.N)
	each(b, b.N, func(i int) error {
		d, token, _, err := n.registry.Register(context.Background(), registry.RegisterRequest{App: n.app, Platform: herald.PlatformWeb})
		tokens[i], ords[i] = token, d.Ord
		return err
	})
	all := sets.New(ords...)
	for range waitingEach {
		must(b, n.send(&record.Message{Target: int64(b.N), Group: record.WholeImage(all)}))
	}
	each(b, b.N*waitingEach, func(i int) error {
		return n.send(&record.Message{Target: 1, Direct: []herald.Ordinal{ords[i%b.N]}})
	})
	transport := websocket.New(websocket.Config{})
	acks := make(chan ackOf, 1<<20)
	var acking, done sync.WaitGroup
	acking.Go(func() {
		for a := range acks {
			a.session.Receive(a.frame)
		}
	})
	done.Add(b.N)
	b.ReportAllocs()
	used := cpuTime(b)
	b.ResetTimer()
	for _, token := range tokens {
		s := &socket{done: &done, acks: acks}
		s.mu.Lock()
		s.session = n.hub.Attach(transport, s, false)
		s.mu.Unlock()
		if err := s.session.Hello(live.Hello{Token: token}); err != nil {
			b.Fatal(err)
		}
	}
	done.Wait()
	close(acks)
	acking.Wait()
	must(b, n.ledger.Settled(context.Background(), n.app))
	must(b, n.ledger.Fold(context.Background(), true))
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/device")
}
