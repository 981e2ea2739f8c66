package live

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
)

func TestStrangersAreCountedByAddress(t *testing.T) {
	h := NewHub(Options{AddressConnections: 2})
	t.Cleanup(h.Close)
	arrive := func(ip string) (*Place, error) {
		t.Helper()
		p, err := h.Admit()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Leave)
		addr, _ := netip.ParseAddr(ip)
		return p, p.Arrive(addr)
	}
	refused := func(err error) {
		t.Helper()
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != herald.CodeRateLimited || e.Remedy == "" || e.RetryAfter <= 0 {
			t.Errorf("got %v", err)
		}
	}
	first, _ := arrive("192.0.2.1")
	second, _ := arrive("::ffff:192.0.2.1")
	_, err := arrive("192.0.2.1")
	refused(err)
	if _, err := arrive("192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	first.known() // it has authenticated
	first.known()
	third, err := arrive("192.0.2.1")
	if err != nil {
		t.Errorf("after one is known: %v", err)
	}
	_, err = arrive("192.0.2.1")
	refused(err)
	second.known()
	third.known()
	for range 3 {
		if _, err := arrive(""); err != nil {
			t.Errorf("an unknown address: %v", err)
		}
	}
	_, _ = arrive("2001:db8::1")
	_, _ = arrive("2001:db8::2")
	_, err = arrive("2001:db8::3")
	refused(err)
	if _, err := arrive("2001:db8:0:1::1"); err != nil {
		t.Errorf("another /64: %v", err)
	}
}

// TestNobodyIsCountedForEver holds that the count of an address is gone with
// its last connection, so that the table does not grow.
func TestNobodyIsCountedForEver(t *testing.T) {
	h := NewHub(Options{AddressConnections: 2})
	defer h.Close()
	for i := range 100 {
		p, err := h.Admit()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Arrive(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			p.known()
		}
		p.Leave()
	}
	if n := len(h.strangers.at); n != 0 {
		t.Errorf("%d addresses are still counted", n)
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		start := time.Now()
		k := deviceKey{"app", 1}
		take := func() error { return p.take(k, 2, time.Since(start)) }
		brought := func(cursor mark, a answered) { p.brought(k, 2, cursor, a, time.Since(start)) }
		empty := func() (n int) {
			for ; n < 100 && take() == nil; n++ {
			}
			return n
		}
		if n := empty(); n != 4 {
			t.Errorf("a burst of %d, want 4", n)
		}
		var err *herald.Error
		if !errors.As(take(), &err) || err.Code != herald.CodeRateLimited || err.RetryAfter <= 0 || err.RetryAfter > time.Second {
			t.Errorf("got %v", err)
		}
		if p.take(deviceKey{"app", 2}, 2, time.Since(start)) != nil {
			t.Error("another device is refused too")
		}
		time.Sleep(500 * time.Millisecond)
		if n := empty(); n != 1 {
			t.Errorf("%d after half a second, want 1", n)
		}
		time.Sleep(time.Hour)
		cursor := mark(0)
		for i := range 100 { // each gives the cursor back
			if take() != nil {
				t.Fatalf("refused at page %d", i)
			}
			next := mark(1 + i)
			brought(cursor, answered{cursor: next})
			cursor = next
		}
		for i := range 100 {
			if take() != nil {
				t.Fatalf("refused at publication %d", i)
			}
			brought(cursor, answered{cursor: cursor, since: mark(1 + i)})
		}
		for i := range 100 {
			if take() != nil {
				t.Fatalf("refused at what came while it was held, %d", i)
			}
			brought(cursor, answered{cursor: cursor, since: 1000, live: true})
		}
		time.Sleep(time.Hour)
		n := 0
		for ; n < 100 && take() == nil; n++ { // the same page for the same cursor
			brought(0, answered{cursor: 1001, since: 1000})
		}
		if n != 4 {
			t.Errorf("%d of a page that is not acknowledged, want 4", n)
		}
		if p.take(k, 0, time.Since(start)) != nil {
			t.Error("without a limit there is one")
		}
		p.brought(k, 0, 0, answered{}, time.Since(start))
		time.Sleep(paceKept)
		_ = take()
		time.Sleep(paceKept)
		_ = p.take(deviceKey{"app", 3}, 2, time.Since(start))
		time.Sleep(paceKept)
		_ = p.take(deviceKey{"app", 3}, 2, time.Since(start))
		if p.young[k] != nil || p.old[k] != nil {
			t.Error("an unused bucket is kept")
		}
	})
}

// wrapped is a connection that began with a PROXY header.
type wrapped struct {
	net.Conn
	tcp *net.TCPConn
}

func (w wrapped) TCPConn() (*net.TCPConn, bool) { return w.tcp, w.tcp != nil }

func TestWritesGoToTheBareSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	tcp := in.(*net.TCPConn)
	link := &socketLink{Early{Conn: wrapped{in, tcp}}}
	if bareTCP(link.Conn) != tcp || bareTCP(tcp) != tcp || bareTCP(wrapped{in, nil}) != nil || bareTCP(struct{ net.Conn }{in}) != nil {
		t.Error("the wrong socket")
	}
	if err := link.write([]Frame{Frame("a"), Frame("b")}); err != nil {
		t.Fatal(err)
	}
	if !link.finish(time.Now().Add(time.Minute)) {
		t.Error("a wrapped socket is not half-closed")
	}
	b := make([]byte, 8)
	n := 0
	for n < 2 {
		m, err := out.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if string(b[:n]) != "ab" {
		t.Errorf("got %q", b[:n])
	}
	if _, err := out.Read(b); err == nil {
		t.Error("it is not closed")
	}
}
