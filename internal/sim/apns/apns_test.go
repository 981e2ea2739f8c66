package apns_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/payload"
	"github.com/sideshow/apns2/token"

	"github.com/herald-push/herald/internal/sim"
	"github.com/herald-push/herald/internal/sim/apns"
)

const topic = "com.example.app"

type world struct {
	apple *apns.Service
	url   string
	http  *http.Client
	token *token.Token
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		apple: apns.New(apns.Config{Keys: map[string]*ecdsa.PublicKey{"KEY1234567": &key.PublicKey}, TeamID: "TEAM123456", Topics: []string{topic}}),
		token: &token.Token{AuthKey: key, KeyID: "KEY1234567", TeamID: "TEAM123456"},
	}
	s, err := sim.Serve(t.Context(), "127.0.0.1:0", &sim.Desk{}, w.apple)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate)
	w.url = s.URL
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		_ = s.Close()
	})
	return w
}

// TestClient: a client of another maker is served as by Apple.
func TestClient(t *testing.T) {
	w := newWorld(t)
	c := apns2.NewTokenClient(w.token)
	c.Host, c.HTTPClient = w.url, w.http
	here, gone, bad := strings.Repeat("ab", 32), strings.Repeat("cd", 32), strings.Repeat("ef", 32)
	w.apple.Remove(gone, time.UnixMilli(1_700_000_000_000))
	w.apple.Spoil(bad)
	send := func(n *apns2.Notification) *apns2.Response {
		t.Helper()
		r, err := c.PushWithContext(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	expires := time.Now().Add(time.Hour)
	n := &apns2.Notification{DeviceToken: here, Topic: topic, PushType: apns2.PushTypeAlert, CollapseID: "c", Expiration: expires,
		Payload: payload.NewPayload().AlertTitle("t").AlertBody("b").Badge(2)}
	if r := send(n); !r.Sent() || r.ApnsID == "" {
		t.Errorf("got %+v", r)
	}
	got := w.apple.Taken()
	if len(got) != 1 || got[0].Token != here || got[0].CollapseID != "c" || got[0].Expiration.Unix() != expires.Unix() || !bytes.Contains(got[0].Payload, []byte(`"title":"t"`)) {
		t.Errorf("taken %+v", got)
	}
	for _, tt := range []struct {
		n      apns2.Notification
		status int
		reason string
	}{
		{apns2.Notification{DeviceToken: gone, Topic: topic, Payload: `{"aps":{}}`}, 410, apns2.ReasonUnregistered},
		{apns2.Notification{DeviceToken: bad, Topic: topic, Payload: `{"aps":{}}`}, 400, apns2.ReasonBadDeviceToken},
		{apns2.Notification{DeviceToken: "xyz", Topic: topic, Payload: `{"aps":{}}`}, 400, apns2.ReasonBadDeviceToken},
		{apns2.Notification{DeviceToken: here, Payload: `{"aps":{}}`}, 400, apns2.ReasonMissingTopic},
		{apns2.Notification{DeviceToken: here, Topic: "com.other", Payload: `{"aps":{}}`}, 400, apns2.ReasonTopicDisallowed},
		{apns2.Notification{DeviceToken: here, Topic: topic, ApnsID: "x", Payload: `{"aps":{}}`}, 400, apns2.ReasonBadMessageID},
		{apns2.Notification{DeviceToken: here, Topic: topic, CollapseID: strings.Repeat("c", 65), Payload: `{"aps":{}}`}, 400, apns2.ReasonBadCollapseID},
		{apns2.Notification{DeviceToken: here, Topic: topic, Priority: 7, Payload: `{"aps":{}}`}, 400, apns2.ReasonBadPriority},
		{apns2.Notification{DeviceToken: here, Topic: topic, PushType: apns2.PushTypeBackground, Priority: 10, Payload: `{"aps":{}}`}, 400, apns2.ReasonBadPriority},
		{apns2.Notification{DeviceToken: here, Topic: topic, PushType: "song", Payload: `{"aps":{}}`}, 400, "InvalidPushType"},
		{apns2.Notification{DeviceToken: here, Topic: topic, Payload: `{"aps":{},"x":"` + strings.Repeat("x", 4096) + `"}`}, 413, apns2.ReasonPayloadTooLarge},
	} {
		if r := send(&tt.n); r.StatusCode != tt.status || r.Reason != tt.reason {
			t.Errorf("%+v: %d %s, want %d %s", tt.n, r.StatusCode, r.Reason, tt.status, tt.reason)
		}
	}
	if r := send(&apns2.Notification{DeviceToken: gone, Topic: topic, Payload: `{"aps":{}}`}); r.Timestamp.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("gone since %v", r.Timestamp)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*token.Token{
		"key": {AuthKey: other, KeyID: "KEY1234567", TeamID: "TEAM123456"}, "key ID": {AuthKey: w.token.AuthKey, KeyID: "KEY0000000", TeamID: "TEAM123456"},
		"team": {AuthKey: w.token.AuthKey, KeyID: "KEY1234567", TeamID: "TEAM000000"},
	} {
		c.Token = tok
		if r := send(n); r.StatusCode != 403 || r.Reason != apns2.ReasonInvalidProviderToken {
			t.Errorf("another %s: %+v", name, r)
		}
	}
	if n := len(w.apple.Taken()); n != 0 {
		t.Errorf("%d of what was refused are taken", n)
	}
}

// TestRequests: what no client sends.
func TestRequests(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		method, path string
		status       int
		reason       string
	}{{"POST", "/4/device/ab", 404, "BadPath"}, {"GET", "/3/device/ab", 405, "MethodNotAllowed"}, {"POST", "/3/device/ab", 403, "MissingProviderToken"}} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, w.url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Reason string }
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || resp.StatusCode != tt.status || said.Reason != tt.reason {
			t.Errorf("%s %s: %d %s, %v", tt.method, tt.path, resp.StatusCode, said.Reason, err)
		}
		_ = resp.Body.Close()
	}
}
