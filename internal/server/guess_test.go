package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// guesser asks a node from addresses of its choice, with one token or another.
type guesser struct {
	*node
	good string
}

func (g guesser) ask(path, from, token string) *http.Response {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), "GET", g.srv.URL()+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", from)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// say opens a WebSocket, says hello and gives the close code, 0 for a welcome.
func (g guesser) say(from, token string) websocket.StatusCode {
	g.t.Helper()
	c, _, err := websocket.Dial(g.t.Context(), "ws"+strings.TrimPrefix(g.srv.URL(), "http")+"/v1/live/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Forwarded-For": {from}}})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	if err := c.Write(g.t.Context(), websocket.MessageText, []byte(`{"type":"hello","token":"`+token+`"}`)); err != nil {
		g.t.Fatal(err)
	}
	_, b, err := c.Read(g.t.Context())
	if e := (websocket.CloseError{}); errors.As(err, &e) {
		return e.Code
	}
	if err != nil || !strings.Contains(string(b), `"welcome"`) {
		g.t.Fatalf("%s, %v", b, err)
	}
	return 0
}

// An address from which tokens were refused too often waits, on live endpoints
// as on the API and for both together, even with a good token; others do not.
func TestGuessing(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Limits.AddressRate = 0.001 // a burst of 1, and none more while the test runs
		c.Server.TrustedProxies = []string{"loopback"}
	})
	g := guesser{n, n.register(api.RegisterRequest{Installation: "0123456789abcdef"}).Token}
	bad := g.good + "x"
	limited := func(name string, resp *http.Response) {
		t.Helper()
		if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 429 || err != nil || after < 1 {
			t.Errorf("%s answers %s, Retry-After %q", name, resp.Status, resp.Header.Get("Retry-After"))
		}
	}
	for i, path := range []string{"/v1/live/sse", "/v1/live/stream", "/v1/live/poll", "/v1/app"} {
		from := fmt.Sprintf("192.0.2.%d", i)
		for range 3 { // requests without a token are no guesses
			if path != "/v1/app" && g.ask(path, from, "").StatusCode != 401 {
				t.Errorf("%s without a token is not refused", path)
			}
		}
		for range 3 { // good tokens are none
			if resp := g.ask("/v1/live/poll", from, g.good); resp.StatusCode != 200 {
				t.Errorf("polling answers %s", resp.Status)
			}
		}
		if resp := g.ask(path, from, bad); resp.StatusCode != 401 {
			t.Errorf("the first guess at %s is answered %s", path, resp.Status)
		}
		for _, next := range []string{"/v1/live/sse", "/v1/live/stream", "/v1/live/poll", "/v1/live/ws", "/v1/app"} {
			limited(path+" then "+next, g.ask(next, from, bad))
			limited(path+" then a good token at "+next, g.ask(next, from, g.good))
		}
		if code := g.say(from, g.good); code != 4029 {
			t.Errorf("after a guess at %s, hello ends with %d", path, code)
		}
	}
	const talks = "192.0.2.99"
	if a, b, c := g.say(talks, g.good), g.say(talks, bad), g.say(talks, g.good); a != 0 || b != 4001 || c != 4029 {
		t.Errorf("hello ends with %d, %d, %d", a, b, c)
	}
	limited("a guess in hello, then the API", g.ask("/v1/app", talks, bad))
	if code := g.say("192.0.2.98", g.good); code != 0 {
		t.Errorf("another address is closed with %d", code)
	}
}

// Over raw TCP the same is a last line.
func TestGuessingOverTCP(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Limits.AddressRate, c.Server.TCP = 0.001, "127.0.0.1:0"
	})
	good := n.register(api.RegisterRequest{Installation: "0123456789abcdef"}).Token
	say := func(token string) (f struct {
		Type string
		Code int
	}) {
		t.Helper()
		c, err := net.Dial("tcp", n.srv.TCP())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, `{"type":"hello","token":%q}`+"\n", token); err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(c).Decode(&f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if a, b, c := say(good), say("guess"), say(good); a.Type != "welcome" || b.Code != 4001 || c.Code != 4029 {
		t.Errorf("hello is answered %v, %v, %v", a, b, c)
	}
}
