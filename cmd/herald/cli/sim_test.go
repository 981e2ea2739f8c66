package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// playing runs a simulator in the background and gives its address, a client that
// trusts it, and what ends it.
func playing(t *testing.T, w *world, folder string, args ...string) (address string, c *http.Client, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- Main(ctx, append([]string{"sim"}, append(args, "--folder", folder)...), w.World) }()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(w.err.String(), "Ctrl-C stops") {
		if time.Now().After(deadline) {
			t.Fatalf("it does not begin: %s%s", w.out, w.err)
		}
		select {
		case code := <-ended:
			t.Fatalf("it ended with %d: %s", code, w.err)
		case <-time.After(time.Millisecond):
		}
	}
	address = regexp.MustCompile(`https://\S+`).FindString(w.out.String())
	pem, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	return address, c, func() int {
		c.CloseIdleConnections()
		cancel()
		return <-ended
	}
}

func post(t *testing.T, c *http.Client, address, authorization string, header map[string]string, body []byte) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestSimAPNs(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	gone := strings.Repeat("ab", 32)
	address, c, stop := playing(t, w, folder, "apns", "--topic", "com.example.app", "--gone", gone, "--fail-every", "3", "--status", "429")
	pem, err := os.ReadFile(filepath.Join(folder, "AuthKey_HERALDSIM1.p8"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwt.ParseECPrivateKeyFromPEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "HERALDTEAM", "iat": time.Now().Unix()})
	token.Header["kid"] = "HERALDSIM1"
	word, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		token  string
		status int
		says   string
	}{{strings.Repeat("cd", 32), 200, ""}, {gone, 410, "Unregistered"}, {gone, 429, ""}} {
		status, answer := post(t, c, address+"/3/device/"+tt.token, "bearer "+word,
			map[string]string{"Apns-Topic": "com.example.app", "Apns-Push-Type": "alert"}, []byte(`{"aps":{"alert":"hi"}}`))
		if status != tt.status || !strings.Contains(answer, tt.says) {
			t.Errorf("%s: %d %s", tt.token, status, answer)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := w.out.String(); !strings.Contains(out, `cdcdcdcd…cdcdcd  alert  {"aps":{"alert":"hi"}}`) || !strings.Contains(out, "team_id  HERALDTEAM") || strings.Contains(out, "PRIVATE") {
		t.Errorf("printed\n%s", out)
	}
}

func TestSimFCM(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	address, c, stop := playing(t, w, folder, "fcm", "--project", "my-shop", "--gone", "gone-gone-gone-gone-gone")
	b, err := os.ReadFile(filepath.Join(folder, "service-account.json"))
	if err != nil {
		t.Fatal(err)
	}
	var a map[string]string
	if err := json.Unmarshal(b, &a); err != nil || a["project_id"] != "my-shop" || a["token_uri"] != address+"/token" {
		t.Fatalf("the account is %s, %v", b, err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(a["private_key"]))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claim := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": a["client_email"], "aud": a["token_uri"], "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"scope": "https://www.googleapis.com/auth/firebase.messaging"})
	claim.Header["kid"] = a["private_key_id"]
	signed, err := claim.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	status, answer := post(t, c, a["token_uri"], "", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 || got.Token == "" {
		t.Fatalf("%d %s", status, answer)
	}
	for token, want := range map[string]int{"here-here-here-here-here": 200, "gone-gone-gone-gone-gone": 404} {
		status, answer := post(t, c, address+"/v1/projects/my-shop/messages:send", "Bearer "+got.Token, nil, []byte(`{"message":{"token":"`+token+`","data":{"a":"1"}}}`))
		if status != want {
			t.Errorf("%s: %d %s", token, status, answer)
		}
	}
	if code := stop(); code != 0 || !strings.Contains(w.out.String(), `"data":{"a":"1"}`) {
		t.Errorf("exit code %d, printed\n%s", code, w.out)
	}
}

func TestSimUsage(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "sim")
	for _, args := range [][]string{
		{"sim", "apns", "--fail-every", "-1"}, {"sim", "fcm", "--status", "200"}, {"sim", "apns", "--listen", "nowhere"}, {"sim"}, {"sim", "smoke"},
	} {
		w := newWorld(t)
		if len(args) > 2 {
			args = append(args, "--folder", folder)
		}
		if code := w.run(t, args...); code != 2 {
			t.Errorf("%q: exit code %d, %s", args, code, w.err)
		}
	}
}
