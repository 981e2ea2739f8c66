package v1

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/strict"
)

func TestStatusOfCodes(t *testing.T) {
	for code, want := range map[herald.Code]int{
		herald.CodeInvalidRequest: 422, herald.CodeUnauthorized: 401, herald.CodeForbidden: 403, herald.CodeNotFound: 404,
		herald.CodeConflict: 409, herald.CodeIdempotencyConflict: 409, herald.CodeTooLarge: 413, herald.CodeRateLimited: 429,
		herald.CodeLimitReached: 422, herald.CodeStorageUnavailable: 503, herald.CodeDraining: 503, herald.CodeInternal: 500, "other": 500,
	} {
		if got := statusOf(fmt.Errorf("wrapped: %w", herald.Errorf(code, "R.", "m"))); got != want {
			t.Errorf("%s: got %d, want %d", code, got, want)
		}
	}
	if got := statusOf(&herald.Error{Code: herald.CodeInvalidRequest, Err: strict.ErrSyntax}); got != 400 {
		t.Errorf("syntax: got %d", got)
	}
	if got := statusOf(errors.New("plain")); got != 500 {
		t.Errorf("a plain error: got %d", got)
	}
}

func TestErrorsOfTheService(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		want   string // in the answer
		logged string
	}{
		"plain":           {errors.New("disk secret"), 500, "", "internal error", "disk secret"},
		"internal":        {herald.Errorf(herald.CodeInternal, "R.", "row secret"), 500, "", "internal error", "row secret"},
		"with a cause":    {&herald.Error{Code: herald.CodeStorageUnavailable, Message: "no writes now", Remedy: "Later.", RetryAfter: 1001 * time.Millisecond, Err: errors.New("fsync secret")}, 503, "2", "no writes now", "fsync secret"},
		"conflict":        {herald.Errorf(herald.CodeConflict, "Look.", "already done"), 409, "", "already done", ""},
		"several":         {errors.Join(herald.Invalid("a", "Fix.", "is bad"), herald.Invalid("b", "Fix.", "is worse"), errors.New("secret")), 422, "", `"errors":[{"field":"a","detail":"is bad"},{"field":"b","detail":"is worse"}]`, ""},
		"one of several":  {errors.Join(herald.Invalid("a", "Fix.", "is bad")), 422, "", `"field":"a"}`, ""},
		"caller has gone": {fmt.Errorf("store secret: %w", ended.Err()), 500, "", "internal error", ""},
		"took too long":   {fmt.Errorf("store secret: %w", context.DeadlineExceeded), 503, "1", "too long", "store secret"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			r.fail = c.err
			rec := r.do("GET", "/v1/echo/a", "", master)
			problemOf(t, rec)
			if rec.Code != c.status || rec.Header().Get("Retry-After") != c.retry || !strings.Contains(rec.Body.String(), c.want) {
				t.Errorf("got %d, Retry-After %q, %s", rec.Code, rec.Header().Get("Retry-After"), rec.Body)
			}
			if strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("the answer tells too much: %s", rec.Body)
			}
			id := rec.Header().Get("X-Request-Id")
			if c.status == 500 && !strings.Contains(rec.Body.String(), id) {
				t.Error("the answer does not tell the request ID")
			}
			if c.logged != "" && (!strings.Contains(r.log.String(), c.logged) || !strings.Contains(r.log.String(), "request_id="+id)) {
				t.Errorf("the log does not tell the cause: %s", r.log.String())
			}
		})
	}
}

func TestCallerWhoHasGone(t *testing.T) {
	r := newRig(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.fail = fmt.Errorf("store: %w", ctx.Err())
	req := httptest.NewRequestWithContext(ctx, "GET", "/v1/echo/a", nil)
	req.Header.Set("Authorization", "Bearer key")
	rec := httptest.NewRecorder()
	r.mux.ServeHTTP(rec, req)
	if rec.Code != 503 || strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("got %d, log %s", rec.Code, r.log.String())
	}
}

func TestPanics(t *testing.T) {
	for _, how := range []string{"early", "encode"} {
		r := newRig(t, Config{})
		rec := r.do("GET", "/v1/panic", "", master, "X-How: "+how)
		if p := problemOf(t, rec); p.Status != 500 || p.Code != herald.CodeInternal || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s: got %s", how, rec.Body)
		}
		if !strings.Contains(r.log.String(), "chain.go") || !strings.Contains(r.log.String(), "operation=panicEcho") {
			t.Errorf("%s: no stack in the log: %s", how, r.log.String())
		}
	}
	t.Run("late", func(t *testing.T) {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("half an answer ends with %v", err)
			}
		}()
		newRig(t, Config{}).do("GET", "/v1/panic", "", master, "X-How: late")
	})
}

