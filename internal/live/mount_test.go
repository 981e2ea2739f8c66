package live_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// refuser is an Upgrader that answers what it was told to.
type refuser struct {
	lines
	resp live.Response
	err  error
}

func (r *refuser) Path() string { return "/live" }
func (r *refuser) Upgrade(*live.Hub, *http.Request) (live.Response, live.Handler, error) {
	return r.resp, nil, r.err
}

func TestMountRefuses(t *testing.T) {
	limited := herald.Errorf(herald.CodeRateLimited, "Wait.", "too many")
	limited.RetryAfter = 1500000000
	for _, c := range []struct {
		name, method, origin string
		up                   refuser
		status               int
		code                 string
		header, value        string
	}{
		{name: "another method", method: "POST", status: 405, code: "invalid_request", header: "Allow", value: "GET, OPTIONS"},
		{name: "HEAD", method: "HEAD", status: 405, code: "invalid_request"},
		{name: "preflight", method: "OPTIONS", origin: "https://app.example", status: 204, header: "Access-Control-Allow-Headers", value: "Authorization, Cache-Control, Last-Event-ID"},
		{name: "preflight of a foreign origin", method: "OPTIONS", origin: "https://evil.example", status: 403, code: "forbidden"},
		{name: "foreign origin", method: "GET", origin: "https://evil.example", status: 403, code: "forbidden", header: "Access-Control-Allow-Origin", value: ""},
		{name: "error", method: "GET", origin: "https://app.example", up: refuser{err: herald.Invalid("ack", "Write each.", "no")}, status: 400, code: "invalid_request", header: "Access-Control-Allow-Origin", value: "https://app.example"},
		{name: "unauthorized", method: "GET", up: refuser{err: herald.Errorf(herald.CodeUnauthorized, "x", "y")}, status: 401, code: "unauthorized", header: "WWW-Authenticate", value: `Bearer realm="herald"`},
		{name: "retry", method: "GET", up: refuser{err: limited}, status: 429, code: "rate_limited", header: "Retry-After", value: "2"},
		{name: "own status and header", method: "GET", up: refuser{err: herald.Errorf(herald.CodeInvalidRequest, "x", "y"), resp: live.Response{Status: 426, Header: http.Header{"Upgrade": {"websocket"}}}}, status: 426, code: "invalid_request", header: "Upgrade", value: "websocket"},
		{name: "a defect tells nothing", method: "GET", up: refuser{err: errors.New("the secret is x")}, status: 500, code: "internal"},
		{name: "no socket to take", method: "GET", up: refuser{resp: live.Response{Status: 101}}, status: 426, code: "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := livetest.NewWorld()
			hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w,
				AllowOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "https://app.example" }})
			mux := http.NewServeMux()
			live.Mount(mux, hub, &c.up)
			r := httptest.NewRequest(c.method, "/live", nil)
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			rec := httptest.NewRecorder() // cannot be hijacked
			mux.ServeHTTP(rec, r)
			if rec.Code != c.status || c.header != "" && rec.Header().Get(c.header) != c.value {
				t.Fatalf("status %d, header %v", rec.Code, rec.Header())
			}
			if c.code == "" {
				return
			}
			var p struct {
				Type, Title, Code, Detail, Remedy, Field string
				Status                                   int
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Code != c.code || p.Status != c.status ||
				p.Title != http.StatusText(c.status) || p.Detail == "" || p.Remedy == "" || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%v: %s", err, rec.Body)
			}
			if strings.Contains(rec.Body.String(), "secret") {
				t.Fatal("the cause is shown")
			}
			hub.Close() // returns only if no connection is counted any more
		})
	}
}

func TestRequestHello(t *testing.T) {
	for _, c := range []struct {
		target, auth, lastID string
		want                 live.Hello
		fails                bool
	}{
		{target: "/"},
		{target: "/?access_token=q&cursor=c&ack=upto", want: live.Hello{Token: "q", Cursor: "c", Ack: live.AckUpto}},
		{target: "/?access_token=q&last_event_id=l&cursor=c", auth: "bearer  h ", want: live.Hello{Token: "h", Cursor: "l"}},
		{target: "/?access_token=q&cursor=c", auth: "Basic x", lastID: "h", want: live.Hello{Token: "q", Cursor: "h"}},
		{target: "/?ack=all", fails: true},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Header.Set("Authorization", c.auth)
		r.Header.Set("Last-Event-ID", c.lastID)
		got, err := live.RequestHello(r)
		if (err != nil) != c.fails || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.target, got, err)
		}
	}
}

func TestListen(t *testing.T) {
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := live.Listen(t.Context(), "tcp", l.Addr().String()); err == nil || !strings.HasPrefix(err.Error(), "live: listening: ") {
		t.Fatalf("a taken port gives %v", err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = bufio.NewReader(resp.Body).ReadString('\n')
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	srv.Close()
	<-done
}
