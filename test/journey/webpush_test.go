package journey_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/webpush"
	"github.com/herald-push/herald/internal/sim"
	simwebpush "github.com/herald-push/herald/internal/sim/webpush"
)

// vapidKeys are as npm web-push makes them.
type vapidKeys struct {
	PublicKey  string `json:"publicKey"`
	PrivateKey string `json:"privateKey"`
}

func makeVAPIDKeys(t *testing.T, judge *helper) (k vapidKeys) {
	t.Helper()
	if err := json.Unmarshal(judge.ask(t, object{"cmd": "keys"}), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestWebPushEncryption has the package of another maker decrypt what is sent,
// signed with keys that a third one has made.
func TestWebPushEncryption(t *testing.T) {
	judge := useHelper(t, "webpush.mjs")
	keys := makeVAPIDKeys(t, judge)
	service := simwebpush.New(simwebpush.Config{})
	server, err := sim.Serve(t.Context(), "127.0.0.1:0", &sim.Desk{}, service)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	service.SetURL(server.URL)
	browser, err := service.Subscribe(keys.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	address, err := json.Marshal(browser)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate)
	p, err := webpush.New(provider.Config{
		Egress: egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}, Roots: roots},
		Values: map[string]string{"subject": "https://example.com/push", "public_key": keys.PublicKey, "private_key": keys.PrivateKey, "services": "127.0.0.1", "url": server.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for name, text := range map[string]string{"short": "你好", "as long as may be": strings.Repeat("long ", 1000)} {
		m := &provider.Message{ID: 7, Expires: time.Now().Add(time.Hour), Content: herald.Content{Notification: &herald.Notification{Title: name, Body: text}}}
		r, err := p.Send(t.Context(), provider.Address{Token: string(address)}, m)
		if err != nil || r.Shortened != (len(text) > 4000) {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		said := judge.ask(t, object{"cmd": "decrypt", "key": encode(browser.Key.Bytes()), "auth": encode(browser.Auth),
			"body": base64.StdEncoding.EncodeToString(service.Taken()[0].Body)})
		var plain string
		var frame struct {
			Type, ID     string
			Notification herald.Notification
		}
		if err := json.Unmarshal(said, &plain); err != nil || json.Unmarshal([]byte(plain), &frame) != nil {
			t.Fatalf("%s: it reads %s", name, said)
		}
		if frame.Type != "message" || frame.ID != "7" || frame.Notification.Title != name || !strings.HasPrefix(text, strings.TrimSuffix(frame.Notification.Body, "…")) {
			t.Errorf("%s: it reads %+v", name, frame)
		}
	}
}

// TestWebPushSimulator has an application server of another maker send to the
// simulator in the binary.
func TestWebPushSimulator(t *testing.T) {
	judge := useHelper(t, "webpush.mjs")
	keys, others := makeVAPIDKeys(t, judge), makeVAPIDKeys(t, judge)
	folder := t.TempDir()
	out, _, address := simWebPush(t, folder, "--public-key", keys.PublicKey)
	send := func(name string, keys vapidKeys, text string) string {
		t.Helper()
		return string(judge.ask(t, object{"cmd": "send", "subscription": address(name), "keys": keys, "text": text, "ca": filepath.Join(folder, "ca.pem"),
			"options": object{"TTL": 60, "urgency": "high", "topic": "news"}}))
	}
	if got := send("subscription", keys, "早上好"); got != "201" {
		t.Errorf("it is answered %s", got)
	}
	out.await(t, "high  早上好")
	if got := send("subscription", others, "x"); got != "403" {
		t.Errorf("with another key it is answered %s", got)
	}
	if got := send("gone", keys, "x"); got != "410" {
		t.Errorf("for a browser that is gone it is answered %s", got)
	}
}
