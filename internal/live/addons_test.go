package live_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
)

// numbered is a connection that greets by itself and has a window of its own.
type numbered struct {
	*sink
	mu    sync.Mutex
	calls []string
	room  int   // releases that are taken
	enter error // what Enter answers
}

func (n *numbered) note(call string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, call)
}

func (n *numbered) Enter(_ context.Context, d live.Device) error {
	n.note("enter " + string(d.App))
	return n.enter
}
func (n *numbered) Welcome(c live.Control) { n.note("welcome " + string(c.Device)) }
func (n *numbered) Opened(context.Context) { n.note("opened") }

func (n *numbered) SendRelease(_ live.Frame, kind record.ReleaseKind, _ herald.MessageID, pos herald.Pos) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.room == 0 {
		return live.ErrWindow
	}
	n.room--
	call := "release"
	if kind == record.ReleaseWithdraw {
		call = "notice"
	}
	if pos == 0 {
		call = "volatile"
	}
	n.calls = append(n.calls, call)
	return nil
}

// since gives what was called since.
func (n *numbered) since() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.calls
	n.calls = nil
	return out
}

func (r *room) number(h live.Hello, room int) (*numbered, *live.Session) {
	r.Helper()
	n := &numbered{sink: &sink{room: 1 << 20}, room: room}
	s := r.hub.Attach(r.transport, n, false)
	if err := s.Hello(h); err != nil {
		r.Fatal(err)
	}
	return n, s
}

// TestWindow: a connection whose client does not acknowledge is no slow one, as
// long as it is heard, and goes on when there is room.
func TestWindow(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		push := func(volatile bool) record.Handover {
			h := r.Accept(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}, Volatile: volatile})
			if _, err := r.hub.Deliver(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			return h
		}
		push(false)
		n, s := r.number(live.Hello{Token: m.Token, Timeout: time.Hour}, 2)
		expect := func(want ...string) {
			t.Helper()
			if got := n.since(); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		expect("enter "+string(livetest.App), "welcome "+string(m.ID), "opened", "release")
		h := push(false)
		push(false) // no room
		push(true)  // gone for good
		expect("release")
		for range 4 {
			time.Sleep(50 * time.Minute) // far more than a full queue may take
			s.Heard()
		}
		if _, open := s.Device(); !open {
			t.Fatal("the session is closed")
		}
		n.mu.Lock()
		n.room = 9
		n.mu.Unlock()
		s.Writable()
		expect("release")
		push(true)
		if _, err := r.hub.Deliver(t.Context(), r.Withdraw(h.Msg.ID)); err != nil {
			t.Fatal(err)
		}
		expect("volatile", "notice")
		if list := r.hub.Conns(livetest.App, m.Ord); len(list) != 1 || list[0] != live.Conn(n) {
			t.Errorf("connections are %v", list)
		}
	})
}

// TestTimeoutOfTheClient: silence counts by what the client has said, and nobody
// asks it.
func TestTimeoutOfTheClient(t *testing.T) {
	for timeout, until := range map[time.Duration]time.Duration{
		1500 * time.Millisecond: 1500 * time.Millisecond, 90 * time.Second: 90 * time.Second, time.Hour: time.Hour,
		-1: 0, 100 * time.Hour: 0,
	} {
		topical(t, live.Options{}, func(r *room) {
			n, s := r.number(live.Hello{Token: r.Join(herald.PlatformLinux).Token, Timeout: timeout}, 0)
			synctest.Wait()
			if until == 0 {
				time.Sleep(10 * time.Hour)
				if _, open := s.Device(); !open {
					t.Fatalf("%s: closed", timeout)
				}
			} else {
				time.Sleep(until - time.Millisecond)
				s.Heard()
				time.Sleep(until - time.Millisecond)
				if _, open := s.Device(); !open {
					t.Fatalf("%s: closed too early", timeout)
				}
				time.Sleep(2 * time.Second)
				if _, open := s.Device(); open {
					t.Fatalf("%s: still open", timeout)
				}
			}
			if frames, _ := n.got(); len(frames) > 0 {
				t.Errorf("%s: it was sent %q", timeout, frames)
			}
		})
	}
}

// TestEnterRefuses: with a reason of its own, or as a token would be refused.
func TestEnterRefuses(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{&live.Refusal{Reason: live.Reason{Code: 0x85, Text: "no"}}, 0x85},
		{herald.Errorf(herald.CodeForbidden, "", "no"), live.CloseForbidden},
		{errors.New("no"), live.CloseTooMany},
	} {
		topical(t, live.Options{}, func(r *room) {
			n := &numbered{sink: &sink{room: 1 << 20}, enter: c.err}
			s := r.hub.Attach(r.transport, n, false)
			_ = s.Hello(live.Hello{Token: r.Join(herald.PlatformLinux).Token})
			if got := n.since(); len(got) != 1 {
				t.Errorf("got %q", got)
			}
			if _, why := n.got(); why != c.code || r.hub.Count(livetest.App) != 0 {
				t.Errorf("closed with %d, want %d", why, c.code)
			}
		})
	}
}

// TestDo: what is to be done for a session is done in order, also after its end,
// and by one worker at a time.
func TestDo(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		n, s := r.number(live.Hello{Token: r.Join(herald.PlatformLinux).Token}, 0)
		s.Do(func(context.Context) {
			n.note("1")
			s.Do(func(context.Context) { n.note("3") })
			time.Sleep(time.Second)
			n.note("2")
		})
		time.Sleep(2 * time.Second)
		if got := n.since(); !slices.Equal(got[len(got)-3:], []string{"1", "2", "3"}) {
			t.Errorf("got %q", got)
		}
		s.Do(func(context.Context) { n.note("4") })
		s.Closed()
		s.Do(func(context.Context) { n.note("5") })
		if got := n.since(); !slices.Equal(got, []string{"4", "5"}) {
			t.Errorf("got %q", got)
		}
	})
}

// TestRenew: the session goes on with a token of its device and of no other.
func TestRenew(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		_, s := r.number(live.Hello{Token: m.Token}, 0)
		synctest.Wait()
		if err := s.Renew(t.Context(), "old-"+m.Token); err != nil {
			t.Error(err)
		}
		for _, token := range []string{"", "x", r.Join(herald.PlatformLinux).Token, "other-" + m.Token} {
			if err := s.Renew(t.Context(), token); herald.CodeOf(err) != herald.CodeUnauthorized {
				t.Errorf("%.8q: %v", token, err)
			}
		}
	})
}
