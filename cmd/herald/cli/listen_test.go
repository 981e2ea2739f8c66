package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/herald-push/herald"
)

// live answers registrations, and sends frames over a WebSocket. It tells the
// acknowledgements it got.
func live(t *testing.T, acks chan<- string, installations *[]string, frames ...string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/devices" {
			var body struct {
				Installation string
				Platform     herald.Platform
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Platform != "linux" {
				t.Errorf("registered as %+v, %v", body, err)
			}
			*installations = append(*installations, body.Installation)
			fmt.Fprint(rw, `{"registration_id":"01234567890123456789","token":"hd1.t","created":true}`)
			return
		}
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		for _, f := range append([]string{`{"type":"welcome","session":"s","registration_id":"01234567890123456789","heartbeat":50,"timeout":75}`}, frames...) {
			if err := c.Write(context.Background(), websocket.MessageText, []byte(f)); err != nil {
				return
			}
		}
		for {
			_, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			acks <- string(b)
		}
	}
}

var arriving = []string{
	`{"type":"message","id":"7","cursor":"1.1.x","time":"2026-11-21T09:29:59.000Z","expires":"2026-11-22T09:29:59.000Z","priority":"normal","notification":{"title":"Hello","body":"two\nlines, and \u001b[31mred"},"data":{"order":7}}`,
	`{"type":"withdraw","id":"6","cursor":"1.2.x"}`,
	`{"type":"message","id":"8","time":"2026-11-21T09:30:00.000Z","expires":"2026-11-21T09:30:00.000Z","priority":"high","data":{"a":1}}`,
	`{"type":"message","id":"9","cursor":"1.3.x","time":"2026-11-21T09:30:00.000Z","notification":{"title":"one too many"}}`,
}

func TestListen(t *testing.T) {
	for name, flags := range map[string][]string{"listen": nil, "listen-json": {"--json"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acks := make(chan string, 10)
			var installations []string
			w.server(t, live(t, acks, &installations, arriving...))
			if code := w.run(t, append([]string{"listen", "--once", "2"}, flags...)...); code != 0 {
				t.Fatalf("exit %d: %s", code, w.err)
			}
			golden(t, name, w.out.String())
			if got := <-acks; got != `{"type":"ack","ids":["7","8"]}` {
				t.Errorf("acknowledged %s", got)
			}
			if !strings.HasPrefix(w.err.String(), "connected as 01234567890123456789; Ctrl-C stops\n") {
				t.Errorf("notes: %s", w.err)
			}
			x, err := readContext(w.folder)
			if err != nil || x.Listen.Token != "hd1.t" || x.MasterSecret != testSecret {
				t.Errorf("context %+v, %v", x, err)
			}
			// The next call is the same device.
			w.run(t, "listen", "--once", "1")
			if len(installations) != 2 || installations[0] != installations[1] {
				t.Errorf("installations %q", installations)
			}
		})
	}
}

func TestListenFails(t *testing.T) {
	w := newWorld(t)
	if code := w.run(t, "listen"); code != ExitConfiguration {
		t.Errorf("no context: exit %d", code)
	}
	if code := w.run(t, "listen", "--once", "-1"); code != ExitUsage {
		t.Errorf("negative: exit %d", code)
	}
	if code := w.run(t, "listen", "--url", "http://127.0.0.1:1", "--app-key", "x"); code != ExitConfiguration {
		t.Errorf("bad key: exit %d", code)
	}
	if code := w.run(t, "listen", "--url", "http://127.0.0.1:1", "--app-key", string(testKey)); code != ExitNotReachable {
		t.Errorf("nobody listens: exit %d", code)
	}
	w.server(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) })
	if code := w.run(t, "listen"); code != ExitRefused {
		t.Errorf("refused: exit %d: %s", code, w.err)
	}
}

func TestPlatform(t *testing.T) {
	for goos, want := range map[string]herald.Platform{"linux": "linux", "darwin": "macos", "windows": "windows", "plan9": "other"} {
		if got := platform(goos); got != want {
			t.Errorf("%s: got %s", goos, got)
		}
	}
}
