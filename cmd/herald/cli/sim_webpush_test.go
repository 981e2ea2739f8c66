package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSimWebPush: that it prints what a browser would read is shown by the
// journey with a sender of another maker.
func TestSimWebPush(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	address, c, stop := playing(t, w, folder, "webpush")
	endpoint := func(name string) string {
		b, err := os.ReadFile(filepath.Join(folder, name+".json"))
		var s struct {
			Endpoint string
			Keys     struct{ P256dh, Auth string }
		}
		if err != nil || json.Unmarshal(b, &s) != nil || !strings.HasPrefix(s.Endpoint, address+"/") || len(s.Keys.P256dh) != 87 || len(s.Keys.Auth) != 22 {
			t.Fatalf("%s: %s, %v", name, b, err)
		}
		return s.Endpoint
	}
	header := map[string]string{"TTL": "60", "Content-Encoding": "aes128gcm", "Urgency": "low"}
	for _, tt := range []struct {
		endpoint string
		body     []byte
		status   int
	}{{endpoint("subscription"), nil, 201}, {endpoint("subscription"), []byte("x"), 400}, {endpoint("gone"), nil, 410}} {
		if status, answer := post(t, c, tt.endpoint, "", header, tt.body); status != tt.status {
			t.Errorf("%s: %d %s", tt.endpoint, status, answer)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/subscribe", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := w.out.String(); !strings.Contains(out, "low  without a message") || !strings.Contains(out, "services      127.0.0.1\n") {
		t.Errorf("printed\n%s", out)
	}
	if code := w.run(t, "sim", "webpush", "--gone", "x"); code != 2 {
		t.Errorf("--gone: exit code %d, %s", code, w.err)
	}
}
