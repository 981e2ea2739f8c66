package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// site is a server on an engine, in memory, with a clock of its own.
type site struct {
	*testing.T
	conns  chan net.Conn
	closed chan struct{}
	srv    *http.Server
	engine *Engine
	done   chan error
}

func (s *site) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *site) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *site) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// onLoops tells who serves a request.
func onLoops(w http.ResponseWriter) string {
	if _, ok := w.(live.Taker); ok {
		return "engine"
	}
	return "net/http"
}

func serveSite(t *testing.T, h http.HandlerFunc, test func(*site)) {
	t.Helper()
	serveSiteOn(t, NewMemory, h, test)
}

func serveSiteOn(t *testing.T, kernel func() Kernel, h http.HandlerFunc, test func(*site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := New(kernel(), Config{Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		s := &site{T: t, conns: make(chan net.Conn), closed: make(chan struct{}), engine: e, done: make(chan error, 1)}
		s.srv = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
		go func() { s.done <- e.ServeHTTP(s, s.srv, testPaths, "/v1/live/sse") }()
		t.Cleanup(func() {
			_ = s.srv.Close()
			if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serving: %v", err)
			}
			e.Close()
			time.Sleep(time.Second) // net/http lingers over what it refuses
		})
		test(s)
	})
}

// dial connects a client that sends something.
func (s *site) dial(send string) *visitor {
	s.Helper()
	client, server := net.Pipe()
	s.Cleanup(func() { _ = client.Close() })
	s.conns <- server
	v := &visitor{Conn: client, T: s.T, in: bufio.NewReader(client)}
	v.say(send)
	return v
}

type visitor struct {
	net.Conn
	*testing.T
	in *bufio.Reader
}

func (v *visitor) say(text string) {
	if text != "" {
		go func() { _, _ = io.WriteString(v.Conn, text) }()
	}
}

// hear reads an answer.
func (v *visitor) hear(status int, body string) *http.Response {
	v.Helper()
	resp, err := http.ReadResponse(v.in, nil)
	if err != nil {
		v.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(b) != body {
		v.Fatalf("%d %q, %v; want %d %q", resp.StatusCode, b, err, status, body)
	}
	return resp
}

// ends waits for the end and answers after what time it came.
func (v *visitor) ends() time.Duration {
	v.Helper()
	began := time.Now()
	if b, err := io.ReadAll(v.in); len(b) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) {
		v.Fatalf("got %q, %v; want the end", b, err)
	}
	return time.Since(began)
}

func call(body string) string {
	return fmt.Sprintf("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// echo answers with who serves the request, and its body.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s", onLoops(w), r.URL.Path, b)
}

func TestRequestsOfOneConnection(t *testing.T) {
	serveSite(t, echo, func(s *site) {
		v := s.dial(call("one"))
		resp := v.hear(200, "engine /v1/messages one")
		if resp.ContentLength < 0 || resp.Header.Get("Date") == "" || resp.Header.Get("Content-Type") == "" || resp.Close {
			t.Errorf("the head is %v", resp.Header)
		}
		v.say(call("two"))
		v.hear(200, "engine /v1/messages two")
		v.say(call("three") + call("four") + call("five")) // pipelined
		v.hear(200, "engine /v1/messages three")
		v.hear(200, "engine /v1/messages four")
		v.hear(200, "engine /v1/messages five")
		v.say(call("six") + "GET /docs HTTP/1.1\r\nHost: a\r\n\r\n" + call("seven"))
		v.hear(200, "engine /v1/messages six")
		v.hear(200, "net/http /docs ")
		v.hear(200, "net/http /v1/messages seven") // it stays there
		_ = v.Close()
	})
}

func TestRequestsThatLeave(t *testing.T) {
	large := strings.Repeat("x", maxBody+1)
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d", onLoops(w), n)
	}, func(s *site) {
		for _, c := range []struct {
			name, send, want string
			status           int
		}{
			{"another path", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "net/http 0", 200},
			{"chunked", "POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "net/http 3", 200},
			{"large", call(large), fmt.Sprintf("net/http %d", len(large)), 200},
			{"a bad target", "GET /v1/live/ws?%zz HTTP/1.1\r\nHost: a\r\n\r\n", "engine 0", 200},
			{"a bad field", "GET /v1/live/ws HTTP/1.1\r\nHost: a\r\nX y: 1\r\n\r\n", "400 Bad Request: invalid header name", 400},
			{"no host", "GET /v1/live/ws HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header", 400},
		} {
			v := s.dial(c.send)
			v.hear(c.status, c.want)
			_ = v.Close()
		}
	})
}

