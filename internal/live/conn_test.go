package live

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// recorder is a handler that writes down its calls.
type recorder struct {
	calls []string
	conn  Conn
	err   error // what Data answers
}

func (r *recorder) Open(c Conn) { r.conn, r.calls = c, append(r.calls, "open") }
func (r *recorder) Data(b []byte) error {
	r.calls = append(r.calls, "data "+string(b))
	return r.err
}
func (r *recorder) Writable() { r.calls = append(r.calls, "writable") }
func (r *recorder) Closed(err error) {
	if err != nil {
		r.calls = append(r.calls, "failed")
	}
	r.calls = append(r.calls, "closed")
}
func (r *recorder) Farewell(why Reason) Frame { return Frame("bye " + why.Text) }

// drive runs a conn over a pipe, with something that was read before.
func drive(t *testing.T, o Options, r *recorder) (*Hub, net.Conn, <-chan struct{}) {
	hub := NewHub(o)
	client, server := net.Pipe()
	c := newConn(hub, r, &socketLink{Conn: server, early: []byte("early")})
	done := make(chan struct{})
	go func() { defer close(done); c.serve([]byte("head;")) }()
	if got := take(t, client, 5); got != "head;" {
		t.Fatalf("got %q", got)
	}
	synctest.Wait()
	return hub, client, done
}

func take(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConnQueue(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		fits int // frames of 100 bytes, beside the one that is always taken
	}{
		{"of the connection", Options{SessionQueue: 1000}, 10},
		{"of the node", Options{SessionQueue: 1 << 20, QueueMemory: 500}, 5},
		{"smaller than a frame", Options{SessionQueue: 10}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				hub, client, done := drive(t, c.o, r)
				f := Frame(bytes.Repeat([]byte("x"), 100))
				n := 0
				for r.conn.Send(f) == nil {
					n++
				}
				if n != c.fits || !errors.Is(r.conn.Send(f), ErrFull) || hub.queued.Load() != int64(n*100) {
					t.Fatalf("%d frames fit, want %d", n, c.fits)
				}
				take(t, client, n*100)
				synctest.Wait()
				if got := strings.Join(r.calls, ";"); got != "open;data early;writable" || hub.queued.Load() != 0 {
					t.Fatalf("calls %s, %d bytes are queued", got, hub.queued.Load())
				}
				_ = r.conn.Send(f)
				_ = client.Close() // with a frame on its way
				<-done
				if hub.queued.Load() != 0 || !errors.Is(r.conn.Send(f), ErrClosed) {
					t.Fatalf("%d bytes are queued after the end", hub.queued.Load())
				}
			})
		})
	}
}

func TestConnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, client, done := drive(t, Options{}, r)
		_ = r.conn.Send(Frame("one;"))
		r.conn.Close(Reason{4012, "now"})
		r.conn.Close(Reason{4001, "later"})
		if !errors.Is(r.conn.Send(Frame("two;")), ErrClosed) {
			t.Error("sent after Close")
		}
		go func() { _, _ = client.Write([]byte("too late")) }()
		b, err := io.ReadAll(client)
		if string(b) != "one;bye now" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		<-done
		if got := strings.Join(r.calls, ";"); !strings.HasPrefix(got, "open;data early;") || strings.Contains(got, "late") && !strings.HasSuffix(got, "closed") {
			t.Errorf("calls %s", got)
		}
		client.Close()
	})
}

func TestConnCloseOfAStuckPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		hub, client, done := drive(t, Options{}, r)
		_ = r.conn.Send(Frame("nobody reads this"))
		synctest.Wait()
		began := time.Now()
		r.conn.Close(Reason{4010, "slow"})
		<-done
		if took := time.Since(began); took != closeWithin || hub.queued.Load() != 0 {
			t.Errorf("took %s, %d bytes are queued", took, hub.queued.Load())
		}
		client.Close()
	})
}

func TestConnDataError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: errors.New("no")}
		_, client, done := drive(t, Options{}, r)
		<-done
		if got := strings.Join(r.calls, ";"); got != "open;data early;failed;closed" {
			t.Errorf("calls %s", got)
		}
		client.Close()
	})
}

