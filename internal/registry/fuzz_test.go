package registry_test

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// FuzzCredentials: of all texts only those that were signed or given out are
// credentials, each for one purpose. Everything random is fixed, so that a
// corpus keeps its meaning.
func FuzzCredentials(f *testing.F) {
	const app, other = herald.AppKey("aaaaaaaaaaaaaaaaaaaaaaaa"), herald.AppKey("bbbbbbbbbbbbbbbbbbbbbbbb")
	const secret = "0123456789abcdefghijklmnopqrstuv"
	w := newWorld(f)
	ctx := f.Context()
	hash := sha256.Sum256([]byte(secret))
	for _, key := range []herald.AppKey{app, other} {
		must(f, w.db.CreateApp(ctx, record.App{Key: key, Name: "fuzz", SecretHash: hash[:], Created: w.clock()}))
		must(f, w.db.PutKey(ctx, record.APIKey{App: key, ID: "abcd1234", Name: "k", Hash: hash[:], Created: w.clock(), LastUsed: w.clock()}))
	}
	inst := sha256.Sum256([]byte("herald installation " + installation))
	_, _, err := w.db.Register(ctx, record.Registration{Device: record.Device{App: app, ID: "06o2j5c9k40000abcduv", Installation: inst[:], Created: w.clock(), Seen: w.clock()}})
	must(f, err)
	w.restart(serverKey)

	_, device := w.register(registry.RegisterRequest{App: app, Installation: installation})
	page, err := w.PageToken(app, installation)
	must(f, err)
	alias, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": string(app), "aud": "herald", "sub": "anna", "exp": w.clock().Add(time.Hour).Unix()}).
		SignedString([]byte(w.JWTSecret(app)))
	must(f, err)
	bearer := "hk1." + string(app) + ".abcd1234." + secret
	cursor := w.Cursor(app, 42)
	for _, s := range []string{device, page, alias, bearer, cursor, "", ".", "...", "hd1.", "1.42.AAAAAAAAAAAA", strings.Repeat(".", 4096)} {
		f.Add(s)
		f.Add(s + "A")
		f.Add(strings.Replace(s, string(app), string(other), 1))
		f.Add(strings.Replace(s, ".0.", ".1.", 1))
	}
	f.Fuzz(func(t *testing.T, s string) {
		ctx := t.Context()
		if a, err := w.DeviceToken(ctx, s); (err == nil) != (s == device) {
			t.Errorf("as a device token: %+v, %v", a, err)
		}
		if key, _, err := w.Page(ctx, s); (err == nil) != (s == page) {
			t.Errorf("as a page token: %s, %v", key, err)
		}
		// The secret is the same in both apps, so that the app is what counts.
		if row, err := w.Key(ctx, s, netip.Addr{}); (err == nil) != (s == bearer || s == strings.Replace(bearer, string(app), string(other), 1)) || err == nil && !strings.Contains(s, string(row.App)) {
			t.Errorf("as a key: %s, %v", row.App, err)
		}
		if pos, ok := w.ParseCursor(app, s); ok != (s == cursor) || ok && pos != 42 {
			t.Errorf("as a cursor: %d", pos)
		}
		if pos, ok := w.ParseCursor(other, s); ok {
			t.Errorf("as a cursor of another app: %d", pos)
		}
		if got, err := w.Alias(app, s); (err == nil) != (s == alias) {
			t.Errorf("as an alias token: %q, %v", got, err)
		}
		if w.Master(app, s) == nil && s != secret {
			t.Error("it is a master secret")
		}
	})
}
