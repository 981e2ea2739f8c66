package journey_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// absent is a device that registered and was never connected until it asks for
// what waits.
type absent struct {
	server *server
	token  string
}

func newAbsent(t *testing.T, s *server) *absent {
	t.Helper()
	return &absent{server: s, token: s.register(t).Token}
}

// expect connects and reads exactly the messages of these IDs, in order.
func (a *absent) expect(t *testing.T, want []string) {
	t.Helper()
	conn := dial(t, a.server, a.token)
	var got []string
	for len(got) < len(want) {
		f := readFrame(t, conn)
		if f.Type == "message" {
			got = append(got, f.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

// dial opens a WebSocket whose end is bounded by the test's patience.
func dial(t *testing.T, s *server, token string) *websocket.Conn {
	t.Helper()
	address := strings.Replace(s.url, "http:", "ws:", 1) + "/v1/live/ws"
	if token != "" {
		address += "?access_token=" + token
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: []string{"herald.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() }) // it may be closed already
	return conn
}

func readFrame(t *testing.T, conn *websocket.Conn) frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, data, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return f
}
