package cli

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func TestSessionCommands(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		switch {
		case r.Method == http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/v1/sessions/pump 7":
			fmt.Fprint(rw, `{"client_id":"pump 7","connected":true,"expires_in":60,"mqtt_version":"5.0","dropped":2,"waiting":3,"subscriptions":[{"filter":"a/#","qos":1},{"filter":"$share/g/b","qos":2}]}`)
		case r.URL.Query().Has("registration_id"):
			fmt.Fprint(rw, `{"sessions":[]}`)
		case r.URL.Query().Get("cursor") == "":
			fmt.Fprint(rw, `{"sessions":[{"client_id":"a","registration_id":"06dbnqfs00v8k3m1p2r4","connected":false,"expires_in":60,"ends_at":"2026-11-28T09:30:00Z","mqtt_version":"3.1.1","dropped":0}],"next_cursor":"a"}`)
		default:
			fmt.Fprint(rw, `{"sessions":[]}`)
		}
	})
	golden(t, "sessions", transcript(t, w, []string{"sessions"}, []string{"sessions", "pump 7"}, []string{"sessions", "pump 7", "--json"},
		[]string{"sessions", "--device", "06dbnqfs00v8k3m1p2r4"}, []string{"sessions", "--end", "pump 7"}))
	want := []string{
		"GET /v1/sessions?limit=1000", "GET /v1/sessions?cursor=a&limit=1000", "GET /v1/sessions/pump%207", "GET /v1/sessions/pump%207",
		"GET /v1/sessions?limit=1000&registration_id=06dbnqfs00v8k3m1p2r4", "DELETE /v1/sessions/pump%207",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	for _, args := range [][]string{{"sessions", "--end"}, {"sessions", "a", "--device", "b"}} {
		if code := w.run(t, args...); code != 2 {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
