package webhook

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestVector holds signatures against the vector that the libraries of Standard
// Webhooks are tested with.
func TestVector(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	h := headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`), key)
	if got := h.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signed %s", got)
	}
	if h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	if h = headers("x", at, nil, key, key); len(strings.Fields(h.Get("webhook-signature"))) != 2 {
		t.Errorf("two keys: %v", h)
	}
}

func TestSecrets(t *testing.T) {
	if a, b := newSecret(), newSecret(); a == b {
		t.Error("two secrets are the same")
	} else if key, err := parseSecret(a); err != nil || len(key) != 32 {
		t.Errorf("%q: %v", a, err)
	}
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_" + strings.Repeat("A", 88)} {
		if _, err := parseSecret(bad); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSeal(t *testing.T) {
	one, err := newSeal([]byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := newSeal([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	secret := newSecret()
	sealed := one.close(app, "a", secret)
	if strings.Contains(string(sealed), secret) {
		t.Error("the secret is readable")
	}
	if got, err := one.open(app, "a", sealed); err != nil || got != secret {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := one.open(app, "b", sealed); err == nil {
		t.Error("the secret of one webhook was opened as that of another")
	}
	if _, err := two.open(app, "a", sealed); err == nil {
		t.Error("opened with another key")
	}
	for _, bad := range [][]byte{nil, {2}, sealed[:5], append([]byte{2}, sealed[1:]...)} {
		if _, err := one.open(app, "a", bad); err == nil {
			t.Errorf("%x was opened", bad)
		}
	}
	w := record.Webhook{App: app, ID: "a", Secrets: []record.WebhookSecret{{Sealed: sealed, Until: start}}}
	if _, err := one.keys(&w, start); err == nil {
		t.Error("a secret that has ended signs")
	}
	if keys, err := one.keys(&w, start.Add(-1)); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := newSeal([]byte("key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.close(app, "a", "secret"))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if text, err := s.open(app, "a", sealed); err == nil && text != "secret" {
			t.Errorf("%x opens as %q", sealed, text)
		}
	})
}
