package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pair gives both ends of a connection.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err == nil {
		far, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// TestArrivals: when bytes came is told, not when they were read, where the
// system knows it; it may not know it of the first.
func TestArrivals(t *testing.T) {
	near, far := pair(t)
	a, err := stampArrivals(near)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 9)
	seen := false
	for i := 0; i < 10_000 && !seen; i++ {
		before := time.Now()
		if _, err := far.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		wrote := time.Now() // the other end has them by now
		if n, err := a.Read(b); err != nil || string(b[:n]) != "hello" {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		if a.last().Before(before.Add(-time.Second)) {
			t.Fatalf("written at %v, arrived at %v", before, a.last())
		}
		seen = runtime.GOOS != "linux" || !a.last().Round(0).After(wrote.Round(0))
	}
	if !seen {
		t.Error("all came when they were read")
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestProbeCallers: a call is one that net/http understands, connections are used
// again but for old ones, and a refusal is an error.
func TestProbeCallers(t *testing.T) {
	var conns atomic.Int32
	refuse := false
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Audience struct {
				IDs []string `json:"registration_ids"`
			}
			TTL  int
			Data struct {
				Sent json.Number `json:"sent_ns"`
			}
		}
		err := json.NewDecoder(r.Body).Decode(&m)
		user, password, _ := r.BasicAuth()
		if err != nil || r.URL.Path != "/v1/messages" || user != "key" || password != "secret" || len(m.Audience.IDs) != 1 || m.Audience.IDs[0] != "d1" || m.TTL != 60 || m.Data.Sent == "" {
			t.Errorf("%s by %s: %+v, %v", r.URL, user, m, err)
		}
		if refuse {
			http.Error(w, "too much", http.StatusTooManyRequests)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	p := newProbeCallers(strings.TrimPrefix(s.URL, "http://"), Seeded{AppKey: "key", MasterSecret: "secret"})
	defer p.close()
	send := func() error { return p.send(t.Context(), "d1") }
	for range 3 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other", n)
	}
	p.idle[0].used = time.Now().Add(-time.Hour)
	if err := send(); err != nil || conns.Load() != 2 || len(p.idle) != 1 {
		t.Errorf("after an hour: %v, %d connections, %d idle", err, conns.Load(), len(p.idle))
	}
	refuse = true
	if err := send(); err == nil || !strings.Contains(err.Error(), "answered 429: too much") || len(p.idle) != 0 {
		t.Errorf("refused: %v, %d idle", err, len(p.idle))
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := p.send(ended, "d1"); err == nil {
		t.Error("it is sent after the end")
	}
}
