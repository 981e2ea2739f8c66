package livetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Dialer opens a connection with a deadline to a server.
type Dialer func() (net.Conn, error)

// Head is a request as it may come over a connection, good or bad. Who reads
// HTTP on its own is held to what net/http makes of it.
type Head struct {
	Name string
	// Raw is the request, with its body if it has one. In it {target} stands
	// for what is asked for, and {fields} for further fields, each with the end
	// of its line.
	Raw string
	// Refuse says that RFC 9112 wants it refused, whatever net/http does.
	Refuse bool
	// MayRefuse says that RFC 9112 lets a server refuse what net/http takes.
	MayRefuse bool
	// Unfinished says that the server waits for more than there is, so that the
	// client has to end its data.
	Unfinished bool
}

// Bytes is the request for a target.
func (h Head) Bytes(target, fields string) []byte {
	return []byte(strings.NewReplacer("{target}", target, "{fields}", fields).Replace(h.Raw))
}

// echoPath is where Echo is mounted, and smuggled where no request may get:
// rows hide it in what is no request.
const (
	echoPath = "/echo"
	smuggled = "/smuggled"
	echoed   = "text/x-echo"
)

// Echo answers with what a handler gets to see of a request.
func Echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", echoed)
	fmt.Fprintf(w, "%s %s for %s, field %q, body %q, whole: %v", r.Method, r.RequestURI, r.Host, r.Header.Values("X-Field"), body, err == nil)
}

// probe follows each request in the same packet. It is answered if the server
// has found the end of that request where it is, and has kept the connection.
const probe = "GET " + echoPath + "?probe HTTP/1.1\r\nHost: herald.test\r\nConnection: close\r\n\r\n"

// Exchange is what a server answers to a request and the probe behind it.
type Exchange []HeadAnswer

// HeadAnswer is one answer: its status, and what Echo says if it is one of its.
type HeadAnswer struct {
	Status int
	Echo   string
}

// refused reports whether the request was answered with an error, or not at
// all, and the connection given up.
func (x Exchange) refused() bool { return len(x) == 0 || len(x) == 1 && x[0].Status >= 400 }

// Ask sends a request and the probe, then if so wished the end of its data, and
// reads what is answered until the server ends the connection.
func Ask(dial Dialer, request []byte, end bool) (Exchange, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var sent sync.WaitGroup
	defer sent.Wait()
	defer conn.Close()
	sent.Go(func() { // beside reading, because a server that refuses does not read
		if _, err := conn.Write(append(slices.Clone(request), probe...)); err != nil {
			return
		}
		if c, ok := conn.(interface{ CloseWrite() error }); ok && end {
			_ = c.CloseWrite()
		}
	})
	var x Exchange
	method, _, _ := strings.Cut(string(request)+probe, " ") // the answer to HEAD has no body
	for in := bufio.NewReader(conn); ; method = http.MethodGet {
		if _, err := in.Peek(1); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return x, fmt.Errorf("livetest: after %v: %w", x, err)
			}
			return x, nil
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return x, fmt.Errorf("livetest: after %v: %w", x, err)
		}
		a := HeadAnswer{Status: resp.StatusCode}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return x, fmt.Errorf("livetest: after %v, in the body of a %d: %w", x, a.Status, err)
		}
		if resp.Header.Get("Content-Type") == echoed {
			a.Echo = string(body)
		}
		x = append(x, a)
		if a.Status == http.StatusSwitchingProtocols || resp.Close && resp.ContentLength < 0 {
			return x, nil // the rest is not HTTP, or was the body
		}
	}
}

// CheckHead compares what two servers with the same handlers answer to a
// request: one with net/http, and one that is to be as strict.
func CheckHead(h Head, oracle, server Dialer, target, fields string) error {
	request := h.Bytes(target, fields)
	want, err := Ask(oracle, request, h.Unfinished)
	if err != nil {
		return fmt.Errorf("%s at %s: net/http: %w", h.Name, target, err)
	}
	got, err := Ask(server, request, h.Unfinished)
	switch {
	case err != nil:
		return fmt.Errorf("%s at %s: %w", h.Name, target, err)
	case got.smuggles() || want.smuggles():
		return fmt.Errorf("%s at %s: a request was smuggled: %v, net/http %v", h.Name, target, got, want)
	case h.Refuse && !got.refused():
		return fmt.Errorf("%s at %s has to be refused, and is answered with %v", h.Name, target, got)
	case h.MayRefuse && got.refused(), slices.Equal(got, want):
		return nil
	}
	return fmt.Errorf("%s at %s is answered with %v, by net/http with %v", h.Name, target, got, want)
}

