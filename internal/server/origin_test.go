package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/live"
)

// TestOrigins holds the matrix of ways in and pages that may use an app.
func TestOrigins(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	host := strings.TrimPrefix(n.srv.URL(), "http://")
	hold := func(name, path, origin string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", n.srv.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "bearer "+d.Token) // in any case (RFC 9110 section 11.1)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := n.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		allowed := resp.Header.Get("Access-Control-Allow-Origin")
		if resp.StatusCode != want || want == 200 && origin != "" && allowed != origin && allowed != "*" {
			t.Errorf("%s, %s from %q: %s, allowed to %q", name, path, origin, resp.Status, allowed)
		}
	}
	socket := func(name, query, origin string) (status int, c *websocket.Conn) {
		t.Helper()
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		c, resp, err := websocket.Dial(t.Context(), "ws://"+host+"/v1/live/ws"+query, &websocket.DialOptions{HTTPHeader: h})
		if resp == nil {
			t.Fatalf("%s from %q: %v", name, origin, err)
		}
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		return resp.StatusCode, c
	}
	for _, app := range []struct {
		name    string
		origins string
		refused []string
		allowed []string
	}{
		{"any", `[]`, nil, []string{"", "null", "https://a.example", "https://b.example", n.srv.URL()}},
		{"some", `["https://a.example"]`, []string{"null", "https://b.example", "https://a.example:8443", "http://a.example", "https://sub.a.example"},
			[]string{"", "https://a.example", n.srv.URL()}},
	} {
		if status := n.call("PATCH", "/v1/app", "", `{"origins":`+app.origins+`}`, nil); status != 200 {
			t.Fatalf("setting the origins gives %d", status)
		}
		check := func(origin string, may bool) {
			want, upgraded := 403, 403
			if may {
				want, upgraded = 200, 101
			}
			for _, path := range []string{"/v1/live/sse", "/v1/live/stream", "/v1/live/poll", "/v1/devices/" + string(d.RegistrationID)} {
				hold(app.name, path, origin, want)
			}
			if status, _ := socket(app.name, "?access_token="+d.Token, origin); status != upgraded {
				t.Errorf("%s, WebSocket with a token from %q: %d", app.name, origin, status)
			}
			// Without a token in the head nobody knows the app, until hello.
			status, c := socket(app.name, "", origin)
			if status != 101 {
				t.Errorf("%s, WebSocket with hello from %q: %d", app.name, origin, status)
				return
			}
			s := &session{t, c}
			s.say(`{"type":"hello","token":%q}`, d.Token)
			if may {
				s.expect("welcome", "")
			} else {
				s.closed(live.CloseForbidden)
			}
		}
		for _, origin := range app.allowed {
			check(origin, true)
		}
		for _, origin := range app.refused {
			check(origin, false)
		}
	}
}