func TestDraining(t *testing.T) {
	r := newRig(t, Config{Draining: func() bool { return true }})
	rec := r.do("POST", "/v1/echo", "{}")
	if p := problemOf(t, rec); p.Code != herald.CodeDraining || rec.Code != 503 || rec.Header().Get("Retry-After") != "5" {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if rec := r.do("GET", "/v1/echo/a", "", master); rec.Code != 200 {
		t.Errorf("a read while draining: %d", rec.Code)
	}
}

func TestObserve(t *testing.T) {
	var got []string
	r := newRig(t, Config{Observe: func(op string, status int, took time.Duration) {
		got = append(got, fmt.Sprint(op, " ", status, " ", took >= 0))
	}})
	r.do("GET", "/v1/echo/a", "", master)
	r.do("GET", "/v1/other", "")
	r.do("POST", "/v1/echo", "{")
	r.do("GET", "/v1/panic", "", master)
	if want := "readEcho 200 true, none 404 true, writeEcho 400 true, panicEcho 500 true"; strings.Join(got, ", ") != want {
		t.Errorf("got %v", got)
	}
}

func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Limits: Limits{KeyRate: 2, DeviceRate: 1, AddressRate: 0.5}})
		// use sends the same request until it is refused, and tells how often
		// it passed.
		use := func(method, path, body string, headers ...string) int {
			for n := 0; ; n++ {
				rec := r.do(method, path, body, headers...)
				h := rec.Header()
				if h.Get("RateLimit-Limit") == "" || h.Get("RateLimit-Remaining") == "" || h.Get("RateLimit-Reset") == "" {
					t.Fatalf("%s: RateLimit headers are missing: %v", path, h)
				}
				if rec.Code == 429 {
					if p := problemOf(t, rec); p.Code != herald.CodeRateLimited || h.Get("Retry-After") == "" || h.Get("RateLimit-Remaining") != "0" {
						t.Errorf("%s: %s %v", path, rec.Body, h)
					}
					return n
				}
			}
		}
		for name, got := range map[string]int{
			"master 4": use("GET", "/v1/echo/a", "", master), "key 4": use("GET", "/v1/echo/a", "", tokenH+"key"),
			"device 2": use("GET", "/v1/echo/a", "", tokenH+"device"), "stranger 1": use("POST", "/v1/echo", "{}"),
			"wrong 1": use("GET", "/v1/echo/a", "", tokenH+"guess"), "unknown path 0": use("GET", "/v1/nothing", ""),
			"no credentials 0": use("GET", "/v1/echo/a", ""), "malformed 0": use("GET", "/v1/echo/a", "", "Authorization: x"),
		} {
			if !strings.HasSuffix(name, fmt.Sprint(" ", got)) {
				t.Errorf("%s: %d passed", name, got)
			}
		}
		tells := func(limit, retry, reset string) {
			t.Helper()
			h := r.do("GET", "/v1/echo/a", "", master).Header()
			if h.Get("RateLimit-Limit") != limit || h.Get("Retry-After") != retry || h.Get("RateLimit-Reset") != reset {
				t.Errorf("headers %v", h)
			}
		}
		tells("1", "2", "2")
		<-time.NewTimer(time.Second).C // in the bubble
		if n := use("GET", "/v1/echo/a", "", master); n != 0 {
			// An address that failed too often waits even with the right secret.
			t.Errorf("%d passed from an address that guesses", n)
		}
		<-time.NewTimer(time.Second).C
		if n := use("GET", "/v1/echo/a", "", master); n != 4 {
			t.Errorf("%d passed after two seconds, want 4", n)
		}
		tells("4", "1", "2")
		if rec := r.do("OPTIONS", "/v1/echo", "", "Origin: https://a.example", "Access-Control-Request-Method: POST"); rec.Code != 204 || rec.Header().Get("RateLimit-Limit") != "1" {
			t.Errorf("preflight: %d %v", rec.Code, rec.Header())
		}
	})
}

func TestNoRateLimits(t *testing.T) {
	r := newRig(t, Config{})
	for range 100 {
		if rec := r.do("GET", "/v1/echo/a", "", master); rec.Code != 200 || rec.Header().Get("RateLimit-Limit") != "" {
			t.Fatalf("got %d %v", rec.Code, rec.Header())
		}
	}
}