// smuggles reports whether a handler saw what was hidden.
func (x Exchange) smuggles() bool {
	return slices.ContainsFunc(x, func(a HeadAnswer) bool { return strings.HasPrefix(a.Echo, "GET "+smuggled+" ") })
}

// routes is what a server of this suite serves beside the transports.
func routes(mux *http.ServeMux) {
	mux.HandleFunc(echoPath, Echo)
	mux.HandleFunc(smuggled, Echo)
}

// heads holds the server to net/http with the same handlers, by the table of
// heads: where a handler is asked, and where a session would begin.
func heads(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	oracle := e.oracle()
	target, fields := e.opening(m)
	RunHeads(e.T, oracle, e.net.dial, echoPath, "")
	RunHeads(e.T, oracle, e.net.dial, target, fields)
	e.empties()
}

// oracle is another server with the same world, which is net/http.
func (e *env) oracle() Dialer {
	mux := http.NewServeMux()
	live.Mount(mux, e.hub, e.transport.(live.Endpoint))
	routes(mux)
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.MaxHeaderBytes = maxHead
	srv.Start()
	e.Cleanup(srv.Close)
	return func() (net.Conn, error) { return dialTCP(srv.Listener.Addr()) }
}

// opening is what the client asks for when it opens a session, and the fields
// that it sends beside Host.
func (e *env) opening(m Member) (target, fields string) {
	e.Helper()
	socket := e.socket()
	conn := newTail(socket, nil)
	e.openOnce(conn, socket, m)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(conn.bytes())))
	if err != nil {
		e.Fatal(err)
	}
	var b strings.Builder
	_ = r.Header.Write(&b)
	// One that polls is not to wait.
	return strings.Replace(r.URL.RequestURI(), "wait=", "w=", 1), b.String()
}

// refusesBody: a request that would begin a session has no body, which would
// be taken for what the client says then. The connection goes on behind it.
func refusesBody(e *env) {
	target, fields := e.opening(e.world.Join(herald.PlatformWeb))
	seen := e.world.SeenCount()
	for _, h := range []Head{
		post("a body", "Content-Length: 5\r\n", "hello").as("GET"),
		post("a body in chunks", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").as("GET"),
		post("a body that is a request", fmt.Sprintf("Content-Length: %d\r\n", len(hidden)), hidden).as("GET"),
	} {
		x, err := Ask(e.net.dial, h.Bytes(target, fields), false)
		if err != nil || len(x) != 2 || x[0].Status != http.StatusBadRequest || x[1].Status != http.StatusOK || x.smuggles() {
			e.Errorf("%s is answered with %v, %v", h.Name, x, err)
		}
	}
	if n := e.world.SeenCount() - seen; n != 0 {
		e.Errorf("%d sessions were opened", n)
	}
	e.empties()
}

// RunHeads compares two servers with the same handlers, of which Echo is one,
// at a target. The first is net/http.
func RunHeads(t *testing.T, oracle, server Dialer, target, fields string) {
	t.Helper()
	for _, h := range Heads() {
		if err := CheckHead(h, oracle, server, target, fields); err != nil {
			t.Error(err)
		}
	}
}

// hasHEAD reports whether one of the requests may be a HEAD. Which of the
// answers is then without a body cannot be known from outside.
func hasHEAD(request []byte) bool { return bytes.Contains(request, []byte("HEAD")) }

// FuzzHeads does so with whatever comes of the table.
func FuzzHeads(f *testing.F, oracle, server Dialer) {
	for _, h := range Heads() {
		f.Add(h.Bytes(echoPath, ""))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if hasHEAD(request) {
			return
		}
		h := Head{Name: fmt.Sprintf("%.200q", request), Raw: string(request), Unfinished: true}
		if err := CheckHead(h, oracle, server, echoPath, ""); err != nil {
			t.Error(err)
		}
	})
}
