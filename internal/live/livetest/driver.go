package livetest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// RunDriver holds a driver to what live.Conn and live.Handler promise. make
// starts one in a test with a clock of its own, in which its sockets are pipes.
func RunDriver(t *testing.T, start func(t *testing.T) (live.Driver, func())) {
	d := driving{start}
	t.Run("the queue is full", d.queue)
	t.Run("close", d.closes)
	t.Run("close of a stuck peer", d.closesStuck)
	t.Run("what comes is refused", d.dataError)
	t.Run("the head cannot be written", d.noHead)
	t.Run("order and joined writes", d.order)
	t.Run("closed by the handler", d.closesWithin)
}

type driving struct {
	start func(t *testing.T) (live.Driver, func())
}

// recorder is a handler that writes down its calls.
type recorder struct {
	calls  []string
	conn   live.Conn
	err    error // what Data answers
	ended  chan struct{}
	within bool // Data closes the connection
	deaf   bool // the client reads nothing
}

func (r *recorder) Open(c live.Conn) { r.conn, r.calls = c, append(r.calls, "open") }
func (r *recorder) Data(b []byte) error {
	r.calls = append(r.calls, "data "+string(b))
	if r.within {
		r.conn.Close(live.Reason{Code: 4013, Text: "enough"})
	}
	return r.err
}
func (r *recorder) Writable() { r.calls = append(r.calls, "writable") }
func (r *recorder) Closed(err error) {
	if err != nil {
		r.calls = append(r.calls, "failed")
	}
	r.calls = append(r.calls, "closed")
	close(r.ended)
}
func (r *recorder) Farewell(why live.Reason) live.Frame { return live.Frame("bye " + why.Text) }

// adopt drives one end of a pipe, with something that was read before.
func (d driving) adopt(t *testing.T, o live.Options, r *recorder) (hub *live.Hub, client net.Conn, done <-chan struct{}) {
	world := NewWorld()
	o.Directory, o.Backlog, o.Receipts = world, world, world
	hub = live.NewHub(o)
	driver, stop := d.start(t)
	t.Cleanup(stop)
	p, err := hub.Admit()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	r.ended = ended
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	if !driver.Adopt(server, []byte("early"), []byte("head;"), r, p) {
		t.Fatal("the driver does not take the socket")
	}
	if r.deaf {
		return hub, client, ended
	}
	if got := read(t, client, 5); got != "head;" {
		t.Fatalf("got %q", got)
	}
	synctest.Wait()
	return hub, client, ended
}

func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (d driving) queue(t *testing.T) {
	for _, c := range []struct {
		name string
		o    live.Options
		fits int // frames of 100 bytes, beside the one that is always taken
	}{
		{"of the connection", live.Options{SessionQueue: 1000}, 10},
		{"of the node", live.Options{SessionQueue: 1 << 20, QueueMemory: 500}, 5},
		{"smaller than a frame", live.Options{SessionQueue: 10}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				hub, client, done := d.adopt(t, c.o, r)
				f := live.Frame(bytes.Repeat([]byte("x"), 100))
				n := 0
				for r.conn.Send(f) == nil {
					n++
				}
				synctest.Wait() // a driver counts what does not leave at once
				if n != c.fits || !errors.Is(r.conn.Send(f), live.ErrFull) || hub.Queued(0) != int64(n*100) {
					t.Fatalf("%d frames fit, want %d", n, c.fits)
				}
				read(t, client, n*100)
				synctest.Wait()
				if got := strings.Join(r.calls, ";"); got != "open;data early;writable" || hub.Queued(0) != 0 {
					t.Fatalf("calls %s, %d bytes are queued", got, hub.Queued(0))
				}
				_ = r.conn.Send(f)
				_ = client.Close() // with a frame on its way
				<-done
				if hub.Queued(0) != 0 || !errors.Is(r.conn.Send(f), live.ErrClosed) {
					t.Fatalf("%d bytes are queued after the end", hub.Queued(0))
				}
			})
		})
	}
}

func (d driving) closes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, client, done := d.adopt(t, live.Options{}, r)
		_ = r.conn.Send(live.Frame("one;"))
		r.conn.Close(live.Reason{Code: 4012, Text: "now"})
		r.conn.Close(live.Reason{Code: 4001, Text: "later"})
		if !errors.Is(r.conn.Send(live.Frame("two;")), live.ErrClosed) {
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

func (d driving) closesStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		hub, client, done := d.adopt(t, live.Options{}, r)
		_ = r.conn.Send(live.Frame("nobody reads this"))
		synctest.Wait()
		began := time.Now()
		r.conn.Close(live.Reason{Code: 4010, Text: "slow"})
		<-done
		if took := time.Since(began); took != live.CloseWithin || hub.Queued(0) != 0 {
			t.Errorf("took %s, %d bytes are queued", took, hub.Queued(0))
		}
		client.Close()
	})
}

func (d driving) dataError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: errors.New("no"), deaf: true}
		_, client, done := d.adopt(t, live.Options{}, r)
		if b, err := io.ReadAll(client); len(b) > 0 && string(b) != "head;" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		<-done
		if got := strings.Join(r.calls, ";"); got != "open;data early;failed;closed" {
			t.Errorf("calls %s", got)
		}
		client.Close()
	})
}

func (d driving) noHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{deaf: true}
		_, client, done := d.adopt(t, live.Options{}, r)
		client.Close()
		<-done
		if got := strings.Join(r.calls, ";"); got != "open;failed;closed" && got != "open;data early;failed;closed" && got != "open;data early;closed" && got != "open;closed" {
			t.Errorf("calls %s", got)
		}
	})
}

// order sends more than is written at once, in frames of every size.
func (d driving) order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, client, done := d.adopt(t, live.Options{SessionQueue: 1 << 20}, r)
		var want bytes.Buffer
		for i := range 300 {
			f := bytes.Repeat([]byte{byte(i)}, 1+i*i%3000)
			want.Write(f)
			if err := r.conn.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		// In pieces that end within frames.
		var got bytes.Buffer
		for got.Len() < want.Len() {
			got.WriteString(read(t, client, min(777, want.Len()-got.Len())))
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Error("what came is not what was sent")
		}
		client.Close()
		<-done
	})
}

func (d driving) closesWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{within: true}
		_, client, done := d.adopt(t, live.Options{}, r)
		if b, err := io.ReadAll(client); string(b) != "bye enough" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		client.Close()
		<-done
		if got := strings.Join(r.calls, ";"); got != "open;data early;closed" && got != "open;data early;failed;closed" {
			t.Errorf("calls %s", got)
		}
	})
}
