package engine

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald/internal/live"
)

// scripted is a batch with little room, which may break.
type scripted struct {
	kernel Kernel
	room   int
	breaks bool // instead of writing
	queued []queued
	broke  bool // it has
	closed bool
}

type queued struct {
	fd     int
	frames [][]byte
	user   int
}

func (s *scripted) Add(fd int, frames [][]byte, user int) (int, bool) {
	if len(s.queued) == s.room {
		return 0, false
	}
	s.queued = append(s.queued, queued{fd, [][]byte{frames[0]}, user}) // the first frame only, as a batch may
	return 1, true
}

func (s *scripted) Write(short func(user, n int, err error)) error {
	defer func() { s.queued = nil }()
	for _, q := range s.queued {
		if s.breaks {
			short(q.user, 0, ErrAgain)
			continue
		}
		if n, err := s.kernel.Write(q.fd, q.frames); n != len(q.frames[0]) || err != nil {
			short(q.user, n, err)
		}
	}
	if s.breaks {
		s.broke = true
		return errors.New("no more")
	}
	return nil
}

func (s *scripted) Close() { s.closed = true }

// scriptedKernel is a kernel in memory whose loops write with a batch.
type scriptedKernel struct {
	Kernel
	batch *scripted
}

func (k *scriptedKernel) NewBatch() (Batch, error) { return k.batch, nil }

// idle is a handler that does nothing.
type idle struct{ conn live.Conn }

func (h *idle) Open(c live.Conn) { h.conn = c }
func (*idle) Data([]byte) error  { return nil }
func (*idle) Writable()          {}
func (*idle) Closed(error)       {}

// TestBatches writes two frames to each of many connections through a batch that
// has less room than they need, and through one that breaks: then the loop goes
// on without it, and nothing is lost.
func TestBatches(t *testing.T) {
	for name, breaks := range map[string]bool{"little room": false, "it breaks": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := NewMemory()
				s := &scripted{kernel: k, room: 3, breaks: breaks}
				e, err := New(&scriptedKernel{k, s}, Config{Loops: 1})
				if err != nil {
					t.Fatal(err)
				}
				hub := live.NewHub(live.Options{})
				var list []*conn
				var clients []net.Conn
				for range 7 {
					client, server := net.Pipe()
					p, err := hub.Admit()
					if err != nil {
						t.Fatal(err)
					}
					h := &idle{}
					e.Adopt(server, nil, nil, h, p)
					clients, list = append(clients, client), append(list, h.conn.(*conn))
				}
				synctest.Wait()
				for _, c := range list {
					c.mu.Lock()
					c.append([]byte("one;"))
					c.append([]byte("two;"))
					c.mu.Unlock()
				}
				l := e.loops[0]
				l.mu.Lock() // all of them at once, and by the goroutine whose batch it is
				l.dirty = append(l.dirty, list...)
				l.rouse()
				l.mu.Unlock()
				for i, client := range clients {
					b := make([]byte, 8)
					if _, err := io.ReadFull(client, b); err != nil || string(b) != "one;two;" {
						t.Errorf("client %d got %q, %v", i, b, err)
					}
					_ = client.Close()
				}
				e.Close()
				synctest.Wait()
				if !s.closed || s.broke != breaks || (l.batch == nil) != breaks {
					t.Errorf("closed %t, broke %t, batch %v", s.closed, s.broke, l.batch)
				}
			})
		})
	}
}
