package registry_test

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// flips gives a text with each bit flipped in turn, and some other damage. A
// short MAC may have no small letters: then capitals are no damage, left out.
func flips(s string) []string {
	out := []string{"", s[1:], s[:len(s)-1], s + "A", s + ".", "." + s, strings.Replace(s, ".", "..", 1), strings.ToUpper(s), s + "\n", " " + s}
	for i := range len(s) {
		for bit := range 8 {
			b := []byte(s)
			b[i] ^= 1 << bit
			out = append(out, string(b))
		}
	}
	return slices.DeleteFunc(out, func(b string) bool { return b == s })
}

func TestMaster(t *testing.T) {
	w := newWorld(t)
	app, secret := w.newApp()
	other, _ := w.newApp()
	for _, tt := range []struct {
		name   string
		key    herald.AppKey
		secret string
		ok     bool
	}{
		{"right", app, secret, true},
		{"wrong secret", app, herald.NewSecret(herald.SecretLen), false},
		{"no secret", app, "", false},
		{"longer", app, secret + "a", false},
		{"of another app", other, secret, false},
		{"unknown app", herald.NewAppKey(), secret, false},
		{"no app", "", secret, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := w.Master(tt.key, tt.secret)
			if tt.ok {
				must(t, err)
			} else {
				wantCode(t, err, herald.CodeUnauthorized)
				if strings.Contains(err.Error(), secret) {
					t.Error("the secret is in the error")
				}
			}
		})
	}
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	app, old := w.newApp()
	jwtBefore := w.JWTSecret(app)
	row, secret, err := w.RotateApp(t.Context(), app, 0)
	must(t, err)
	if row.Key != app || secret == old || len(secret) != herald.SecretLen || strings.Contains(string(row.SecretHash), secret) {
		t.Errorf("rotation of %s gives %+v", app, row)
	}
	check := func() {
		t.Helper()
		wantCode(t, w.Master(app, old), herald.CodeUnauthorized)
		must(t, w.Master(app, secret))
		if w.JWTSecret(app) != jwtBefore {
			t.Error("the JWT secret changed with the master secret")
		}
	}
	check()
	w.restart(serverKey)
	check()
	_, _, err = w.RotateApp(t.Context(), herald.NewAppKey(), 0)
	wantCode(t, err, herald.CodeNotFound)
}

func TestJWTSecret(t *testing.T) {
	w := newWorld(t)
	a, _ := w.newApp()
	b, _ := w.newApp()
	raw, err := base64.RawURLEncoding.DecodeString(w.JWTSecret(a))
	if err != nil || len(raw) != 32 {
		t.Errorf("%d bytes, %v; want 32", len(raw), err)
	}
	if w.JWTSecret(a) == w.JWTSecret(b) || w.JWTSecret(herald.NewAppKey()) != "" {
		t.Error("two apps share a JWT secret, or an unknown one has one")
	}
}

func TestDeviceToken(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	d, token := w.register(registry.RegisterRequest{App: app, Platform: herald.PlatformIOS})
	if !strings.HasPrefix(token, "hd1."+string(app)+".1."+string(d.ID)+".0.0.") {
		t.Errorf("the token is %s", token)
	}
	got, err := w.DeviceToken(t.Context(), token)
	must(t, err)
	if want := (registry.DeviceAuth{App: app, ID: d.ID, Ord: d.Ord, Platform: herald.PlatformIOS}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range flips(token) {
		if a, err := w.DeviceToken(t.Context(), bad); herald.CodeOf(err) != herald.CodeUnauthorized || a != (registry.DeviceAuth{}) {
			t.Fatalf("%q gives %+v, %v", bad, a, err)
		}
	}
}

func TestDeviceTokenForeign(t *testing.T) {
	w := newWorld(t)
	a, _ := w.newApp()
	b, _ := w.newApp()
	_, token := w.register(registry.RegisterRequest{App: a})
	w.register(registry.RegisterRequest{App: b})
	page, err := w.PageToken(a, installation)
	must(t, err)
	for name, bad := range map[string]string{
		"another app":     strings.Replace(token, string(a), string(b), 1),
		"unknown app":     strings.Replace(token, string(a), string(herald.NewAppKey()), 1),
		"a page token":    page,
		"renamed":         "hp1" + strings.TrimPrefix(token, "hd1"),
		"another ordinal": strings.Replace(token, ".0.0.", ".1.0.", 1),
		"too long":        token + strings.Repeat("A", 5000),
		"cursor":          w.Cursor(a, 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.DeviceToken(t.Context(), bad)
			wantCode(t, err, herald.CodeUnauthorized)
		})
	}
	_, _, err = w.Page(t.Context(), token)
	wantCode(t, err, herald.CodeUnauthorized)
}

