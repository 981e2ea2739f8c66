package live_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a transport whose frames are lines of JSON.
type lines struct {
	encoded  int64 // atomic, as is what follows
	presence int64
}

func (*lines) Name() string { return "lines" }
func (l *lines) Encode(r live.Release) live.Frame {
	atomic.AddInt64(&l.encoded, 1)
	return append(live.ReleaseJSON(r), '\n')
}
func (l *lines) Publication(p live.Publication) live.Frame {
	atomic.AddInt64(&l.encoded, 1)
	return live.Line(live.TopicJSON(p))
}
func (l *lines) Control(c live.Control) live.Frame {
	if c.Kind == live.Presence {
		atomic.AddInt64(&l.presence, 1)
	}
	return append(live.ControlJSON(c), '\n')
}

// sink is a Conn that keeps what it is sent, up to room frames.
type sink struct {
	mu     sync.Mutex
	frames []string
	room   int
	why    live.Reason

	welcomed chan struct{} // closed with the first frame, if it is not nil
}

func (s *sink) Send(f live.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.why.Code != 0:
		return live.ErrClosed
	case len(s.frames) >= s.room:
		return live.ErrFull
	}
	s.frames = append(s.frames, string(f))
	if s.welcomed != nil && len(s.frames) == 1 {
		close(s.welcomed)
	}
	return nil
}

func (s *sink) setRoom(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = n
}

func (s *sink) Close(why live.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.Code == 0 {
		s.why = why
	}
}

func (s *sink) got() (frames []string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.frames...), s.why.Code
}

// meddling is a world in which something happens to a device while its token
// is being checked.
type meddling struct {
	*livetest.World
	meanwhile func(live.Device)
}

func (m *meddling) Authenticate(ctx context.Context, token string) (live.Device, string, error) {
	d, fresh, err := m.World.Authenticate(ctx, token)
	if err == nil && m.meanwhile != nil {
		m.meanwhile(d)
	}
	return d, fresh, err
}

func start(t *testing.T, w *livetest.World, dir live.Directory) *live.Hub {
	hub := live.NewHub(live.Options{Directory: dir, Backlog: w, Receipts: w})
	done := make(chan error, 1)
	go func() { done <- hub.Run(context.Background()) }()
	t.Cleanup(func() {
		hub.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return hub
}

func TestWhatHappensWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		m := w.Join(herald.PlatformWeb)
		dir := &meddling{World: w}
		hub := start(t, w, dir)

		dir.meanwhile = func(d live.Device) {
			hub.Disconnect(d.App, d.Ord, live.Reason{Code: live.CloseBadToken, Text: "revoked"})
		}
		c := &sink{room: 100}
		if err := hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if frames, code := c.got(); code != live.CloseBadToken || len(frames) != 0 || hub.Count(livetest.App) != 0 {
			t.Fatalf("a device that was removed got %q and code %d", frames, code)
		}

		old := w.Accept(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}, ByAlias: true})
		dir.meanwhile = func(d live.Device) { hub.Rebind(d.App, d.Ord, w.Rebind(m)) }
		c = &sink{room: 100}
		_ = hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token})
		synctest.Wait()
		if took, err := hub.Deliver(t.Context(), old); err != nil || !took.Empty() {
			t.Fatalf("took %v, %v", took.Ordinals(), err)
		}
		if frames, _ := c.got(); len(frames) != 1 || !strings.Contains(frames[0], "welcome") {
			t.Fatalf("got %q, want only a welcome", frames)
		}
	})
}

func TestEncodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := start(t, w, w)
		tr := &lines{}
		var all []livetest.Member
		for range 5 {
			m := w.Join(herald.PlatformWeb)
			all = append(all, m)
			_ = hub.Attach(tr, &sink{room: 100}, false).Hello(live.Hello{Token: m.Token})
		}
		synctest.Wait()
		h := w.Accept(livetest.Send{Content: livetest.Text("x"), To: all})
		if took, err := hub.Deliver(t.Context(), h); err != nil || took.Len() != 5 {
			t.Fatalf("took %v, %v", took.Ordinals(), err)
		}
		late := &sink{room: 100}
		_ = hub.Attach(tr, late, false).Hello(live.Hello{Token: all[0].Token})
		synctest.Wait()
		if frames, _ := late.got(); len(frames) != 2 || tr.encoded != 1 {
			t.Fatalf("%d frames, encoded %d times", len(frames), tr.encoded)
		}
	})
}

func TestUnreadableContentStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := start(t, w, w)
		m := w.Join(herald.PlatformWeb)
		bad := w.Accept(livetest.Send{Content: herald.Content{Data: []byte("{")}, To: []livetest.Member{m}})
		body := w.Accept(livetest.Send{To: []livetest.Member{m}})
		body.Msg.Body = []byte(`{"notification":`)
		good := w.Accept(livetest.Send{To: []livetest.Member{m}})
		good.Msg.Body = []byte(`{"notification":{"title":"from the body"}}`)
		c := &sink{room: 100}
		_ = hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token})
		synctest.Wait()
		if frames, _ := c.got(); len(frames) != 2 || !strings.Contains(frames[1], "from the body") {
			t.Fatalf("got %q", frames)
		}
		again := w.Accept(livetest.Send{Content: herald.Content{Data: []byte("{")}, To: []livetest.Member{m}})
		if took, err := hub.Deliver(t.Context(), again); err != nil || !took.Empty() {
			t.Fatalf("took %v, %v", took.Ordinals(), err)
		}
		if w.Sent(bad.Msg.ID, m) || !w.Sent(good.Msg.ID, m) {
			t.Fatal("what was reported as sent is not what was sent")
		}
	})
}

func TestRefusedByQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := start(t, w, w)
		m := w.Join(herald.PlatformWeb)
		c := &sink{room: 2} // the welcome and one more
		s := hub.Attach(&lines{}, c, false)
		_ = s.Hello(live.Hello{Token: m.Token})
		synctest.Wait()
		to := livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}}
		first, second := w.Accept(to), w.Accept(to)
		for _, h := range []struct {
			id   herald.MessageID
			sent bool
		}{{first.Msg.ID, true}, {second.Msg.ID, false}} {
			r := first
			if h.id == second.Msg.ID {
				r = second
			}
			if took, err := hub.Deliver(t.Context(), r); err != nil || took.Len() != 1 || w.Sent(h.id, m) != h.sent {
				t.Fatalf("took %v, %v, sent %v", took.Ordinals(), err, w.Sent(h.id, m))
			}
		}
		to.Volatile = true
		if took, err := hub.Deliver(t.Context(), w.Accept(to)); err != nil || !took.Empty() {
			t.Fatalf("a message with TTL 0 was taken by a full queue: %v, %v", took.Ordinals(), err)
		}
		c.mu.Lock()
		c.room = 100
		c.mu.Unlock()
		s.Writable()
		synctest.Wait()
		if frames, _ := c.got(); len(frames) != 3 || !strings.Contains(frames[2], second.Msg.ID.String()) || !w.Sent(second.Msg.ID, m) {
			t.Fatalf("got %q", frames)
		}
	})
}

func TestHubLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		o := live.Options{Directory: w, Backlog: w, Receipts: w}
		never := live.NewHub(o)
		never.Close()
		if err := never.Run(t.Context()); err == nil {
			t.Error("a closed hub runs")
		}
		hub := live.NewHub(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		synctest.Wait()
		if err := hub.Run(ctx); err == nil {
			t.Error("a hub runs twice")
		}
		c := &sink{room: 10}
		hub.Attach(&lines{}, c, false)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		hub.Close() // again
		if _, code := c.got(); code != live.CloseDraining {
			t.Errorf("closed with %d", code)
		}
		late := &sink{room: 10}
		s := hub.Attach(&lines{}, late, false)
		if _, code := late.got(); code != live.CloseDraining || s.Hello(live.Hello{Token: "x"}) == nil {
			t.Errorf("a late connection got %d", code)
		}
		if hub.Count("nobody") != 0 || !hub.Online("nobody").Empty() || hub.Transports("nobody", 1) != nil {
			t.Error("an unknown app has somebody online")
		}
	})
}

func TestCheck(t *testing.T) {
	w := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
	m := w.Join(herald.PlatformWeb)
	for token, want := range map[string]herald.Code{m.Token: "", "": herald.CodeUnauthorized, "x": herald.CodeUnauthorized} {
		if got := herald.CodeOf(errOf(hub.Check(t.Context(), live.Hello{Token: token}))); got != want {
			t.Errorf("%q: %q, want %q", token, got, want)
		}
	}
}

// failing is a directory whose record does not answer.
type failing struct {
	*livetest.World
	err error
}

func (f failing) Authenticate(context.Context, string) (live.Device, string, error) {
	return live.Device{}, "", f.err
}

func TestReasonOfFailedAuthentication(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{herald.Errorf(herald.CodeUnauthorized, "", "no"), live.CloseBadToken},
		{herald.Errorf(herald.CodeForbidden, "", "no"), live.CloseForbidden},
		{herald.Errorf(herald.CodeDraining, "", "no"), live.CloseDraining},
		{herald.Errorf(herald.CodeStorageUnavailable, "", "no"), live.CloseTooMany},
		{errors.New("no"), live.CloseTooMany},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := livetest.NewWorld()
			hub := start(t, w, failing{w, c.err})
			s := &sink{room: 1}
			_ = hub.Attach(&lines{}, s, false).Hello(live.Hello{Token: "x"})
			synctest.Wait()
			if _, code := s.got(); code != c.code {
				t.Errorf("%v: closed with %d, want %d", c.err, code, c.code)
			}
		})
	}
}

func TestManySessionsPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := start(t, w, w)
		at := map[int]int{}
		var conns []*sink
		for range 300 {
			m := w.Join(herald.PlatformWeb)
			c := &sink{room: 1000}
			conns = append(conns, c)
			_ = hub.Attach(&lines{}, c, true).Hello(live.Hello{Token: m.Token})
		}
		synctest.Wait()
		for second := 1; second <= 60; second++ {
			time.Sleep(time.Second)
			synctest.Wait()
			for _, c := range conns {
				if frames, _ := c.got(); len(frames) == 2 {
					at[second]++
				}
			}
		}
		if at[44] != 0 || at[57] != 300 || at[50] < 60 || at[50] > 240 {
			t.Fatalf("pinged after 44 s: %d, 50 s: %d, 57 s: %d of 300", at[44], at[50], at[57])
		}
	})
}

// lagging is a backlog that does not show the end of the log at first.
type lagging struct {
	*livetest.World
	mu   sync.Mutex
	lags int
}

func (l *lagging) Waiting(ctx context.Context, d live.Device, after herald.Pos, limit int) ([]live.Waiting, herald.Pos, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lags > 0 {
		l.lags--
		return nil, after, false, nil
	}
	return l.World.Waiting(ctx, d, after, limit)
}

func TestBacklogThatLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &lagging{World: livetest.NewWorld(), lags: 4}
		m := w.Join(herald.PlatformWeb)
		hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
		done := make(chan struct{})
		go func() { defer close(done); _ = hub.Run(context.Background()) }()
		defer func() { hub.Close(); <-done }()
		h := w.Accept(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}})
		c := &sink{room: 100}
		s := hub.Attach(&lines{}, c, true)
		w.mu.Lock() // fanned out while the first page is being read
		_ = s.Hello(live.Hello{Token: m.Token})
		for hub.Count(livetest.App) == 0 {
			runtime.Gosched()
		}
		if took, err := hub.Deliver(t.Context(), h); err != nil || took.Len() != 1 {
			t.Errorf("took %v, %v", took.Ordinals(), err)
		}
		w.mu.Unlock()
		time.Sleep(20 * time.Second) // tries after 1, 2, 4 and 8 s
		synctest.Wait()
		if frames, _ := c.got(); len(frames) != 2 || hub.Replayed() != 1 {
			t.Errorf("got %q; %d replayed", frames, hub.Replayed())
		}
	})
}

func TestTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		m := w.Join(herald.PlatformWeb)
		// Nobody runs this hub, so that sessions stay as they are.
		hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
		c := &sink{room: 100}
		s := hub.Attach(&lines{}, c, false)
		if err := s.Ack([]herald.MessageID{1}); err == nil || err.Code != herald.CodeConflict {
			t.Errorf("an early acknowledgement gives %v", err)
		}
		if err := s.AckUpto("x"); err == nil || err.Code != herald.CodeConflict {
			t.Errorf("an early cursor gives %v", err)
		}
		for what, ids := range map[herald.DeliveryState][]herald.MessageID{"sent": {1}, herald.StateClicked: nil, herald.StateReceived: make([]herald.MessageID, herald.MaxIDsPerCall+1)} {
			if err := s.Event(what, ids); err == nil || err.Code != herald.CodeInvalidRequest {
				t.Errorf("%s of %d messages gives %v", what, len(ids), err)
			}
		}
		_ = s.Hello(live.Hello{Token: m.Token})
		for range 16 {
			s.Receive([]byte(`{"type":"ack","ids":["1"]}`))
		}
		if _, code := c.got(); code != 0 {
			t.Errorf("16 early frames: closed with %d", code)
		}
		s.Receive([]byte(`{"type":"ack","ids":["1"]}`))
		if _, code := c.got(); code != live.CloseProtocol {
			t.Errorf("17 early frames: closed with %d", code)
		}
		hub.Close()
	})
}

func TestDrainGivesUp(t *testing.T) {
	w := livetest.NewWorld()
	m := w.Join(herald.PlatformWeb)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
	mux := http.NewServeMux()
	blocked := &blocking{entered: make(chan struct{}), leave: make(chan struct{})}
	live.Mount(mux, hub, blocked)
	done := make(chan struct{})
	go func() {
		defer close(done)
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/live?access_token="+m.Token, nil))
	}()
	<-blocked.entered
	if err := hub.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("drained with %v while a request is there", err)
	}
	close(blocked.leave)
	<-done
	if err := hub.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// blocking is an Upgrader that takes its time, and then refuses.
type blocking struct {
	lines
	entered, leave chan struct{}
}

func (*blocking) Path() string { return "/live" }
func (b *blocking) Upgrade(*live.Hub, *http.Request) (live.Response, live.Handler, error) {
	close(b.entered)
	<-b.leave
	return live.Response{}, nil, herald.Errorf(herald.CodeUnauthorized, "x", "y")
}

func errOf[T any](_ T, err error) error { return err }
