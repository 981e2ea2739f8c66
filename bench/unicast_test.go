//go:build unix

package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	v1 "github.com/herald-push/herald/internal/api/v1"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/telemetry"
)

// unicastDevices is how many devices are connected in BenchmarkUnicast.
const unicastDevices = 10_000

// unicast is the handler of the API over real stages, with devices that are
// connected without sockets.
type unicast struct {
	handler http.Handler
	auth    string
	ids     []herald.RegistrationID
	sent    atomic.Int64 // frames that are no welcome
	joined  sync.WaitGroup
}

// ear is the connection of a device: it counts.
type ear struct {
	u     *unicast
	heard bool // the welcome; a session sends one frame at a time
}

func (e *ear) Send(live.Frame) error {
	if e.heard {
		e.u.sent.Add(1)
		return nil
	}
	e.heard = true
	e.u.joined.Done()
	return nil
}

func (e *ear) Close(live.Reason) {}

func newUnicast(b *testing.B) *unicast {
	b.Helper()
	u := &unicast{ids: make([]herald.RegistrationID, unicastDevices)}
	ctx, cancel := context.WithCancel(context.Background())
	var reg *registry.Registry
	var disp atomic.Pointer[dispatch.Dispatcher]
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(b.TempDir(), "herald.db"),
		OnSets: func(app herald.AppKey, e record.SetLogEntry) { reg.OnSets(app, e) },
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if d := disp.Load(); d != nil {
				d.OnRelease(app, pos)
			}
		},
		OnAccepted: func(m *record.Message) {
			if d := disp.Load(); d != nil {
				d.OnAccepted(m)
			}
		},
	})
	must(b, err)
	reg = registry.New(registry.Config{Store: db, ServerKey: bytes.Repeat([]byte{7}, 32)})
	must(b, reg.Load(ctx))
	row, secret, err := reg.CreateApp(ctx, "bench")
	must(b, err)
	var hub *live.Hub
	metrics := telemetry.New("bench", func() map[string]int { return hub.Sessions() }, func() int64 { return 0 })
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt,
		Observe: func(s herald.DeliveryState, n int64) { metrics.Delivered(s, n) }})
	must(b, ledger.Load(ctx, row.Key))
	back := offline.New(offline.Config{Store: db, Ledger: ledger, Registry: reg})
	hub = live.NewHub(live.Options{Directory: directory{reg}, Backlog: backlog{back}, Receipts: ledger,
		Heartbeat: time.Hour, Timeout: 2 * time.Hour})
	evaluator := audience.New(audience.Config{Registry: reg, Online: hub.Online, Subscribers: hub.Subscribers})
	d, err := dispatch.New(ctx, dispatch.Config{Store: db, Ledger: ledger, Registry: reg, Outlets: []dispatch.Outlet{hub}, Evaluate: api.Evaluate(evaluator)})
	must(b, err)
	disp.Store(d)
	service := api.New(api.Config{Registry: reg, Audience: evaluator, Dispatch: d, Ledger: ledger, Backlog: back, Presence: hub, Subscriptions: hub, Messages: db, Audits: db})
	must(b, d.Start(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	b.Cleanup(func() {
		d.Close()
		cancel()
		running.Wait()
		must(b, ledger.Close(context.Background()))
		must(b, db.Close())
	})

	tokens := make([]string, unicastDevices)
	each(b, unicastDevices, func(i int) error {
		alias := herald.Alias(fmt.Sprintf("user-%05d", i))
		dev, token, _, err := reg.Register(ctx, registry.RegisterRequest{App: row.Key, Platform: herald.PlatformWeb, Alias: &alias})
		u.ids[i], tokens[i] = dev.ID, token
		return err
	})
	transport := websocket.New(websocket.Config{})
	u.joined.Add(unicastDevices)
	for _, token := range tokens {
		must(b, hub.Attach(transport, &ear{u: u}, false).Hello(live.Hello{Token: token}))
	}
	u.joined.Wait()

	mux := http.NewServeMux()
	v1.New(v1.Config{Service: service, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Observe: metrics.Request,
		Limits: v1.Limits{KeyRate: 1e8, DeviceRate: 10, AddressRate: 20}}).Mount(mux)
	u.handler = mux
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(string(row.Key), secret)
	u.auth = r.Header.Get("Authorization")
	return u
}

// message writes the body of a message to the i-th device, as an app server
// would.
func (u *unicast) message(to []byte, i int, byAlias bool, ttl int) []byte {
	i = i * 7919 % unicastDevices
	if byAlias {
		to = fmt.Appendf(to, `{"audience":{"aliases":["user-%05d"]}`, i)
	} else {
		to = fmt.Appendf(to, `{"audience":{"registration_ids":["%s"]}`, u.ids[i])
	}
	return fmt.Appendf(to, `,"notification":{"title":"Your order has shipped","body":"It should reach you tomorrow."},"data":{"order":%d},"ttl":%d}`, i, ttl)
}

// light is a response writer that keeps the head and counts the body.
type light struct {
	header http.Header
	status int
	body   []byte
}

func (w *light) Header() http.Header         { return w.header }
func (w *light) WriteHeader(status int)      { w.status = status }
func (w *light) Write(b []byte) (int, error) { w.body = append(w.body, b...); return len(b), nil }

// caller calls the handler as an engine that reads HTTP by itself does.
type caller struct {
	u     *unicast
	w     light
	head  http.Header
	url   *url.URL
	bytes bytes.Reader
}

func (u *unicast) caller(path, media string) *caller {
	return &caller{u: u, w: light{header: http.Header{}}, url: &url.URL{Path: path},
		head: http.Header{"Authorization": {u.auth}, "Content-Type": {media}, "User-Agent": {"bench"}, "Accept": {"*/*"}}}
}

func (c *caller) post(b *testing.B, body []byte, want int) {
	c.bytes.Reset(body)
	clear(c.w.header)
	c.w.status, c.w.body = 0, c.w.body[:0]
	c.u.handler.ServeHTTP(&c.w, &http.Request{Method: http.MethodPost, URL: c.url, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.head, Host: "127.0.0.1:7700", RemoteAddr: "127.0.0.1:40000", RequestURI: c.url.Path,
		ContentLength: int64(len(body)), Body: io.NopCloser(&c.bytes)})
	if c.w.status != want {
		b.Fatalf("got %d: %s", c.w.status, c.w.body)
	}
}

// unicastBatch is how many messages are in a batch of BenchmarkUnicast.
const unicastBatch = 1000

// BenchmarkUnicast sends messages with TTL 0 to one device each through the
// whole handler of the API, alone and in batches, to sessions without sockets.
// One operation is one message.
func BenchmarkUnicast(b *testing.B) {
	u := newUnicast(b)
	for _, to := range []struct {
		name    string
		byAlias bool
	}{{"id", false}, {"alias", true}} {
		bodies := make([][]byte, 10*unicastBatch)
		for i := range bodies {
			bodies[i] = u.message(nil, i, to.byAlias, 0)
		}
		warm := u.caller("/v1/messages", "application/json")
		for _, body := range bodies { // everybody was sent something before
			warm.post(b, body, http.StatusAccepted)
		}
		b.Run("single/"+to.name, func(b *testing.B) {
			c := u.caller("/v1/messages", "application/json")
			u.measure(b, b.N, func() {
				for i := range b.N {
					c.post(b, bodies[i%len(bodies)], http.StatusAccepted)
				}
			})
		})
		for _, form := range []string{"ndjson", "array"} {
			var batches [][]byte
			media := "application/x-ndjson"
			for part := range slices.Chunk(bodies, unicastBatch) {
				batch := bytes.Join(part, []byte("\n"))
				if form == "array" {
					media, batch = "application/json", slices.Concat([]byte("["), bytes.Join(part, []byte(",")), []byte("]"))
				}
				batches = append(batches, batch)
			}
			b.Run("batch/"+form+"/"+to.name, func(b *testing.B) {
				c := u.caller("/v1/messages:batch", media)
				n := max(1, b.N/unicastBatch)
				u.measure(b, n*unicastBatch, func() {
					for i := range n {
						c.post(b, batches[i%len(batches)], http.StatusOK)
					}
				})
			})
		}
	}
}

// measure tells what the calls of do take for each of n messages, and that each
// came to a connection.
func (u *unicast) measure(b *testing.B, n int, do func()) {
	before := u.sent.Load()
	b.ReportAllocs()
	used := cpuTime(b)
	b.ResetTimer()
	do()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-used).Nanoseconds())/1e3/float64(n), "cpu-µs/message")
	if got := u.sent.Load() - before; got != int64(n) {
		b.Fatalf("%d of %d messages were handed to a connection", got, n)
	}
}
