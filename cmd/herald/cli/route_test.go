package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRouteCommands(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "urgent.json")
	const spec = `{"steps":[{"channel":"live"},{"channel":"vendor","vendor":"apns","unless":"sent"},{"channel":"sms","after":"1m30s"}]}`
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = `{"name":"urgent",` + `"steps":[{"channel":"live","unless":"received"},{"channel":"vendor","vendor":"apns","unless":"sent"},{"channel":"sms","unless":"received","after":"1m30s"}],` +
		`"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch at := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body)); at {
		case "PUT /v1/routes/urgent " + spec, "GET /v1/routes/urgent":
			fmt.Fprint(rw, text)
		case "GET /v1/routes":
			if empty {
				fmt.Fprint(rw, `{"routes":[]}`)
				return
			}
			fmt.Fprint(rw, `{"routes":[`+text+`]}`)
		case "DELETE /v1/routes/urgent":
			rw.WriteHeader(http.StatusNoContent)
		case `POST /v1/messages {"audience":"all","notification":{"title":"x"},"route":` + spec + `}`:
			fmt.Fprint(rw, `{"id":"42","target":2,"unknown":0,"stored":true}`)
		case "GET /v1/messages/42":
			fmt.Fprint(rw, `{"id":"42","state":"scheduled","audience":"all","accepted_at":"2026-11-21T09:00:00Z","expires_at":"2026-11-21T09:01:00Z","route":`+text+`}`)
		case "GET /v1/messages/43":
			fmt.Fprint(rw, `{"id":"43","state":"scheduled","audience":"all","accepted_at":"2026-11-21T09:00:00Z","expires_at":"2026-11-21T09:01:00Z","route":`+spec+`}`)
		default:
			t.Errorf("asked %s", at)
		}
	})
	var all strings.Builder
	for _, args := range [][]string{
		{"route", "set", "urgent", "FILE"}, {"route", "set", "urgent", "-"}, {"route", "list"}, {"route", "show", "urgent"},
		{"push", "x", "--route", "FILE"}, {"push", "x", "--route", "-"}, {"message", "42"}, {"message", "43"}, {"route", "remove", "urgent"}, {"route", "list"}, {"route", "list", "--json"},
	} {
		empty = args[1] == "list" && strings.Contains(all.String(), "deleted")
		w.In = strings.NewReader(spec)
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n")
		if last := len(args) - 1; args[last] == "FILE" {
			args[last] = file
		}
		w.out.b.Reset()
		if code := w.run(t, args...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString(w.out.String())
	}
	golden(t, "route", all.String())
	none := filepath.Join(t.TempDir(), "none.json")
	for _, tc := range []struct {
		input string
		args  []string
	}{
		{"{", []string{"route", "set", "x", "-"}},
		{`{"steps":[{"chanel":"live"}]}`, []string{"route", "set", "x", "-"}},
		{`{"steps":[{"channel":"live","after":10}]}`, []string{"push", "x", "--route", "-"}},
		{`{"steps":[]}`, []string{"push", "x", "--route", "-"}},
		{"", []string{"push", "x", "--route", none}},
		{"", []string{"route", "set", "x", none}},
		{"", []string{"route", "set", "x"}},
		{"", []string{"route", "show"}},
		{"", []string{"push", "--batch", "-", "--route", "x"}},
		{"", []string{"push", "--batch", "-", "--debug"}},
	} {
		w.In = strings.NewReader(tc.input)
		if code := w.run(t, tc.args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", tc.args, code, w.err)
		}
	}
}
