package poll_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

// answer is what a request is answered with.
type answer struct {
	Status int              `json:"-"`
	Retry  int              `json:"-"` // Retry-After
	Frames []livetest.Frame `json:"frames"`
	Cursor string           `json:"cursor"`
	Field  string           `json:"field"` // of a problem
}

func (a answer) ids() []herald.MessageID {
	var out []herald.MessageID
	for _, f := range a.Frames {
		out = append(out, f.ID)
	}
	return out
}

func (e *env) ask(ctx context.Context, token, query string) answer {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/live/poll?"+query, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	e.mux.ServeHTTP(w, r)
	a := answer{Status: w.Code}
	a.Retry, _ = strconv.Atoi(w.Header().Get("Retry-After"))
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		e.Errorf("the body is %q: %v", w.Body, err)
	}
	if cache := w.Header().Get("Cache-Control"); cache != "no-store" {
		e.Errorf("Cache-Control is %q", cache)
	}
	return a
}

// get asks and expects these messages.
func (e *env) get(m livetest.Member, query string, want ...herald.MessageID) answer {
	e.Helper()
	a := e.ask(e.Context(), m.Token, query)
	e.check(a, want...)
	return a
}

func (e *env) check(a answer, want ...herald.MessageID) {
	e.Helper()
	if a.Status != http.StatusOK || !slices.Equal(a.ids(), want) || a.Frames == nil {
		e.Fatalf("got %d %v, want %v", a.Status, a.ids(), want)
	}
}

// hold asks and waits until the request is held.
func (e *env) hold(ctx context.Context, m livetest.Member, query string) <-chan answer {
	out := make(chan answer, 1)
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
		if !e.hub.Online(livetest.App).Contains(m.Ord) || e.hub.Sessions()["poll"] != 1 {
			e.Error("a held request is no session")
		}
		time.Sleep(30 * time.Second)
		id := e.push(livetest.Send{Content: livetest.Text("now"), To: []livetest.Member{m}})
		a := <-held
		e.check(a, id)
		if f := a.Frames[0]; f.Type != "message" || f.Cursor != a.Cursor || f.Notification.Title != "now" {
			e.Errorf("got %+v and cursor %s", f, a.Cursor)
		}
		if ev := e.world.Events(id); len(ev) != 1 || ev[0].State != herald.StateSent || ev[0].Via != "poll" {
			e.Errorf("events are %+v", ev)
		}
		if e.hub.Count(livetest.App) != 0 {
			e.Error("still online after the answer")
		}

		held = e.hold(e.Context(), m, "wait=60&cursor="+a.Cursor)
		volatile := e.push(livetest.Send{Content: livetest.Text("or never"), To: []livetest.Member{m}, Volatile: true})
		if a := <-held; a.Cursor == "" || a.Frames[0].Cursor != "" {
			e.Errorf("TTL 0 gives %+v", a)
		} else {
			e.check(a, volatile)
		}

		held = e.hold(e.Context(), m, "wait=60&cursor="+a.Cursor)
		if _, err := e.hub.Deliver(e.Context(), e.world.Withdraw(id)); err != nil {
			e.Fatal(err)
		}
		if a := <-held; len(a.Frames) != 1 || a.Frames[0].Type != "withdraw" || a.Frames[0].ID != id {
			e.Errorf("a withdrawal gives %+v", a)
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
	run(t, live.Options{MaxConnections: 1}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		for _, c := range []struct {
			name, token, query string
			status             int
			field              string
		}{
			{"no token", "", "", 401, ""},
			{"bad token", "token-of-nobody", "wait=60", 401, ""},
			{"wait too long", m.Token, "wait=61", 400, "wait"},
			{"wait below", m.Token, "wait=-1", 400, "wait"},
			{"wait no number", m.Token, "wait=1s", 400, "wait"},
			{"wait far too long", m.Token, "wait=99999999999999999999", 400, "wait"},
			{"ack no way", m.Token, "ack=all", 400, "ack"},
		} {
			if a := e.ask(e.Context(), c.token, c.query); a.Status != c.status || a.Field != c.field {
				e.Errorf("%s: got %+v", c.name, a)
			}
		}
		held := e.hold(e.Context(), m, "wait=5")
		if a := e.ask(e.Context(), m.Token, ""); a.Status != 429 || a.Retry == 0 {
			e.Errorf("too many connections: got %+v", a)
		}
		e.check(<-held)
		e.get(m, "") // its place is free again
		e.world.Fail(errors.New("the disk is gone"))
		if a := e.ask(e.Context(), m.Token, "wait=60"); a.Status != 503 || a.Retry != 1 {
			e.Errorf("failing backlog: got %+v", a)
		}
	})
}

func TestFreshToken(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		ids := e.accept(1, m)
		a := e.ask(e.Context(), "old-"+m.Token, "wait=60")
		if len(a.Frames) != 2 || a.Frames[0].Type != "welcome" || a.Frames[0].Token != m.Token || a.Frames[1].ID != ids[0] {
			e.Errorf("got %+v", a)
		}
	})
}

func TestEndsOfAHeldRequest(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		var held []<-chan answer
		for range herald.MaxSessions + 1 {
			held = append(held, e.hold(e.Context(), m, "wait=60"))
		}
		if a := <-held[0]; a.Status != 429 || a.Retry != 30 {
			e.Errorf("the oldest of five is answered %+v", a)
		}
		if n := e.hub.Count(livetest.App); n != herald.MaxSessions {
			e.Errorf("%d sessions are open", n)
		}
		e.hub.Disconnect(livetest.App, m.Ord, live.Reason{Code: live.CloseBadToken, Text: "the token was revoked"})
		for _, c := range held[1:] {
			if a := <-c; a.Status != 401 {
				e.Errorf("a device that was disconnected is answered %+v", a)
			}
		}

		gone, leave := context.WithCancel(e.Context())
		left := e.hold(gone, m, "wait=60")
		leave()
		synctest.Wait()
		if e.hub.Count(livetest.App) != 0 {
			e.Error("a client that is gone is still online")
		}
		<-left

		last := e.hold(e.Context(), m, "wait=60")
		if err := e.hub.Drain(e.Context()); err != nil {
			e.Fatal(err)
		}
		if a := <-last; a.Status != 503 || a.Retry < 1 || a.Retry > 30 {
			e.Errorf("at a drain it is answered %+v", a)
		}
		if a := e.ask(e.Context(), m.Token, ""); a.Status != 503 {
			e.Errorf("after a drain: %+v", a)
		}
	})
}