func TestAddresses(t *testing.T) {
	key := func(s string) string {
		a := &API{cfg: Config{Address: func(*http.Request) netip.Addr { ip, _ := netip.ParseAddr(s); return ip }}}
		return a.address(&exchange{})
	}
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"two hosts": {"192.0.2.1", "192.0.2.2", false}, "mapped": {"192.0.2.1", "::ffff:192.0.2.1", true},
		"one site": {"2001:db8::1", "2001:db8::2", true}, "two sites": {"2001:db8::1", "2001:db8:0:1::1", false},
		"zone": {"fe80::1%eth0", "fe80::1%eth1", true}, "unknown": {"", "", true},
	} {
		if (key(c.a) == key(c.b)) != c.same {
			t.Errorf("%s: %s and %s share a bucket: %v", name, c.a, c.b, !c.same)
		}
	}
	if got := peer(&http.Request{RemoteAddr: "[2001:db8::1]:5"}); got != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("peer gives %v", got)
	}
	if got := peer(&http.Request{RemoteAddr: "pipe"}); got.IsValid() {
		t.Errorf("peer gives %v", got)
	}
}

func TestOrigins(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		origin, allow string
		status        int
		headers       []string
	}{
		"no browser":    {"", "*", 200, []string{master}},
		"listed":        {"https://good.example", "https://good.example", 200, []string{tokenH + "device"}},
		"not listed":    {"https://bad.example", "*", 403, []string{tokenH + "device"}},
		"file":          {"null", "*", 403, []string{tokenH + "device"}},
		"this server":   {"http://example.com", "*", 200, []string{tokenH + "device"}},
		"app not known": {"https://bad.example", "*", 401, nil},
	} {
		t.Run(name, func(t *testing.T) {
			headers := c.headers
			if c.origin != "" {
				headers = append(headers, "Origin: "+c.origin)
			}
			rec := r.do("GET", "/v1/echo/a", "", headers...)
			h := rec.Header()
			if rec.Code != c.status || h.Get("Access-Control-Allow-Origin") != c.allow {
				t.Errorf("got %d %v", rec.Code, h)
			}
			if (h.Get("Vary") == "Origin") != (c.allow != "*") {
				t.Errorf("Vary is %q", h.Get("Vary"))
			}
			if !strings.Contains(h.Get("Access-Control-Expose-Headers"), "Retry-After") || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("headers %v", h)
			}
		})
	}
	if rec := r.do("POST", "/v1/devices", `{"app_key":"`+string(appKey)+`"}`, "Origin: https://bad.example"); rec.Code != 403 {
		t.Errorf("a page at a foreign origin registers: %d", rec.Code)
	}
}

func TestPreflight(t *testing.T) {
	r := newRig(t, Config{})
	ask := []string{"Origin: https://any.example", "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization"}
	rec := r.do("OPTIONS", "/v1/devices/06dbnqfs00v8k3m1p2r4", "", ask...)
	h := rec.Header()
	if rec.Code != 204 || rec.Body.Len() != 0 || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PATCH") ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Access-Control-Max-Age") == "" {
		t.Errorf("got %d %v", rec.Code, h)
	}
	if rec := r.do("OPTIONS", "/v1/nothing", "", ask...); rec.Code != 404 {
		t.Errorf("preflight of nothing: %d", rec.Code)
	}
	if rec := r.do("OPTIONS", "/v1/app", ""); rec.Code != 405 {
		t.Errorf("OPTIONS without preflight: %d", rec.Code)
	}
}

