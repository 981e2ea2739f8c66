package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	w := newWorld(t)
	var asked []string
	answer := `{"entries":[
		{"id":"9","time":"2026-11-21T09:30:00Z","actor":{"kind":"key","key_id":"k7x2m4p1","key_name":"ci\u001b[2J","address":"203.0.113.7"},"operation":"changeTag","object":"vip"},
		{"id":"8","time":"2026-11-21T09:20:00Z","actor":{"kind":"page","registration_id":"06dbnqfs00v8k3m1p2r4","address":"192.0.2.1"},"operation":"updateDevice","object":"06dbnqfs00v8k3m1p2r4"},
		{"id":"7","time":"2026-11-21T09:10:00Z","actor":{"kind":"admin","address":"local"},"operation":"updateApp","changes":{"name":{"old":"a","new":"b"},"origins":{},"device_tags":{"new":true},"topics":{"old":{}}}}
	],"next_cursor":"7"}`
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		fmt.Fprint(rw, answer)
	})
	if code := w.run(t, "audit"); code != ExitOK {
		t.Fatalf("exit %d: %s", code, w.err)
	}
	golden(t, "audit", w.out.String())
	for _, args := range [][]string{
		{"audit", "--actor", "master", "--operation", "x", "--object", "y", "--limit", "3", "--cursor", "9", "--since", "2026-11-21T09:30:00Z", "--until", "2026-11-21T10:30:00+01:00"},
		{"audit", "--alias", "anna", "--json"},
		{"audit", "--since", "24h"},
	} {
		if code := w.run(t, args...); code != ExitOK {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
	if asked[1] != "/v1/audit?actor=master&cursor=9&limit=3&object=y&operation=x&since=2026-11-21T09%3A30%3A00Z&until=2026-11-21T09%3A30%3A00Z" ||
		asked[2] != "/v1/audit?alias=anna" || !strings.HasPrefix(asked[3], "/v1/audit?since=") {
		t.Errorf("asked for %q", asked)
	}
	answer = `{"entries":[]}`
	w.out.b.Reset()
	if code := w.run(t, "audit"); code != ExitOK || !strings.Contains(w.out.String(), "no such change") {
		t.Errorf("exit %d: %s", code, w.out)
	}
	for _, args := range [][]string{{"audit", "x"}, {"audit", "--since", "yesterday"}, {"audit", "--until", "-1h"}} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}
