package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestKeyCommands(t *testing.T) {
	w := newWorld(t)
	const key = `"id":"k7x2m4p1","name":"ci","scopes":["messages:send"],"created_at":"2026-11-21T09:30:00Z"`
	var asked []string
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		switch {
		case r.Method == http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case empty:
			fmt.Fprint(rw, `{"keys":[]}`)
		case r.Method == http.MethodGet:
			fmt.Fprint(rw, `{"keys":[{`+key+`},{`+key+`,"last_used_at":"2026-11-21T09:30:00Z","expires_at":"2027-11-21T09:30:00Z","networks":["10.0.0.0/8","192.0.2.1/32"],"old_secret_until":"2026-11-22T09:30:00Z"}]}`)
		case strings.HasSuffix(r.URL.Path, "/rotate"):
			fmt.Fprint(rw, `{`+key+`,"old_secret_until":"2026-11-22T09:30:00Z","key":"hk1.rotated"}`)
		default:
			fmt.Fprint(rw, `{`+key+`,"key":"hk1.made"}`)
		}
	})
	var all strings.Builder
	run := func(args ...string) {
		t.Helper()
		w.out.b.Reset()
		if code := w.run(t, args...); code != ExitOK {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	run("key", "list")
	run("key", "create", "ci", "messages:send", "devices:read", "--network", "10.0.0.0/8,192.0.2.1")
	run("key", "set", "k7x2m4p1", "--name", "cd", "--scope", "messages:read", "--anywhere")
	run("key", "set", "k7x2m4p1", "--network", "10.0.0.0/8")
	run("key", "rotate", "k7x2m4p1")
	run("key", "rotate", "k7x2m4p1", "--keep", "0", "--json")
	run("key", "delete", "k7x2m4p1")
	empty = true
	run("key", "list")
	golden(t, "key", all.String())
	want := []string{
		`GET /v1/keys`,
		`POST /v1/keys {"name":"ci","scopes":["messages:send","devices:read"],"networks":["10.0.0.0/8","192.0.2.1"]}`,
		`PATCH /v1/keys/k7x2m4p1 {"name":"cd","scopes":["messages:read"],"networks":[]}`,
		`PATCH /v1/keys/k7x2m4p1 {"networks":["10.0.0.0/8"]}`,
		`POST /v1/keys/k7x2m4p1/rotate {"keep":86400}`,
		`POST /v1/keys/k7x2m4p1/rotate {"keep":0}`,
		`DELETE /v1/keys/k7x2m4p1`,
		`GET /v1/keys`,
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked for\n%s", strings.Join(asked, "\n"))
	}
	empty = false
	run("key", "create", "ci", "messages:send", "--expires", "1h")
	run("key", "set", "k7x2m4p1", "--expires", "1h")
	for _, call := range asked[len(want):] {
		if !strings.Contains(call, `"expires_at":"`) {
			t.Errorf("asked for %s", call)
		}
	}
	for _, args := range [][]string{
		{"key"}, {"key", "create", "ci"}, {"key", "create", "ci", "messages:send", "--expires", "-1h"}, {"key", "set"}, {"key", "set", "k", "--expires", "0"},
		{"key", "set", "k", "--network", "10.0.0.0/8", "--anywhere"}, {"key", "rotate"}, {"key", "rotate", "k", "--keep", "x"}, {"key", "delete"},
	} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}