func TestDeviceTokenAfterRestart(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	_, token := w.register(registry.RegisterRequest{App: app})
	cursor := w.Cursor(app, 3)
	w.restart(serverKey)
	_, err := w.DeviceToken(t.Context(), token)
	must(t, err)
	if pos, ok := w.ParseCursor(app, cursor); pos != 3 || !ok {
		t.Errorf("the cursor is %d, %v", pos, ok)
	}
	w.restart([]byte("another key of 32 bytes.........."))
	_, err = w.DeviceToken(t.Context(), token)
	wantCode(t, err, herald.CodeUnauthorized)
	if _, ok := w.ParseCursor(app, cursor); ok {
		t.Error("a cursor of another server key is good")
	}
}

// TestDeviceTokenRevoked: raising the generation ends the old token, and only
// that device's.
func TestDeviceTokenRevoked(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	d, old := w.register(registry.RegisterRequest{App: app, Installation: installation})
	_, neighbour := w.register(registry.RegisterRequest{App: app})
	_, err := w.Update(t.Context(), app, d.ID, record.DevicePatch{Revoke: true})
	must(t, err)
	_, fresh := w.register(registry.RegisterRequest{App: app, Installation: installation})
	check := func() {
		t.Helper()
		_, err := w.DeviceToken(t.Context(), old)
		wantCode(t, err, herald.CodeUnauthorized)
		for _, good := range []string{fresh, neighbour} {
			_, err = w.DeviceToken(t.Context(), good)
			must(t, err)
		}
	}
	check()
	must(t, w.Flush(t.Context()))
	w.restart(serverKey)
	check()
}

func TestDeviceTokenRemoved(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	d, token := w.register(registry.RegisterRequest{App: app, Installation: installation})
	_, err := w.Remove(t.Context(), app, d.ID)
	must(t, err)
	_, err = w.DeviceToken(t.Context(), token)
	wantCode(t, err, herald.CodeUnauthorized)
	again, fresh := w.register(registry.RegisterRequest{App: app, Installation: installation})
	if again.Ord == d.Ord || again.ID == d.ID {
		t.Errorf("after its removal the installation is device %d, %s again", again.Ord, again.ID)
	}
	_, err = w.DeviceToken(t.Context(), fresh)
	must(t, err)
	_, err = w.DeviceToken(t.Context(), token)
	wantCode(t, err, herald.CodeUnauthorized)
}

// TestDeviceTokenOfAnotherEpoch: after a restore a token is exchanged if the
// device exists, wherever its ordinal is now.
func TestDeviceTokenOfAnotherEpoch(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	_, _ = w.register(registry.RegisterRequest{App: app})
	d, token := w.register(registry.RegisterRequest{App: app, Platform: herald.PlatformWeb})
	lost, lostToken := w.register(registry.RegisterRequest{App: app})
	_, err := w.Remove(t.Context(), app, lost.ID)
	must(t, err)
	cursor := w.Cursor(app, 2)
	w.stop()
	w.sql("UPDATE app_head SET epoch = 2")
	w.start(serverKey)

	a, err := w.DeviceToken(t.Context(), token)
	must(t, err)
	if a.ID != d.ID || a.Ord != d.Ord || a.Platform != herald.PlatformWeb || !strings.HasPrefix(a.Fresh, "hd1."+string(app)+".2.") {
		t.Errorf("got %+v", a)
	}
	b, err := w.DeviceToken(t.Context(), a.Fresh)
	must(t, err)
	if b.Fresh != "" || b.ID != d.ID {
		t.Errorf("the fresh token gives %+v", b)
	}
	_, err = w.DeviceToken(t.Context(), lostToken)
	wantCode(t, err, herald.CodeUnauthorized)
	if _, ok := w.ParseCursor(app, cursor); ok {
		t.Error("a cursor of another epoch is good")
	}
	_, err = w.Update(t.Context(), app, d.ID, record.DevicePatch{Revoke: true})
	must(t, err)
	for _, old := range []string{token, a.Fresh} {
		_, err = w.DeviceToken(t.Context(), old)
		wantCode(t, err, herald.CodeUnauthorized)
	}
}

func TestBearerKeys(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "ci", Scopes: []string{"messages:send", "devices:read"}})
	must(t, err)
	f := strings.Split(whole, ".")
	if len(f) != 4 || f[0] != "hk1" || f[1] != string(app) || f[2] != row.ID || len(f[2]) != 8 || len(f[3]) != 32 {
		t.Errorf("the key is %s", whole)
	}
	good := func() {
		t.Helper()
		got, err := w.Key(t.Context(), whole, netip.Addr{})
		must(t, err)
		if got.App != app || got.Name != "ci" || strings.Join(got.Scopes, " ") != "messages:send devices:read" {
			t.Errorf("the key is %+v", got)
		}
	}
	good()
	w.restart(serverKey)
	good()
	for _, bad := range append(flips(whole), strings.Replace(whole, string(app), string(other), 1), whole+strings.Repeat("A", 5000), "hk1."+string(app)) {
		if _, err := w.Key(t.Context(), bad, netip.Addr{}); herald.CodeOf(err) != herald.CodeUnauthorized {
			t.Fatalf("%q gives %v", bad, err)
		}
	}
	wantCode(t, w.DeleteKey(t.Context(), other, row.ID), herald.CodeNotFound)
	must(t, w.DeleteKey(t.Context(), app, row.ID))
	refused := func() {
		t.Helper()
		_, err := w.Key(t.Context(), whole, netip.Addr{})
		wantCode(t, err, herald.CodeUnauthorized)
	}
	refused()
	wantCode(t, w.DeleteKey(t.Context(), app, row.ID), herald.CodeNotFound)
	w.restart(serverKey)
	refused()
}

