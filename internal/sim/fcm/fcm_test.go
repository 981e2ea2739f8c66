package fcm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/internal/sim/fcm"
)

const (
	here     = "here-here-here-here-here"
	tokenURL = "https://sim.test/token"
	scope    = "https://www.googleapis.com/auth/firebase.messaging"
)

type world struct {
	google *fcm.Service
	key    *rsa.PrivateKey
	now    time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{key: key, now: time.Now()}
	w.google = fcm.New(fcm.Config{Project: "p", Email: "e@x", KeyID: "k", Key: &key.PublicKey, TokenURL: tokenURL, Now: func() time.Time { return w.now }})
	return w
}

func (w *world) ask(path, authorization string, header http.Header, body []byte) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	for name, v := range header {
		r.Header[name] = v
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	w.google.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// assertion asks for an access token with claims that a test has changed.
func (w *world) assertion(t *testing.T, kid string, change func(jwt.MapClaims)) (int, string) {
	t.Helper()
	claims := jwt.MapClaims{"iss": "e@x", "aud": tokenURL, "scope": scope, "iat": w.now.Unix(), "exp": w.now.Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	c := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	c.Header["kid"] = kid
	signed, err := c.SignedString(w.key)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	return w.ask("/token", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(jwt.MapClaims){
		"issuer": func(c jwt.MapClaims) { c["iss"] = "other" }, "audience": func(c jwt.MapClaims) { c["aud"] = "other" }, "scope": func(c jwt.MapClaims) { c["scope"] = "mail" },
		"ended": func(c jwt.MapClaims) { c["exp"] = w.now.Add(-time.Hour).Unix() }, "too long": func(c jwt.MapClaims) { c["exp"] = w.now.Add(2 * time.Hour).Unix() },
		"to come": func(c jwt.MapClaims) { c["iat"] = w.now.Add(time.Hour).Unix() }, "no end": func(c jwt.MapClaims) { delete(c, "exp") },
	} {
		if status, answer := w.assertion(t, "k", change); status != 400 || !strings.Contains(answer, `"error":"invalid_`) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, _ := w.assertion(t, "other", nil); status != 400 {
		t.Errorf("another key: %d", status)
	}
	if status, answer := w.ask("/token", "", nil, []byte("x")); status != 400 || !strings.Contains(answer, "unsupported_grant_type") {
		t.Errorf("no form: %d %s", status, answer)
	}
	if n := w.google.Granted(); n != 0 {
		t.Errorf("%d granted", n)
	}
}

func TestSend(t *testing.T) {
	w := newWorld(t)
	status, answer := w.assertion(t, "k", nil)
	var got struct {
		Token string `json:"access_token"`
		Lasts int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 || got.Lasts != 3600 {
		t.Fatalf("%d %s", status, answer)
	}
	bearer := "Bearer " + got.Token
	w.google.Remove("gone-gone-gone-gone-gone", "UNREGISTERED")
	w.google.Remove("alien-alien-alien-alien", "SENDER_ID_MISMATCH")
	w.google.Remove("broken-broken-broken-br", "INTERNAL")
	for _, tt := range []struct {
		path, bearer, body string
		status             int
		says               string
	}{
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"` + here + `","data":{"a":"1"},"android":{"ttl":"5s","priority":"high"}}}`, 200, "projects/p/messages/0:"},
		{"/v1/projects/p/messages:send", bearer, `{"validate_only":true,"message":{"token":"` + here + `"}}`, 200, "fake_message_id"},
		{"/v1/projects/p/messages:send", "Bearer x", `{}`, 401, "UNAUTHENTICATED"},
		{"/v1/projects/q/messages:send", bearer, `{}`, 403, "PERMISSION_DENIED"},
		{"/v1/projects/p/messages:burn", bearer, `{}`, 404, "NOT_FOUND"},
		{"/v1/projects/p/messages:send", bearer, `{`, 400, "INVALID_ARGUMENT"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":7}}`, 400, "INVALID_ARGUMENT"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"topic":"x"}}`, 400, "INVALID_ARGUMENT"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"short"}}`, 400, "message.token"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"` + here + `","data":{"google.x":"1"}}}`, 400, "google.x"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"` + here + `","android":{"ttl":"5"}}}`, 400, "ttl"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"` + here + `","android":{"priority":"x"}}}`, 400, "priority"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"` + here + `","data":{"a":"` + strings.Repeat("x", 4096) + `"}}}`, 400, "too big"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"gone-gone-gone-gone-gone"}}`, 404, "UNREGISTERED"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"alien-alien-alien-alien"}}`, 403, "SENDER_ID_MISMATCH"},
		{"/v1/projects/p/messages:send", bearer, `{"message":{"token":"broken-broken-broken-br"}}`, 500, "INTERNAL"},
	} {
		if status, answer := w.ask(tt.path, tt.bearer, nil, []byte(tt.body)); status != tt.status || !strings.Contains(answer, tt.says) {
			t.Errorf("%s %.80s: %d %s, want %d %s", tt.path, tt.body, status, answer, tt.status, tt.says)
		}
	}
	if taken := w.google.Taken(); len(taken) != 1 || taken[0].Token != here || len(w.google.Taken()) != 0 {
		t.Errorf("taken %+v", taken)
	}
	w.now = w.now.Add(61 * time.Minute)
	if status, _ := w.ask("/v1/projects/p/messages:send", bearer, nil, []byte(`{}`)); status != 401 {
		t.Errorf("with an access token that has ended: %d", status)
	}
	w.now = w.now.Add(-time.Hour)
	w.google.Revoke()
	if status, _ := w.ask("/v1/projects/p/messages:send", bearer, nil, []byte(`{}`)); status != 401 {
		t.Errorf("with one that was revoked: %d", status)
	}
}