func TestConnHeadCannotBeWritten(t *testing.T) {
	client, server := net.Pipe()
	client.Close()
	r := &recorder{}
	newConn(NewHub(Options{}), r, &socketLink{Conn: server}).serve([]byte("head"))
	if got := strings.Join(r.calls, ";"); got != "open;failed;closed" {
		t.Errorf("calls %s", got)
	}
}

func TestFrameCache(t *testing.T) {
	c := newFrameCache(3 * (100 + frameOverhead))
	key := func(i int) frameKey {
		return frameKey{kind: record.ReleaseMessage, msg: herald.MessageID(i), pos: 1}
	}
	for i := range 5000 {
		f := Frame(bytes.Repeat([]byte{byte(i)}, 100))
		if got := c.put(key(i), keptFrame{frame: f}); &got[0] != &f[0] {
			t.Fatal("another frame came back")
		}
		if again := c.put(key(i), keptFrame{frame: Frame("other")}); &again[0] != &f[0] {
			t.Fatal("a frame was replaced")
		}
		if i >= 3 && c.get(key(i-3), "") != nil || i >= 2 && c.get(key(i-2), "") == nil {
			t.Fatalf("after %d frames the cache does not hold the last three", i+1)
		}
	}
	if len(c.frames) != 3 || len(c.order) > 2100 || c.room != 0 {
		t.Fatalf("%d frames, %d keys, room %d", len(c.frames), len(c.order), c.room)
	}
	c.put(key(9999), keptFrame{frame: make(Frame, 10000)})
	if c.get(key(9999), "") != nil || len(c.frames) != 0 {
		t.Fatal("a frame larger than the cache is kept")
	}
}

// What is forgotten leaves its room, and the order of the others.
func TestForgetFrames(t *testing.T) {
	h := NewHub(Options{FrameMemory: 4 * (100 + frameOverhead)})
	c := h.cache
	key := func(msg herald.MessageID, p herald.Platform) frameKey {
		return frameKey{kind: record.ReleaseMessage, msg: msg, platform: p, pos: 1}
	}
	put := func(k frameKey) { c.put(k, keptFrame{frame: make(Frame, 100)}) }
	for _, k := range []frameKey{key(9, ""), key(1, ""), key(2, ""), key(1, "ios"), key(3, "")} { // 9 goes
		put(k)
	}
	h.Forget(1, 7)
	for _, k := range []frameKey{key(1, ""), key(1, "ios")} {
		if _, kept := c.frames[k]; kept {
			t.Errorf("%+v is still there", k)
		}
	}
	for i := range 3 {
		put(key(herald.MessageID(4+i), ""))
	}
	var kept []herald.MessageID
	for _, k := range c.order[c.head:] {
		kept = append(kept, k.msg)
	}
	if !slices.Equal(kept, []herald.MessageID{3, 4, 5, 6}) || len(c.frames) != 4 || c.room != 0 {
		t.Errorf("messages %v, %d frames, room %d", kept, len(c.frames), c.room)
	}
}

func TestWheel(t *testing.T) {
	w := newWheel()
	a, b, c, far := &Session{}, &Session{}, &Session{}, &Session{}
	w.schedule(a, 2500*time.Millisecond)
	w.schedule(b, 2500*time.Millisecond)
	w.schedule(c, 2500*time.Millisecond)
	w.schedule(far, time.Hour)
	w.remove(b)
	w.remove(b)
	w.schedule(c, 5*time.Second) // moved
	for _, s := range []struct {
		now  time.Duration
		want []*Session
	}{{2 * time.Second, nil}, {3 * time.Second, []*Session{a}}, {4 * time.Second, nil}, {9 * time.Second, []*Session{c}}} {
		got := w.due(s.now, nil)
		if len(got) != len(s.want) || len(got) == 1 && got[0] != s.want[0] {
			t.Fatalf("at %s: %d sessions", s.now, len(got))
		}
	}
	w.schedule(a, time.Second) // has passed: with the next tick
	if got := w.due(10*time.Second, nil); len(got) != 1 || got[0] != a {
		t.Fatalf("%d sessions", len(got))
	}
	// What is beyond the wheel comes early, once per turn, to be put back.
	if got := w.due(wheelSlots*time.Second, nil); len(got) != 1 || got[0] != far {
		t.Fatalf("%d sessions", len(got))
	}
}
