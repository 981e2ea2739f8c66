package poll_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/poll"
)

var held = flag.Int("held", 300, "requests that TestManyHeld holds at once")

// poller is a client on a socket of its own, which it keeps.
type poller struct {
	livetest.Member
	conn net.Conn
	r    *bufio.Reader
}

func (p *poller) ask(query string) error {
	_, err := fmt.Fprintf(p.conn, "GET /v1/live/poll?%s HTTP/1.1\r\nHost: herald.test\r\nAuthorization: Bearer %s\r\n\r\n", query, p.Token)
	return err
}

func (p *poller) answer() (a answer, err error) {
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return a, err
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusOK || resp.Close || resp.ContentLength < 0 {
		return a, fmt.Errorf("answered %d, close %v, length %d", resp.StatusCode, resp.Close, resp.ContentLength)
	}
	return a, json.Unmarshal(b, &a)
}

// TestManyHeld holds many requests over real sockets, answers all with one
// message, and goes on over the same connections.
func TestManyHeld(t *testing.T) {
	e := newEnv(t, live.Options{})
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: e.mux}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	all := make([]*poller, *held)
	var members []livetest.Member
	for i := range all {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		all[i] = &poller{e.world.Join(herald.PlatformWeb), conn, bufio.NewReaderSize(conn, 512)}
		members = append(members, all[i].Member)
		if err := all[i].ask("wait=60"); err != nil {
			t.Fatal(err)
		}
	}
	for e.hub.Count(livetest.App) < len(all) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d are held", e.hub.Count(livetest.App), len(all))
		}
		runtime.Gosched()
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d held after %s, %d KiB each with their clients, %d goroutines", len(all), took.Round(time.Millisecond),
		(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/uint64(len(all))>>10, runtime.NumGoroutine())

	began = time.Now()
	id := e.push(livetest.Send{Content: livetest.Text("to all"), To: members})
	cursors := make([]string, len(all))
	for i, p := range all {
		a, err := p.answer()
		if err != nil || !slices.Equal(a.ids(), []herald.MessageID{id}) {
			t.Fatalf("client %d: %+v, %v", i, a, err)
		}
		cursors[i] = a.Cursor
	}
	t.Logf("all answered after %s", time.Since(began).Round(time.Millisecond))
	for i, p := range all { // the connection goes on
		if err := p.ask("cursor=" + cursors[i]); err != nil {
			t.Fatal(err)
		}
		if a, err := p.answer(); err != nil || len(a.Frames) != 0 || !e.world.Received(id, p.Member) {
			t.Fatalf("client %d, second request: %+v, %v", i, a, err)
		}
	}
	if n := e.hub.Count(livetest.App); n != 0 {
		t.Errorf("%d sessions are open", n)
	}
}

func TestClientThatHangsUp(t *testing.T) {
	e := newEnv(t, live.Options{})
	srv := httptest.NewServer(e.mux)
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := &poller{e.world.Join(herald.PlatformWeb), conn, bufio.NewReader(conn)}
	if err := p.ask("wait=60"); err != nil {
		t.Fatal(err)
	}
	wait := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); e.hub.Count(livetest.App) != n; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d sessions are open, want %d", e.hub.Count(livetest.App), n)
			}
		}
	}
	wait(1)
	_ = conn.Close()
	wait(0)
}

func TestOverHTTP2(t *testing.T) {
	e := newEnv(t, live.Options{})
	srv := httptest.NewUnstartedServer(e.mux)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	m := e.world.Join(herald.PlatformWeb)
	ids := e.accept(1, m)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, srv.URL+poll.New(poll.Config{}).Path()+"?access_token="+m.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.ProtoMajor != 2 || !slices.Equal(a.ids(), ids) {
		t.Fatalf("HTTP/%d answered %+v, %v", resp.ProtoMajor, a, err)
	}
}
