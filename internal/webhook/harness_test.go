package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// call is a request that came.
type call struct {
	url    string
	header http.Header
	raw    []byte
	body   herald.WebhookBody
	at     time.Time
}

func (c call) id() string { return c.header.Get("Webhook-Id") }

// events are the types and devices of the events of a request, in short.
func (c call) events() (out []string) {
	for _, e := range c.body.Data.Events {
		s := e.Type
		if e.MessageID != 0 {
			s += " m" + e.MessageID.String()
		}
		if e.RegistrationID != "" {
			s += " d" + strings.TrimLeft(string(e.RegistrationID), "0")
		}
		if e.Reason != "" {
			s += " " + e.Reason
		}
		out = append(out, s)
	}
	return out
}

// world is a sender over a real store, a clock, and endpoints that answer as a
// test says.
type world struct {
	t        *testing.T
	db       *sqlite.DB
	s        *Sender
	dir      string
	owner    string
	inFlight int
	wg       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	now    time.Time
	calls  []call
	answer func(call) (egress.Answer, error)
	done   map[herald.MessageID]bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), owner: "0", inFlight: 1, now: start, done: map[herald.MessageID]bool{}}
	w.answer = func(call) (egress.Answer, error) { return egress.Answer{Status: 200}, nil }
	w.open()
	w.must(w.db.CreateApp(t.Context(), record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: start}))
	t.Cleanup(func() { w.must(w.db.Close()) })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.db, err = sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(w.dir, "herald.db"), Now: w.clock})
	w.must(err)
	w.s = New(Config{Store: w.db, Egress: w, Seal: ring(w.t, "the server key"), Owner: w.owner, Now: w.clock, InFlight: w.inFlight,
		Done: func(_ context.Context, _ herald.AppKey, ids []herald.MessageID) (out []herald.MessageID, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, id := range ids {
				if w.done[id] {
					out = append(out, id)
				}
			}
			return out, nil
		}})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// answers says what endpoints answer from now on.
func (w *world) answers(f func(call) (egress.Answer, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *world) status(n int) {
	w.answers(func(call) (egress.Answer, error) { return egress.Answer{Status: n}, nil })
}

func (w *world) Check(raw string) (*url.URL, error) {
	if strings.Contains(raw, "bad") {
		return nil, herald.Invalid("url", "Use another.", "is bad")
	}
	return url.Parse(raw)
}

func (w *world) Post(_ context.Context, raw string, h http.Header, b []byte) (egress.Answer, error) {
	c := call{url: raw, header: h, raw: b, at: w.clock()}
	if err := json.Unmarshal(b, &c.body); err != nil {
		w.t.Errorf("the body %s: %v", b, err)
	}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	f := w.answer
	w.mu.Unlock()
	return f(c)
}

// turn lets a second pass, and gives the requests that came.
func (w *world) turn() []call {
	w.t.Helper()
	w.sleep(interval)
	w.must(w.s.look(w.t.Context(), &w.wg))
	w.wg.Wait()
	return w.take()
}

func (w *world) take() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.calls
	w.calls = nil
	return out
}

func (w *world) create(events ...string) (record.Webhook, string) {
	w.t.Helper()
	address := "https://example.com/hook"
	q := Spec{URL: &address}
	if events != nil {
		q.Events = &events
	}
	hook, secret, err := w.s.Create(w.t.Context(), app, q)
	w.must(err)
	return hook, secret
}

func (w *world) get(id string) record.Webhook {
	w.t.Helper()
	hook, err := w.s.Get(w.t.Context(), app, id)
	w.must(err)
	return hook
}

func (w *world) register(n int) record.Device {
	w.t.Helper()
	id := herald.RegistrationID(strings.Repeat("0", 18) + string(rune('0'+n/10)) + string(rune('0'+n%10)))
	d, _, err := w.db.Register(w.t.Context(), record.Registration{Device: record.Device{App: app, ID: id, Platform: herald.PlatformWeb, Created: start, Seen: start}})
	w.must(err)
	return d
}

func (w *world) report(msg herald.MessageID, state herald.DeliveryState, ords ...herald.Ordinal) {
	w.t.Helper()
	_, err := w.db.AppendReceipts(w.t.Context(), app, []record.Event{{Msg: msg, State: state, Set: sets.New(ords...), Time: w.clock(), Via: "websocket"}})
	w.must(err)
}
