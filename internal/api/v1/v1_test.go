package v1

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	appKey = herald.AppKey("k3x9q0a7c5m2p8r1t6v4w0z2")
	device = herald.RegistrationID("06dbnqfs00v8k3m1p2r4")
)

// echo is what the operation /v1/echo/{name} answers.
type echo struct {
	Name string `json:"name"`
	Kind int    `json:"kind"`
	Text string `json:"text"`
}

type echoInput struct {
	Name  string   `path:"name"`
	Limit pageSize `query:"limit"`
	On    truth    `query:"on"`
}

type echoBody struct {
	Text string `json:"text"`
}

// rig is an API whose chain is real, and whose credentials and operations
// under /v1/echo are the test's own.
type rig struct {
	*API
	t    *testing.T
	mux  *http.ServeMux
	log  bytes.Buffer
	fail error // what PUT-like calls of echo fail with
}

func newRig(t *testing.T, cfg Config) *rig {
	r := &rig{t: t, mux: http.NewServeMux()}
	cfg.Service = &api.Service{Messages: &api.Messages{}, Devices: &api.Devices{}, Audience: &api.Audience{}, Apps: &api.Apps{}, Receipts: &api.Receipts{}, Topics: &api.Topics{}}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	r.API = New(cfg)
	r.basic = func(_ context.Context, key herald.AppKey, secret string) (api.Principal, error) {
		if key != appKey || secret != "master" {
			return api.Principal{}, herald.Errorf(herald.CodeUnauthorized, "Check them.", "app key or master secret is wrong")
		}
		return api.Principal{Kind: api.Master, App: key}, nil
	}
	r.bearer = func(_ context.Context, token string, _ netip.Addr) (api.Principal, error) {
		switch token {
		case "device":
			return api.Principal{Kind: api.Device, App: appKey, Device: device}, nil
		case "key":
			return api.Principal{Kind: api.Key, App: appKey, KeyID: "k1"}, nil
		case "down":
			return api.Principal{}, &herald.Error{Code: herald.CodeStorageUnavailable, Message: "storage does not answer", Remedy: "Later.", RetryAfter: 1500 * time.Millisecond}
		}
		return api.Principal{}, herald.Errorf(herald.CodeUnauthorized, "Check it.", "the token is not valid")
	}
	r.origin = func(_ herald.AppKey, origin string) bool { return origin == "https://good.example" }
	register(r.API, operation{id: "readEcho", method: "GET", path: "/v1/echo/{name}", tag: "Test", answer: `{}`},
		func(_ context.Context, x *exchange, in *echoInput) (*reply[echo], error) {
			if _, err := in.Limit.int(); err != nil {
				return nil, err
			}
			if _, err := in.On.bool("on"); err != nil {
				return nil, err
			}
			return answer(echo{Name: in.Name, Kind: int(x.p.Kind)}, r.fail)
		})
	register(r.API, operation{id: "writeEcho", method: "POST", path: "/v1/echo", tag: "Test", write: true, anonymous: true, status: 201, body: echoBody{}, example: `{}`, answer: `{}`},
		func(_ context.Context, x *exchange, _ *none) (*reply[echo], error) {
			b, err := decode[echoBody](x)
			return answer(echo{Text: b.Text, Kind: int(x.p.Kind)}, err)
		})
	register(r.API, operation{id: "removeEcho", method: "DELETE", path: "/v1/echo/{name}", tag: "Test", write: true},
		func(_ context.Context, _ *exchange, _ *echoInput) (*none, error) { return gone(r.fail) })
	register(r.API, operation{id: "panicEcho", method: "GET", path: "/v1/panic", tag: "Test", answer: `{}`},
		func(_ context.Context, x *exchange, _ *none) (*reply[any], error) {
			switch x.r.Header.Get("X-How") {
			case "late":
				x.w.WriteHeader(200)
				_, _ = x.w.Write([]byte("half"))
			case "encode":
				return answer(any(func() {}), nil)
			}
			panic("planted secret")
		})
	r.Mount(r.mux)
	return r
}

const (
	master = "Basic-master" // stands for the Authorization header below
	tokenH = "Authorization: Bearer "
)

// do sends a request; each header is "Name: value", and master is short for
// the credentials of the app.
func (r *rig) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header = http.Header{}
	for _, h := range headers {
		if h == master {
			h = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(string(appKey)+":master"))
		}
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	r.mux.ServeHTTP(rec, req)
	return rec
}

