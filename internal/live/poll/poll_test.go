package poll_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backlog notes what a cursor was taken with.
type backlog struct {
	*livetest.World
	mu      sync.Mutex
	offered []herald.Pos
}

func (b *backlog) Resume(ctx context.Context, d live.Device, upto, offered herald.Pos) error {
	b.mu.Lock()
	b.offered = append(b.offered, offered)
	b.mu.Unlock()
	return b.World.Resume(ctx, d, upto, offered)
}

// env is a server whose requests are answered in memory.
type env struct {
	*testing.T
	world   *livetest.World
	backlog *backlog
	hub     *live.Hub
	mux     *http.ServeMux
}

// run runs a case with a clock of its own.
func run(t *testing.T, o live.Options, f func(*env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, o)
		synctest.Wait() // until the hub runs: a case may end without a word to it
		f(e)
	})
}

func newEnv(t *testing.T, o live.Options) *env {
	w := livetest.NewWorld()
	e := &env{T: t, world: w, backlog: &backlog{World: w}, mux: http.NewServeMux()}
	o.Directory, o.Backlog, o.Receipts = w, e.backlog, w
	e.hub = live.NewHub(o)
	live.Mount(e.mux, e.hub, poll.New(poll.Config{}))
	done := make(chan error, 1)
	go func() { done <- e.hub.Run(context.Background()) }()
	t.Cleanup(func() {
		e.hub.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

// outcome is what a request is answered with: an answer, or a problem.
type outcome struct {
	answer
	Status int    `json:"-"`
	Field  string `json:"field"`
}

func (e *env) ask(ctx context.Context, token, query string) outcome {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/live/poll?"+query, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	e.mux.ServeHTTP(w, r)
	a := outcome{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		e.Errorf("the body is %q: %v", w.Body, err)
	}
	return a
}

// get asks and expects these messages.
func (e *env) get(m livetest.Member, query string, want ...herald.MessageID) outcome {
	e.Helper()
	a := e.ask(e.Context(), m.Token, query)
	e.check(a, want...)
	return a
}

func (e *env) check(a outcome, want ...herald.MessageID) {
	e.Helper()
	if a.Status != http.StatusOK || !slices.Equal(a.ids(), want) || a.Frames == nil {
		e.Fatalf("got %d %v, want %v", a.Status, a.ids(), want)
	}
}

// hold asks and waits until the request is held.
func (e *env) hold(ctx context.Context, m livetest.Member, query string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() { out <- e.ask(ctx, m.Token, query) }()
	synctest.Wait()
	return out
}

func (e *env) accept(n int, m livetest.Member) (ids []herald.MessageID) {
	for i := range n {
		ids = append(ids, e.world.Accept(livetest.Send{Content: livetest.Text(fmt.Sprint("message ", i)), To: []livetest.Member{m}}).Msg.ID)
	}
	return ids
}

func (e *env) push(s livetest.Send) herald.MessageID {
	e.Helper()
	h := e.world.Accept(s)
	if _, err := e.hub.Deliver(e.Context(), h); err != nil {
		e.Fatal(err)
	}
	return h.Msg.ID
}

func TestWhatWaitsComesAtOnce(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		began := time.Now()
		if a := e.get(m, ""); a.Cursor != "" { // the log is empty
			e.Errorf("cursor %q", a.Cursor)
		}
		ids := e.accept(60, m)
		first := e.get(m, "wait=60", ids[:50]...)
		e.get(m, "wait=0", ids[:50]...) // not acknowledged, so it comes again
		second := e.get(m, "wait=60&cursor="+first.Cursor, ids[50:]...)
		if e.world.Received(ids[50], m) || !e.world.Received(ids[49], m) || !e.world.Sent(ids[59], m) {
			e.Error("the cursor did not acknowledge exactly what was at or before it")
		}
		e.get(m, "cursor=damaged", ids[50:]...)
		last := e.get(m, "cursor="+second.Cursor)
		if last.Cursor != second.Cursor || !e.world.Received(ids[59], m) {
			e.Errorf("cursor %s after %s", last.Cursor, second.Cursor)
		}
		if took := time.Since(began); took != 0 {
			e.Errorf("it took %s", took)
		}
	})
}

func TestHeldRequest(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		began := time.Now()
		e.get(m, "wait=7")
		if took := time.Since(began); took != 7*time.Second {
			e.Errorf("an empty answer after %s", took)
		}
		held := e.hold(e.Context(), m, "wait=60")
		time.Sleep(30 * time.Second)
		began = time.Now()
		id := e.push(livetest.Send{Content: livetest.Text("now"), To: []livetest.Member{m}})
		a := <-held
		e.check(a, id)
		if took := time.Since(began); took != 0 || e.hub.Count(livetest.App) != 0 {
			e.Errorf("after %s there are %d sessions", took, e.hub.Count(livetest.App))
		}
		// What is not in the log leaves the cursor where it is.
		held = e.hold(e.Context(), m, "wait=60&cursor="+a.Cursor)
		volatile := e.push(livetest.Send{Content: livetest.Text("or never"), To: []livetest.Member{m}, Volatile: true})
		now := <-held
		if e.check(now, volatile); now.Cursor != a.Cursor {
			e.Errorf("cursor %s after %s", now.Cursor, a.Cursor)
		}
	})
}

// TestAnAcknowledgementMayComeAtOnce holds the hub to what makes no duplicates:
// that an answer was offered is known before "sent" is written.
func TestAnAcknowledgementMayComeAtOnce(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		ids := e.accept(3, m)
		a := e.get(m, "", ids...)
		if got := e.hub.Offered(livetest.App, m.Ord); got != 3 {
			e.Errorf("offered up to %d", got)
		}
		e.get(m, "cursor="+a.Cursor)
		time.Sleep(30 * time.Second)
		e.get(m, "cursor="+a.Cursor)
		if !slices.Equal(e.backlog.offered, []herald.Pos{3, 0}) {
			e.Errorf("taken with %v", e.backlog.offered)
		}
	})
}

func TestLimitOfAnAnswer(t *testing.T) {
	run(t, live.Options{SessionQueue: 4 << 10}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		var ids []herald.MessageID
		for range 30 {
			ids = append(ids, e.world.Accept(livetest.Send{Content: livetest.Text(strings.Repeat("x", 1000)), To: []livetest.Member{m}}).Msg.ID)
		}
		var got []herald.MessageID
		cursor, asked := "", 0
		for ; len(got) < len(ids) && asked < 30; asked++ {
			a := e.ask(e.Context(), m.Token, "wait=60&cursor="+cursor)
			if len(a.Frames) == 0 || len(a.Frames) > 4 {
				e.Fatalf("%d frames in one answer", len(a.Frames))
			}
			got, cursor = append(got, a.ids()...), a.Cursor
		}
		if !slices.Equal(got, ids) {
			e.Errorf("got %d messages in %d answers, want %d", len(got), asked, len(ids))
		}
	})
}

func TestRefusals(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		for _, c := range []struct{ name, query, field string }{
			{"wait too long", "wait=61", "wait"},
			{"wait below", "wait=-1", "wait"},
			{"wait no number", "wait=1s", "wait"},
			{"wait far too long", "wait=99999999999999999999", "wait"},
			{"ack no way", "ack=all", "ack"},
		} {
			if a := e.ask(e.Context(), m.Token, c.query); a.Status != http.StatusBadRequest || a.Field != c.field {
				e.Errorf("%s: got %+v", c.name, a)
			}
		}
	})
}