func TestTimesOfRequests(t *testing.T) {
	serveSite(t, echo, func(s *site) {
		if took := s.dial("").ends(); took != 10*time.Second {
			t.Errorf("nothing was sent: ended after %s", took)
		}
		if took := s.dial("POST /v1/mess").ends(); took != 10*time.Second {
			t.Errorf("half a head: ended after %s", took)
		}
		v := s.dial("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
		synctest.Wait()
		slow := v
		go func() { // a byte now and then gains no time
			for range 100 {
				time.Sleep(time.Second)
				if _, err := slow.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		if took := v.ends(); took != bodyTime {
			t.Errorf("half a body: ended after %s", took)
		}
		v = s.dial(call("x"))
		v.hear(200, "engine /v1/messages x")
		if took := v.ends(); took != 2*time.Minute {
			t.Errorf("no second request: ended after %s", took)
		}
		v = s.dial(call("x"))
		v.hear(200, "engine /v1/messages x")
		time.Sleep(time.Minute)
		v.say("POST")
		if took := v.ends(); took != 10*time.Second {
			t.Errorf("half a second head: ended after %s", took)
		}
	})
}

// TestAnswersThatNobodyReads holds that a client which sends requests and reads
// nothing is not served on and on.
func TestAnswersThatNobodyReads(t *testing.T) {
	var served atomic.Int32
	large := strings.Repeat("y", 10<<10)
	serveSite(t, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		fmt.Fprint(w, large)
	}, func(s *site) {
		const all = 100
		v := s.dial(strings.Repeat(call("x"), all))
		synctest.Wait()
		if n := served.Load(); n > 10 {
			t.Fatalf("%d requests were served, and no answer was read", n)
		}
		for range all {
			v.hear(200, large)
		}
		v.say(call("x"))
		v.hear(200, large)
		synctest.Wait()
		_ = v.Close()
	})
}

func TestPanic(t *testing.T) {
	serveSite(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "abort" {
			panic(http.ErrAbortHandler)
		}
		panic("a defect")
	}, func(s *site) {
		s.dial(call("x")).ends()
		s.dial("GET /v1/live/ws?abort HTTP/1.1\r\nHost: a\r\n\r\n").ends()
	})
}

func TestAnswers(t *testing.T) {
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "close":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "bye")
		case "none":
			w.WriteHeader(http.StatusNoContent)
		case "early":
			w.WriteHeader(http.StatusProcessing)
			http.Error(w, "no", http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late
		case "control":
			c := http.NewResponseController(w)
			now := time.Now()
			fmt.Fprint(w, errors.Join(c.Flush(), c.SetReadDeadline(now), c.SetWriteDeadline(now)))
		}
	}, func(s *site) {
		v := s.dial("")
		for _, c := range []struct {
			query, body string
			status      int
		}{{"none", "", 204}, {"early", "no\n", 418}, {"control", "<nil>", 200}, {"", "", 200}, {"close", "bye", 200}} {
			v.say("GET /v1/live/ws?" + c.query + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp := v.hear(c.status, c.body); resp.Close != (c.query == "close") {
				t.Errorf("%s: the head is %v", c.query, resp.Header)
			}
		}
		v.ends()
	})
}

func TestShutdown(t *testing.T) {
	served := make(chan struct{})
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "slow" {
			<-served
		}
		echo(w, r)
	}, func(s *site) {
		served = make(chan struct{}) // of this test's own clock
		idle, fresh := s.dial(call("x")), s.dial("")
		idle.hear(200, "engine /v1/messages x")
		slow := s.dial("GET /v1/live/ws?slow HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		if err := s.srv.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		idle.ends()
		fresh.ends()
		close(served)
		if resp := slow.hear(200, "engine /v1/live/ws "); !resp.Close {
			t.Error("a connection stays after a shutdown")
		}
		slow.ends()
	})
}

// TestWaitingIsApart: whoever becomes a live connection does not wait behind
// requests that wait for something, however many those are.
func TestWaitingIsApart(t *testing.T) {
	var free chan struct{}
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/live/sse" {
			<-free
		}
		_, _ = io.WriteString(w, r.URL.Path)
	}, func(s *site) {
		free = make(chan struct{})
		var waiting []*visitor
		for range 2 * liveWorkers {
			waiting = append(waiting, s.dial("GET /v1/live/sse?a HTTP/1.1\r\nHost: a\r\n\r\n"))
		}
		synctest.Wait()
		v := s.dial("GET /v1/live/ws HTTP/1.1\r\nHost: a\r\n\r\n")
		v.hear(200, "/v1/live/ws")
		_ = v.Close()
		close(free)
		for _, v := range waiting {
			v.hear(200, "/v1/live/sse")
			_ = v.Close()
		}
	})
}

func TestHold(t *testing.T) {
	var last *held
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		h := &held{gone: make(chan struct{})}
		last = h
		w.Header().Set("Vary", "Origin")
		h.Pending = w.(live.Holder).Hold(h)
		if r.URL.RawQuery == "now" {
			h.say("now")
		}
	}, func(s *site) {
		v := s.dial("GET /v1/live/ws HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(3 * time.Minute) // longer than any other wait
		synctest.Wait()
		last.say("later")
		if resp := v.hear(200, "later"); resp.Header.Get("Vary") != "Origin" {
			t.Errorf("the header is %v", resp.Header)
		}
		v.say("GET /v1/live/ws?now HTTP/1.1\r\nHost: a\r\n\r\n" + call("next"))
		v.hear(200, "now")
		synctest.Wait()
		next := last
		_ = v.Close()
		<-next.gone
		next.say("to nobody")
	})
}

// held is a request that a test answers.
type held struct {
	live.Pending
	gone chan struct{}
}

func (h *held) Gone() { close(h.gone) }

func (h *held) say(text string) {
	h.Answer(func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) })
}