// problemOf reads a problem and checks what holds for each.
func problemOf(t *testing.T, rec *httptest.ResponseRecorder) Problem {
	t.Helper()
	var p Problem
	if ct := rec.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d has content type %q: %s", rec.Code, ct, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != "about:blank" || p.Status != rec.Code || p.Title != http.StatusText(rec.Code) || p.Code == "" || p.Detail == "" ||
		!strings.HasSuffix(p.Remedy, ".") && !strings.HasSuffix(p.Remedy, "?") {
		t.Errorf("the problem is not complete: %s", rec.Body)
	}
	return p
}

func TestProblems(t *testing.T) {
	long := strings.Repeat("x", herald.MaxRequestBytes)
	json := "Content-Type: application/json"
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		code                 herald.Code
		field, detail        string
		remedy               string
	}{
		"unknown path":         {"GET", "/v1/nothing", "", nil, 404, "not_found", "", "nothing at this path", "/docs"},
		"the root":             {"GET", "/v1", "", nil, 404, "not_found", "", "nothing", ""},
		"slash at the end":     {"GET", "/v1/app/", "", []string{master}, 404, "not_found", "", "nothing", ""},
		"wrong method":         {"PUT", "/v1/echo/a", "", nil, 405, "invalid_request", "", `no method "PUT"`, "DELETE, GET, HEAD"},
		"no credentials":       {"GET", "/v1/echo/a", "", nil, 401, "unauthorized", "", "needs credentials", "Basic"},
		"wrong secret":         {"GET", "/v1/echo/a", "", []string{"Authorization: Basic YTpi"}, 401, "unauthorized", "", "wrong", ""},
		"wrong token":          {"GET", "/v1/echo/a", "", []string{tokenH + "nope"}, 401, "unauthorized", "", "not valid", ""},
		"wrong where optional": {"POST", "/v1/echo", "{}", []string{tokenH + "nope"}, 401, "unauthorized", "", "not valid", ""},
		"two headers":          {"GET", "/v1/echo/a", "", []string{master, tokenH + "key"}, 401, "unauthorized", "", "2 Authorization headers", "one header"},
		"storage is down":      {"GET", "/v1/echo/a", "", []string{tokenH + "down"}, 503, "storage_unavailable", "", "does not answer", "Later"},
		"token in the query":   {"GET", "/v1/echo/a?access_token=key", "", nil, 401, "unauthorized", "", "credentials in the address", "header"},
		"unknown parameter":    {"GET", "/v1/echo/a?limt=1", "", []string{master}, 422, "invalid_request", "limt", "not known", `"limit"`},
		"parameter of none":    {"DELETE", "/v1/keys/k?x=1", "", []string{master}, 422, "invalid_request", "x", "not known", "no parameters"},
		"parameter twice":      {"GET", "/v1/echo/a?limit=1&limit=2", "", []string{master}, 422, "invalid_request", "limit", "2 times", "once"},
		"malformed query":      {"GET", "/v1/echo/a?limit=%zz", "", []string{master}, 400, "invalid_request", "", "malformed", "&"},
		"semicolon in a query": {"GET", "/v1/echo/a?limit=1;on=true", "", []string{master}, 400, "invalid_request", "", "malformed", "&"},
		"path is not UTF-8":    {"GET", "/v1/echo/%ff", "", []string{master}, 400, "invalid_request", "", "not UTF-8", ""},
		"query is not UTF-8":   {"GET", "/v1/echo/a?limit=%ff", "", []string{master}, 400, "invalid_request", "", "not UTF-8", ""},
		"limit of zero":        {"GET", "/v1/echo/a?limit=0", "", []string{master}, 422, "invalid_request", "limit", "not a page size", "1 to 1000"},
		"limit too large":      {"GET", "/v1/echo/a?limit=1001", "", []string{master}, 422, "invalid_request", "limit", "not a page size", "1 to 1000"},
		"limit is a word":      {"GET", "/v1/echo/a?limit=many", "", []string{master}, 422, "invalid_request", "limit", "not a page size", "1 to 1000"},
		"flag is a word":       {"GET", "/v1/echo/a?on=yes", "", []string{master}, 422, "invalid_request", "on", "not true or false", "true or false"},
		"not acceptable":       {"GET", "/v1/echo/a", "", []string{master, "Accept: text/html"}, 406, "invalid_request", "", "application/json only", "Accept"},
		"form":                 {"POST", "/v1/echo", "text=a", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "invalid_request", "", "x-www-form", "application/json"},
		"charset":              {"POST", "/v1/echo", "{}", []string{json + "; charset=gbk"}, 415, "invalid_request", "", "gbk", "UTF-8"},
		"compressed":           {"POST", "/v1/echo", "{}", []string{json, "Content-Encoding: gzip"}, 415, "invalid_request", "", "gzip", "without compression"},
		"too large":            {"POST", "/v1/echo", `{"text":"` + long + `"}`, []string{json}, 413, "too_large", "", "larger than 1048576", "less"},
		"empty body":           {"POST", "/v1/echo", "", []string{json}, 400, "invalid_request", "", "empty", "JSON"},
		"not JSON":             {"POST", "/v1/echo", "{", []string{json}, 400, "invalid_request", "", "not JSON at byte 1", ""},
		"body is not UTF-8":    {"POST", "/v1/echo", "{\"text\":\"\xff\"}", []string{json}, 400, "invalid_request", "", "byte 9 is not UTF-8", ""},
		"unknown member":       {"POST", "/v1/echo", `{"txt":"a"}`, []string{json}, 422, "invalid_request", "txt", "not known", `"text"`},
		"wrong type":           {"POST", "/v1/echo", `{"text":1}`, []string{json}, 422, "invalid_request", "text", "a string is expected", "quotes"},
		"not a message ID":     {"GET", "/v1/messages/x1", "", []string{master}, 404, "not_found", "id", "not a message ID", ""},
		"withdraw nothing":     {"DELETE", "/v1/messages/-1", "", []string{master}, 404, "not_found", "id", "not a message ID", ""},
		"trace of no message":  {"GET", "/v1/messages/0/devices/06dbnqfs00v8k3m1p2r4", "", []string{master}, 404, "not_found", "id", "", ""},
		"trace on no device":   {"GET", "/v1/messages/1/devices/x", "", []string{master}, 404, "not_found", "registration_id", "", ""},
		"not a device":         {"GET", "/v1/devices/UPPER", "", []string{master}, 404, "not_found", "registration_id", "not a registration ID", ""},
		"change no device":     {"PATCH", "/v1/devices/x", "{}", []string{master}, 404, "not_found", "registration_id", "", ""},
		"remove no device":     {"DELETE", "/v1/devices/x", "", []string{master}, 404, "not_found", "registration_id", "", ""},
		"state of messages":    {"GET", "/v1/messages?state=lost", "", []string{master}, 422, "invalid_request", "state", "not a state", "scheduled, sending"},
		"platform of devices":  {"GET", "/v1/devices?platform=amiga", "", []string{master}, 422, "invalid_request", "platform", "not a platform", "web, android"},
		"online of devices":    {"GET", "/v1/devices?online=1", "", []string{master}, 422, "invalid_request", "online", "", ""},
		"page of messages":     {"GET", "/v1/messages?limit=-1", "", []string{master}, 422, "invalid_request", "limit", "", ""},
		"page of devices":      {"GET", "/v1/devices?limit=x", "", []string{master}, 422, "invalid_request", "limit", "", ""},
		"page of tags":         {"GET", "/v1/tags?limit=x", "", []string{master}, 422, "invalid_request", "limit", "", ""},
		"estimate":             {"POST", "/v1/audience/estimate", `{"audience":{"tag":["a"]}}`, []string{master}, 422, "invalid_request", "audience.tag", "not known", `"tags"`},
		"receipts":             {"POST", "/v1/receipts", `{"receipts":[{"id":7}]}`, []string{master}, 422, "invalid_request", "receipts[0].id", "string is expected", "quotes"},
		"register":             {"POST", "/v1/devices", `{"appkey":"x"}`, nil, 422, "invalid_request", "appkey", "not known", `"app_key"`},
		"update of a device":   {"PATCH", "/v1/devices/06dbnqfs00v8k3m1p2r4", `{"tags":null}`, []string{master}, 422, "invalid_request", "tags", "not null", "Leave"},
		"members of a tag":     {"POST", "/v1/tags/a", `{"add":"x"}`, []string{master}, 422, "invalid_request", "add", "a list is expected", ""},
		"members of an alias":  {"POST", "/v1/aliases/a", `{"ad":[]}`, []string{master}, 422, "invalid_request", "ad", "not known", `"add"`},
		"update of the app":    {"PATCH", "/v1/app", `{"Name":"x"}`, []string{master}, 422, "invalid_request", "Name", "not known", `"name"`},
		"rules of the app":     {"PATCH", "/v1/app", `{"topics":{"publish":"#"}}`, []string{master}, 422, "invalid_request", "topics.publish", "a list is expected", ""},
		"no rules of the app":  {"PATCH", "/v1/app", `{"topics":null}`, []string{master}, 422, "invalid_request", "topics", "not null", "Leave"},
		"publish":              {"POST", "/v1/publish", `{"topic":"a","payload":1}`, []string{master}, 422, "invalid_request", "payload", "not known", ""},
		"publish to no topic":  {"POST", "/v1/publish", `{"topic":7,"data":1}`, []string{master}, 422, "invalid_request", "topic", "a string is expected", ""},
		"read what is written": {"GET", "/v1/publish", "", []string{master}, 405, "invalid_request", "", `no method "GET"`, "POST"},
		"page of topics":       {"GET", "/v1/topics?limit=x", "", []string{master}, 422, "invalid_request", "limit", "", ""},
		"prefix twice":         {"GET", "/v1/topics?prefix=a&prefix=b", "", []string{master}, 422, "invalid_request", "prefix", "2 times", "once"},
		"parameter of topics":  {"GET", "/v1/topics?topics=a", "", []string{master}, 422, "invalid_request", "topics", "not known", `"topic"`},
		"new key":              {"POST", "/v1/keys", `{"scope":[]}`, []string{master}, 422, "invalid_request", "scope", "not known", `"scopes"`},
		"idempotency key":      {"POST", "/v1/messages", `{}`, []string{master, "Idempotency-Key: a b"}, 400, "invalid_request", "Idempotency-Key", "wrong form", "visible ASCII"},
		"post to the page":     {"POST", "/docs", "", nil, 405, "invalid_request", "", "only be read", "GET"},
		"no such page":         {"GET", "/docs/x", "", nil, 404, "not_found", "", "nothing", "/docs"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			rec := r.do(c.method, c.target, c.body, c.headers...)
			p := problemOf(t, rec)
			if rec.Code != c.status || p.Code != c.code || p.Field != c.field || !strings.Contains(p.Detail, c.detail) || !strings.Contains(p.Remedy, c.remedy) {
				t.Errorf("got %d %s", rec.Code, rec.Body)
			}
			if c.status == 401 && rec.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without a challenge")
			}
			if c.status == 405 && rec.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if strings.HasPrefix(c.target, "/v1") && rec.Header().Get("X-Request-Id") == "" {
				t.Error("no request ID")
			}
		})
	}
}

