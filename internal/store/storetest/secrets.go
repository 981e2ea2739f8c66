package storetest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// testSecrets: secrets are walked in steps, changed and taken away, and nothing
// else of their rows is touched.
func testSecrets(t *testing.T, f *fixture) {
	var hooks []record.Webhook
	for _, id := range []string{"a", "b", "c"} {
		hooks = append(hooks, webhookRow(appA, id), webhookRow(appB, id))
	}
	for i := range hooks {
		w := &hooks[i]
		w.Secrets = []record.WebhookSecret{{Sealed: []byte("new " + w.ID)}, {Sealed: []byte("old " + w.ID), Until: start.Add(time.Hour)}}
		f.must(f.CreateWebhook(f.ctx, *w, 9))
	}
	walk := func(limit int, change func(place string, sealed []byte) []byte) (places []string, changed int) {
		t.Helper()
		for after := ""; ; {
			n := 0
			next, c, err := f.Secrets(f.ctx, after, limit, func(place string, sealed []byte) []byte {
				if n++; !slices.Contains(places, place) {
					places = append(places, place)
				}
				return change(place, sealed)
			})
			f.must(err)
			if n > 4*limit { // two secrets a row, each given twice
				t.Errorf("a step of %d gave %d secrets", limit, n)
			}
			changed += c
			if next == "" {
				return places, changed
			}
			after = next
		}
	}
	jwt := record.JWTKey{App: appA, ID: "j", KeyID: "one", Issuer: "us", Algorithm: "HS256", Sealed: []byte("new j"), Created: start}
	public := record.JWTKey{App: appA, ID: "k", KeyID: "two", Issuer: "us", Algorithm: "EdDSA", PublicKey: "pem", Created: start, Expires: start.Add(time.Hour)}
	f.must(f.CreateJWTKey(f.ctx, jwt))
	f.must(f.CreateJWTKey(f.ctx, public))
	credential := record.Credential{App: appB, ID: "crd_a", Vendor: herald.VendorAPNs, Sealed: []byte("new values"), Created: start, Updated: start}
	f.must(f.CreateCredential(f.ctx, credential, 9))
	leased, err := f.LeaseWebhook(f.ctx, appA, "a", "one", f.clock(), time.Minute)
	f.must(err)
	for _, limit := range []int{1, 2, 4, 100} {
		places, changed := walk(limit, func(_ string, sealed []byte) []byte { return sealed })
		if len(places) != 8 || changed != 0 || places[0] != hooks[0].Place() || places[5] != hooks[5].Place() || places[6] != jwt.Place() || places[7] != credential.Place() {
			t.Errorf("by %d: %q, %d changed", limit, places, changed)
		}
	}
	_, changed := walk(2, func(place string, sealed []byte) []byte {
		switch {
		case strings.HasSuffix(place, " b"):
			return sealed
		case strings.HasSuffix(place, " c") && bytes.HasPrefix(sealed, []byte("old")):
			return nil
		case bytes.HasPrefix(sealed, []byte("again")):
			return sealed
		}
		return append([]byte("again "), sealed...)
	})
	if changed != 10 {
		t.Errorf("%d were changed", changed)
	}
	f.restart()
	for _, w := range hooks {
		switch w.ID {
		case "a":
			w.Secrets[0].Sealed, w.Secrets[1].Sealed = []byte("again new a"), []byte("again old a")
		case "c":
			w.Secrets = []record.WebhookSecret{{Sealed: []byte("again new c")}}
		}
		got := f.webhook(w.App, w.ID)
		w.Fence = got.Fence
		same(t, "webhook "+w.ID, got, w)
	}
	jwt.Sealed = []byte("again new j")
	keys, err := f.JWTKeys(f.ctx)
	f.must(err)
	same(t, "keys for JWTs", keys, []record.JWTKey{jwt, public})
	credential.Sealed = []byte("again new values")
	credentials, err := f.Credentials(f.ctx)
	f.must(err)
	same(t, "credentials", credentials, []record.Credential{credential})
	_, changed = walk(1, func(place string, sealed []byte) []byte {
		if strings.HasPrefix(place, "jwt ") || strings.HasPrefix(place, "credential ") {
			return nil
		}
		return sealed
	})
	jwt.Sealed = nil
	keys, err = f.JWTKeys(f.ctx)
	f.must(err)
	same(t, "keys for JWTs, of which a secret was taken away", keys, []record.JWTKey{jwt, public})
	credential.Sealed = nil
	credentials, err = f.Credentials(f.ctx)
	f.must(err)
	same(t, "a credential whose values were taken away", credentials, []record.Credential{credential})
	same(t, "secrets that were taken away", changed, 2)
	for _, place := range []string{"jwt_key elsewhere", "credential elsewhere"} {
		if _, _, err := f.Secrets(f.ctx, place, 1, nil); err == nil {
			t.Errorf("%q is no place, and walked from", place)
		}
	}
	if got := f.webhook(appA, "a"); got.Fence != leased.Fence {
		t.Errorf("a lease was lost: fence %d, was %d", got.Fence, leased.Fence)
	}
	if _, _, err := f.Secrets(f.ctx, "elsewhere", 1, nil); err == nil {
		t.Error("a place that is none is walked from")
	}
}