func TestKeyLimit(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	var ids []string
	for range registry.MaxKeys {
		row, _, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
		must(t, err)
		ids = append(ids, row.ID)
		w.pass(time.Second)
	}
	_, _, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
	wantCode(t, err, herald.CodeLimitReached)
	for i, k := range w.Keys(app) {
		if k.ID != ids[i] {
			t.Fatalf("key %d is %s, want %s: oldest first", i, k.ID, ids[i])
		}
	}
	must(t, w.DeleteKey(t.Context(), app, ids[0]))
	_, _, err = w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
	must(t, err)
	unknown := herald.NewAppKey()
	_, _, err = w.CreateKey(t.Context(), unknown, record.APIKey{Name: "k"})
	wantCode(t, err, herald.CodeUnauthorized)
	wantCode(t, w.DeleteKey(t.Context(), unknown, ids[1]), herald.CodeUnauthorized)
	if w.Keys(unknown) != nil {
		t.Error("an unknown app has keys")
	}
}

func TestPageToken(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	token, err := w.PageToken(app, installation)
	must(t, err)
	good := func() {
		t.Helper()
		key, inst, err := w.Page(t.Context(), token)
		must(t, err)
		if key != app || inst != installation {
			t.Errorf("the token is for %s, %s", key, inst)
		}
	}
	good()
	for _, bad := range flips(token) {
		if key, inst, err := w.Page(t.Context(), bad); herald.CodeOf(err) != herald.CodeUnauthorized || key != "" || inst != "" {
			t.Fatalf("%q gives %s, %s, %v", bad, key, inst, err)
		}
	}
	w.pass(registry.PageTokenTTL)
	good()
	w.pass(time.Second)
	_, _, err = w.Page(t.Context(), token)
	wantCode(t, err, herald.CodeUnauthorized)
	if !strings.Contains(err.Error(), "expired") || strings.Contains(err.Error(), installation) {
		t.Errorf("the error says %q", err)
	}

	for _, bad := range []string{"", "short", "fifteen-letters", strings.Repeat("x", 129), "with.a.dot.in.the.middle", "with space in the middle", "sixteen-letters-é"} {
		_, err := w.PageToken(app, bad)
		wantCode(t, err, herald.CodeInvalidRequest)
	}
	for _, ok := range []string{"sixteen-letters-", strings.Repeat("Z", 128)} {
		_, err := w.PageToken(app, ok)
		must(t, err)
	}
	_, err = w.PageToken(herald.NewAppKey(), installation)
	wantCode(t, err, herald.CodeUnauthorized)
}

func TestCursor(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	for _, want := range []herald.Pos{0, 1, 42, 1<<64 - 1} {
		c := w.Cursor(app, want)
		if got, ok := w.ParseCursor(app, c); got != want || !ok {
			t.Errorf("%s is %d, %v; want %d", c, got, ok, want)
		}
		if _, ok := w.ParseCursor(other, c); ok {
			t.Error("a cursor is good for another app")
		}
		for _, bad := range flips(c) {
			if _, ok := w.ParseCursor(app, bad); ok {
				t.Fatalf("%q is good", bad)
			}
		}
	}
	if mac := w.Cursor(app, 7); len(mac) != len("1.7.")+12 {
		t.Errorf("the cursor is %s, want a MAC of 12 characters", mac)
	}
	unknown := herald.NewAppKey()
	if _, ok := w.ParseCursor(unknown, w.Cursor(app, 1)); ok || w.Cursor(unknown, 1) != "" {
		t.Error("an unknown app has cursors")
	}
}

func TestAllowedOrigin(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	if !w.AllowedOrigin(app, "https://any.example") {
		t.Error("with no list an origin is refused")
	}
	_, err := w.UpdateApp(t.Context(), app, func(r *record.App) { r.Settings.Origins = []string{"https://a.example", "http://localhost:8080"} })
	must(t, err)
	for range 2 {
		for origin, want := range map[string]bool{
			"https://a.example": true, "http://localhost:8080": true, "http://a.example": false, "https://a.example:443": false,
			"https://a.example.evil": false, "https://b.a.example": false, "null": false, "": false,
		} {
			if got := w.AllowedOrigin(app, origin); got != want {
				t.Errorf("%q: %v, want %v", origin, got, want)
			}
		}
		w.restart(serverKey)
	}
	if !w.AllowedOrigin(herald.NewAppKey(), "https://a.example") {
		t.Error("an unknown app refuses an origin, and so hides that it is unknown")
	}
}