func TestGoodAnswers(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		answer               string
	}{
		"master secret":     {"GET", "/v1/echo/a", "", []string{master}, 200, `{"name":"a","kind":1,"text":""}`},
		"key":               {"GET", "/v1/echo/a?limit=1000&on=false", "", []string{tokenH + "key", "Accept: application/*;q=0.5"}, 200, `{"name":"a","kind":2,"text":""}`},
		"device":            {"GET", "/v1/echo/a", "", []string{"Authorization: bEARER  device "}, 200, `{"name":"a","kind":3,"text":""}`},
		"stranger":          {"POST", "/v1/echo", `{"text":"é"}`, []string{`Content-Type: Application/JSON; charset="UTF-8"`}, 201, `{"name":"","kind":0,"text":"é"}`},
		"no content type":   {"POST", "/v1/echo", ` {"text":"b"} `, []string{"Content-Encoding: identity"}, 201, `{"name":"","kind":0,"text":"b"}`},
		"nothing to answer": {"DELETE", "/v1/echo/a", "", []string{master}, 204, ``},
		"head":              {"HEAD", "/v1/echo/a", "", []string{master}, 200, `{"name":"a","kind":1,"text":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			rec := r.do(c.method, c.target, c.body, c.headers...)
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != c.status || got != c.answer {
				t.Fatalf("got %d %s", rec.Code, got)
			}
			h := rec.Header()
			if c.answer != "" && h.Get("Content-Type") != "application/json" {
				t.Errorf("content type %q", h.Get("Content-Type"))
			}
			if len(h.Get("X-Request-Id")) != 16 || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", h)
			}
		})
	}
}

// TestNamesInPaths: a name may hold anything that a path gives a meaning to.
// (Only a name that is "/" and nothing else cannot be reached: ServeMux takes
// it for the slash at the end of a path.)
func TestNamesInPaths(t *testing.T) {
	r := newRig(t, Config{})
	for encoded, want := range map[string]string{
		"a%2Fb": "a/b", "100%25": "100%", "%231": "#1", "a%3Fb": "a?b", "a%20b": "a b", "a+b": "a+b", "%E6%A0%87%E7%AD%BE": "标签", "%2E%2E": "..",
		"a%2F%2Fb": "a//b", "x:y@z": "x:y@z", "%257B": "%7B", "{name}": "{name}", "a%2F": "a/",
	} {
		rec := r.do("GET", "/v1/echo/"+encoded, "", master)
		var got echo
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 || got.Name != want {
			t.Errorf("%s: got %d %s", encoded, rec.Code, rec.Body)
		}
	}
}
