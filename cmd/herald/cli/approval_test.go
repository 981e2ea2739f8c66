package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestApprovalCommands(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch at := strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body)); at {
		case `PATCH /v1/app {"approval":{"required":true,"above":1000}}`:
			fmt.Fprint(rw, `{"app_key":"`+string(testKey)+`","name":"shop","created_at":"2026-11-21T09:00:00Z","approval":{"required":true,"above":1000}}`)
		case `PATCH /v1/app {"approval":{"required":false,"above":0}}`:
			fmt.Fprint(rw, `{"app_key":"`+string(testKey)+`","name":"shop","created_at":"2026-11-21T09:00:00Z","approval":{"required":false,"above":0}}`)
		case `PATCH /v1/app {"caps":[{"category":"news","max":1,"per":86400},{"category":"a=b","max":3,"per":90}]}`:
			fmt.Fprint(rw, `{"app_key":"`+string(testKey)+`","name":"shop","created_at":"2026-11-21T09:00:00Z","caps":[{"category":"news","max":1,"per":86400},{"category":"a=b","max":3,"per":90}]}`)
		case `PATCH /v1/app {"caps":[]}`:
			fmt.Fprint(rw, `{"app_key":"`+string(testKey)+`","name":"shop","created_at":"2026-11-21T09:00:00Z","caps":[]}`)
		case `POST /v1/messages {"audience":"all","notification":{"title":"x"}}`:
			fmt.Fprint(rw, `{"id":"7","target":null,"estimate":1200,"stored":true,"awaiting_approval":true}`)
		case "GET /v1/messages":
			if q := r.URL.RawQuery; q != "limit=20&state=awaiting_approval" && q != "limit=1" {
				t.Errorf("asked for messages with %s", q)
			}
			fmt.Fprint(rw, `{"messages":[{"id":"7","state":"awaiting_approval","accepted_at":"2026-11-21T09:00:00Z","notification":{"title":"A title that is longer than a line of the list has room for"}},`+
				`{"id":"6","state":"done","accepted_at":"2026-11-21T08:00:00Z","data":1,"counts":{"target":3,"received":2}}],"next_cursor":"x"}`)
		case "POST /v1/messages/7:approve":
			fmt.Fprint(rw, `{"id":"7","state":"scheduled"}`)
		case `POST /v1/messages/7:reject {"reason":"wrong"}`:
			fmt.Fprint(rw, `{"id":"7","state":"rejected"}`)
		default:
			t.Errorf("asked %s", at)
		}
	})
	var all strings.Builder
	for _, args := range [][]string{{"app", "set", "--approval-above", "1000"}, {"push", "x"}, {"messages", "--state", "awaiting_approval"}, {"messages", "--limit", "1", "--json"}, {"approve", "7"}, {"reject", "7", "--reason", "wrong"}, {"approve", "7", "--json"}, {"app", "set", "--approval-above", "off"},
		{"app", "set", "--cap", "news=1/24h", "--cap", "a=b=3/90s"}, {"app", "set", "--cap", ""}} {
		w.out.b.Reset()
		if code := w.run(t, args...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	golden(t, "approval", all.String())
	for _, args := range [][]string{{"approve"}, {"messages", "--limit", "0"}, {"messages", "7"}, {"approve", "x"}, {"reject", "7", "8"}, {"app", "set", "--approval-above", "-1"}, {"app", "set", "--approval-above", "many"}, {"app", "set", "--cap", "news"}, {"app", "set", "--cap", "news=0/1h"}, {"app", "set", "--cap", "=1/1h"}, {"app", "set", "--cap", "news=1/1s"}} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}
