package webhook

import (
	"testing"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/wire/signed"
)

// ring is a ring of keys that is made of a server key.
func ring(t testing.TB, serverKey string) *seal.Ring {
	t.Helper()
	r, err := seal.New([]byte(serverKey))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeys(t *testing.T) {
	s := &Sender{c: Config{Seal: ring(t, "one")}}
	w := record.Webhook{App: app, ID: "a"}
	other := record.Webhook{App: app, ID: "b"}
	secret := []byte(signed.NewSecret())
	w.Secrets = []record.WebhookSecret{{Sealed: s.c.Seal.Seal(w.Place(), secret), Until: start}}
	if _, err := s.keys(&w, start); err == nil {
		t.Error("a secret that has ended signs")
	}
	if keys, err := s.keys(&w, start.Add(-1)); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	for name, sealed := range map[string][]byte{"of another webhook": s.c.Seal.Seal(other.Place(), secret), "of another server": ring(t, "two").Seal(w.Place(), secret),
		"no secret": s.c.Seal.Seal(w.Place(), []byte("x")), "nothing": nil} {
		w.Secrets = []record.WebhookSecret{{Sealed: sealed}}
		if _, err := s.keys(&w, start); err == nil {
			t.Errorf("%s: it signs", name)
		}
	}
}
