package v1

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSchedules(t *testing.T) {
	n := newNode(t)
	const body = `{"name":"n","trigger":{"cron":"0 9 * * mon"},"zone":"Asia/Shanghai","message":{"audience":"all","data":1}}`
	v := n.call(n.key, "POST", "/v1/schedules", body, 201)
	at := "/v1/schedules/" + fmt.Sprint(v["id"])
	n.call(n.key, "POST", "/v1/schedules", strings.Replace(body, "cron", "corn", 1), 422)
	n.call(n.key, "POST", "/v1/schedules", strings.Replace(body, `"data"`, `"dater"`, 1), 422)
	if v := n.call(n.key, "GET", at, "", 200); v["state"] != "active" || fmt.Sprint(v["message"]) != "map[audience:all data:1]" {
		t.Errorf("shown: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/schedules?state=active&limit=1", "", 200); fmt.Sprint(v["total"]) != "1" || len(v["schedules"].([]any)) != 1 {
		t.Errorf("listed: %v", v)
	}
	n.call(n.key, "GET", "/v1/schedules?state=x", "", 422)
	n.call(n.key, "GET", "/v1/schedules?limit=x", "", 422)
	if v := n.call(n.key, "PATCH", at, `{"name":"m"}`, 200); v["name"] != "m" {
		t.Errorf("changed: %v", v)
	}
	n.call(n.key, "PATCH", at, `{"id":"7"}`, 422)
	for verb, state := range map[string]string{"pause": "paused", "resume": "active"} {
		if v := n.call(n.key, "POST", at+":"+verb, "", 200); verb == "pause" && v["state"] != state {
			t.Errorf("%s: %v", verb, v)
		}
	}
	n.call(n.key, "POST", at+":resume", "", 200)
	n.call(n.key, "POST", at+":skip", "", 200)
	if v := n.call(n.key, "POST", at+":run", "", 202); v["manual"] != true || v["message_id"] == nil {
		t.Errorf("run: %v", v)
	}
	if v := n.call(n.key, "GET", at+"/messages?limit=5", "", 200); len(v["runs"].([]any)) != 2 {
		t.Errorf("runs: %v", v)
	}
	n.call(n.key, "GET", at+"/messages?limit=0", "", 422)
	if v := n.call(n.key, "GET", at+"/next?count=3", "", 200); len(v["occurrences"].([]any)) != 3 {
		t.Errorf("next: %v", v)
	}
	n.call(n.key, "GET", at+"/next?count=x", "", 422)
	if v := n.call(n.key, "POST", "/v1/schedules:preview", `{"trigger":{"unit":"day","time":"09:00"},"count":2}`, 200); len(v["occurrences"].([]any)) != 2 {
		t.Errorf("preview: %v", v)
	}
	n.call(n.key, "POST", "/v1/schedules:preview", `{"trigger":{},"count":2}`, 422)
	n.call("", "GET", at, "", 401)
	n.call("", "POST", at+":pause", "", 401)
	n.call(n.key, "DELETE", at, "", 204)
	for _, c := range []struct{ method, path, body string }{
		{"GET", at, ""}, {"DELETE", at, ""}, {"PATCH", at, `{}`}, {"POST", at + ":pause", ""}, {"POST", at + ":run", ""}, {"GET", at + "/next", ""}, {"GET", at + "/messages", ""},
		{"GET", "/v1/schedules/x", ""}, {"DELETE", "/v1/schedules/x", ""}, {"PATCH", "/v1/schedules/x", `{}`}, {"POST", "/v1/schedules/x:pause", ""},
		{"POST", "/v1/schedules/x:run", ""}, {"GET", "/v1/schedules/x/next", ""}, {"GET", "/v1/schedules/x/messages", ""},
	} {
		n.call(n.key, c.method, c.path, c.body, 404)
	}
}

// A verb behind a name is a path of its own; where there is none, a colon is
// part of the name.
func TestVerbs(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/v1/schedules/7:pause", 404},
		{"POST", "/v1/schedules/7:stop", 405},
		{"POST", "/v1/schedules/:pause", 405},
		{"POST", "/v1/schedules/7:pause/x", 404},
		{"GET", "/v1/schedules/7:pause", 405},
		{"GET", "/v1/aliases/7:pause", 404},
		{"PUT", "/v1/aliases/a:pause", 201},
		{"PUT", "/v1/aliases/a%3Apause", 200},
		{"GET", "/v1/aliases/a:pause", 200},
	} {
		n.call(n.key, c.method, c.path, "", c.status)
	}
	rec, req := httptest.NewRecorder(), httptest.NewRequest("OPTIONS", "/v1/schedules/7:pause", http.NoBody)
	req.Header = http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"POST"}}
	n.mux.ServeHTTP(rec, req)
	if rec.Code != 204 || !strings.Contains(rec.Header().Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %d %v", rec.Code, rec.Header())
	}
}

func TestCutVerb(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/schedules/{id}:pause": "/v1/schedules/{id}/:pause", "/v1/schedules/{id}": "/v1/schedules/{id}", "/v1/messages:batch": "/v1/messages:batch",
	} {
		if got := muxPath(path); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}
