package engine

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald/internal/live"
)

// closings is a kernel that counts how often a descriptor was closed.
type closings struct {
	Kernel
	of map[int]int
}

func (k *closings) Close(fd int) {
	k.of[fd]++
	if k.of[fd] == 1 {
		k.Kernel.Close(fd)
	}
}

// TestClaimedDescriptor: from claim to wrote a descriptor is not closed and not
// given away, also if there was nothing to write. Closed twice, it would have
// been another connection's the second time.
func TestClaimedDescriptor(t *testing.T) {
	for _, c := range []struct {
		name    string
		frames  []live.Frame
		between func(*testing.T, *conn, net.Conn)
	}{
		{"nothing to write, the client hangs up", nil, hangsUp},
		{"something to write, the client hangs up", []live.Frame{live.Frame("one;")}, hangsUp},
		{"nothing to write, it is to leave", nil, func(t *testing.T, c *conn, client net.Conn) {
			if c.release() {
				t.Error("it was released")
			}
			hangsUp(t, c, client)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &closings{NewMemory(), map[int]int{}}
				e, err := New(k, Config{Loops: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				client, server := net.Pipe()
				p, err := live.NewHub(live.Options{}).Admit()
				if err != nil {
					t.Fatal(err)
				}
				h := &idle{}
				e.Adopt(server, nil, nil, h, p)
				conn := h.conn.(*conn)
				synctest.Wait() // the loop has done what Adopt left to it
				for _, f := range c.frames {
					conn.mu.Lock()
					conn.append(f)
					conn.mu.Unlock()
				}
				if frames, ok := conn.claim(nil); !ok || len(frames) != len(c.frames) {
					t.Fatalf("%d frames were claimed, %v", len(frames), ok)
				}
				c.between(t, conn, client)
				if n := k.of[int(conn.fd)]; n != 0 {
					t.Errorf("closed %d times while it was claimed", n)
				}
				conn.wrote(0, nil)
				if n := k.of[int(conn.fd)]; n != 1 {
					t.Errorf("closed %d times", n)
				}
			})
		})
	}
}

// hangsUp waits until the loop has noticed.
func hangsUp(t *testing.T, c *conn, client net.Conn) {
	t.Helper()
	_ = client.Close()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		t.Error("the connection goes on")
	}
}
