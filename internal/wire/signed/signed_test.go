package signed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/wire/signed"
)

// TestVector holds signatures against the vector that the libraries of Standard
// Webhooks are tested with.
func TestVector(t *testing.T) {
	key, err := signed.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	h := signed.Headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`), key)
	if got := h.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signed %s", got)
	}
	if h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	if h = signed.Headers("x", at, nil, key, key); len(strings.Fields(h.Get("webhook-signature"))) != 2 {
		t.Errorf("two keys: %v", h)
	}
}

func TestSecrets(t *testing.T) {
	if a, b := signed.NewSecret(), signed.NewSecret(); a == b {
		t.Error("two secrets are the same")
	} else if key, err := signed.ParseSecret(a); err != nil || len(key) != 32 {
		t.Errorf("%q: %v", a, err)
	}
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_" + strings.Repeat("A", 88)} {
		if _, err := signed.ParseSecret(bad); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