func TestAuthorization(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		values []string
		want   string // kind, user, secret; "" for an error
	}{
		"none": {nil, "none"}, "basic": {[]string{basic("k:s")}, "basic k s"}, "colon in the secret": {[]string{basic("k:s:t")}, "basic k s:t"},
		"bearer": {[]string{"Bearer a.b-c"}, "bearer  a.b-c"}, "case": {[]string{"BASIC " + basic("k:s")[6:]}, "basic k s"},
		"empty": {[]string{""}, ""}, "scheme only": {[]string{"Bearer"}, ""}, "two": {[]string{"Bearer a", "Bearer a"}, ""}, "unknown": {[]string{"Digest x"}, ""},
		"not base64": {[]string{"Basic k:s"}, ""}, "no colon": {[]string{basic("ks")}, ""}, "no key": {[]string{basic(":s")}, ""}, "no secret": {[]string{basic("k:")}, ""},
		"space in a token": {[]string{"Bearer a b"}, ""}, "not ASCII": {[]string{"Bearer é"}, ""}, "long": {[]string{"Bearer " + strings.Repeat("a", maxCredential)}, ""},
	} {
		cred, err := parseAuthorization(http.Header{"Authorization": c.values})
		got := ""
		switch {
		case err != nil:
			if herald.CodeOf(err) != herald.CodeUnauthorized {
				t.Errorf("%s: %v", name, err)
			}
		case cred == nil:
			got = "none"
		case cred.bearer:
			got = "bearer " + cred.user + " " + cred.secret
		default:
			got = "basic " + cred.user + " " + cred.secret
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestChallenges(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		header string
		want   string
	}{
		"nothing": {"X: y", `Bearer realm="herald",Basic realm="herald", charset="UTF-8"`}, "basic": {"Authorization: Basic YTpi", `Bearer realm="herald",Basic realm="herald", charset="UTF-8"`},
		"bearer": {tokenH + "nope", `Bearer realm="herald", error="invalid_token"`}, "a script": {"Sec-Fetch-Dest: empty", `Bearer realm="herald"`},
	} {
		rec := r.do("GET", "/v1/echo/a", "", c.header)
		if got := strings.Join(rec.Header().Values("WWW-Authenticate"), ","); rec.Code != 401 || got != c.want {
			t.Errorf("%s: got %d %s", name, rec.Code, got)
		}
	}
}

func TestAcceptable(t *testing.T) {
	for accept, want := range map[string]bool{
		"*/*": true, "application/json": true, "text/html, */*;q=0.1": true, "application/*": true, "": false, "text/html": false,
		"application/json;q=0": false, "*/*, application/json;q=0": false, "application/json;q=0, */*": false, "application/json, */*;q=0": true, "x": false, "application/json;q=x": true,
	} {
		if got := acceptable(http.Header{"Accept": {accept}}, jsonMedia) == nil; got != want {
			t.Errorf("Accept: %s gives %v", accept, got)
		}
	}
	if acceptable(http.Header{}, jsonMedia) != nil {
		t.Error("no Accept header is refused")
	}
}

func TestIdempotencyKey(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		key    string
		ok     bool
	}{
		"none": {nil, "", true}, "uuid": {[]string{"0c1d-2e"}, "0c1d-2e", true}, "longest": {[]string{strings.Repeat("k", 128)}, strings.Repeat("k", 128), true}, "quoted": {[]string{`"a"`}, `"a"`, true},
		"empty": {[]string{""}, "", false}, "too long": {[]string{strings.Repeat("k", 129)}, "", false}, "space": {[]string{"a b"}, "", false}, "not ASCII": {[]string{"é"}, "", false}, "two": {[]string{"a", "a"}, "", false}, "control": {[]string{"a\x7f"}, "", false},
	} {
		key, err := idempotencyKey(http.Header{"Idempotency-Key": c.values})
		if key != c.key || (err == nil) != c.ok || err != nil && statusOf(err) != 400 {
			t.Errorf("%s: got %q, %v", name, key, err)
		}
	}
}

// TestConnections drives what only a real connection has.
func TestConnections(t *testing.T) {
	const never = "a body that never comes"
	for name, c := range map[string]struct {
		head   string
		send   string
		status string
		body   string
	}{
		never:                      {"POST /v1/echo HTTP/1.1\r\nContent-Length: 20\r\n", `{"text":`, "400", "whole and in time"},
		"a body that ends early":   {"POST /v1/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "zz\r\n", "400", "whole and in time"},
		"a length past the limit":  {"POST /v1/echo HTTP/1.1\r\nContent-Length: 99999999\r\n", "", "413", "too_large"},
		"chunks past the limit":    {"POST /v1/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "200000\r\n" + strings.Repeat(" ", 2<<20) + "\r\n0\r\n\r\n", "413", "too_large"},
		"an answer on a real port": {"GET /v1/echo/a HTTP/1.1\r\nAuthorization: Bearer key\r\n", "", "200", `"name":"a"`},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg Config // the others have all the time that a busy machine takes
			if name == never {
				cfg.BodyTime = 50 * time.Millisecond
			}
			srv := httptest.NewServer(newRig(t, cfg).mux)
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, c.head+"Host: x\r\nConnection: close\r\n\r\n"+c.send) }()
			got, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(got), "HTTP/1.1 "+c.status) || !strings.Contains(string(got), c.body) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// FuzzRequest: whatever comes, the answer is JSON of a known form and never
// an internal error.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/v1/echo/a?limit=5", "Bearer key", "", []byte(nil))
	f.Add("POST", "/v1/echo", "", "application/json", []byte(`{"text":"a"}`))
	f.Add("POST", "/v1/messages", "Basic !", "text/plain; charset=x", []byte{0xff})
	f.Add("OPTIONS", "/v1/%2e%2e/%00?%=;", "Basic Og==", ";", []byte("{}"))
	r := newRig(nil, Config{Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, method, target, authorization, contentType string, body []byte) {
		req, err := http.NewRequest(method, "http://x"+target, strings.NewReader(string(body)))
		if err != nil || !strings.HasPrefix(req.URL.Path, "/v1/echo") {
			return
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		req.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		switch {
		case rec.Code == 500:
			t.Fatalf("%s %s", req.URL, rec.Body)
		case rec.Code >= 400:
			problemOf(t, rec)
		case rec.Code >= 300 || rec.Code < 200:
			t.Fatalf("status %d", rec.Code)
		}
	})
}
