package poll_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
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

var held = flag.Int("held", manyHeld, "requests that TestManyHeld holds at once")

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

// TestManyHeld holds many requests over real sockets, as many as the process has
// descriptors for, answers all with one message, and goes on over the same
// connections.
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
	// A connection takes two descriptors, because its client is here too.
	all := make([]*poller, min(*held, (descriptors()-200)/2))
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
		a, err := readAnswer(p.r)
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
		if a, err := readAnswer(p.r); err != nil || len(a.Frames) != 0 || !e.world.Received(id, p.Member) {
			t.Fatalf("client %d, second request: %+v, %v", i, a, err)
		}
	}
	if n := e.hub.Count(livetest.App); n != 0 {
		t.Errorf("%d sessions are open", n)
	}
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
