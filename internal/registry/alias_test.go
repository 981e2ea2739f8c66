package registry_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
)

func TestAliasToken(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	key := []byte(w.JWTSecret(app))
	now := w.clock()
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": string(app), "aud": "herald", "sub": "anna", "exp": now.Add(time.Minute).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		must(t, err)
		return s
	}
	hs := func(change func(jwt.MapClaims)) string { return sign(jwt.SigningMethodHS256, key, claims(change)) }
	raw, err := base64.RawURLEncoding.DecodeString(w.JWTSecret(app))
	must(t, err)
	tests := []struct {
		name, token string
		want        herald.Alias // "" is refused
	}{
		{"good", hs(nil), "anna"},
		{"one audience of several", hs(func(c jwt.MapClaims) { c["aud"] = []string{"x", "herald"} }), "anna"},
		{"longest alias", hs(func(c jwt.MapClaims) { c["sub"] = strings.Repeat("a", 128) }), herald.Alias(strings.Repeat("a", 128))},
		{"other claims", hs(func(c jwt.MapClaims) { c["name"] = "Anna"; c["nbf"] = now.Unix() }), "anna"},
		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)), ""},
		{"HS384", sign(jwt.SigningMethodHS384, key, claims(nil)), ""},
		{"HS512", sign(jwt.SigningMethodHS512, key, claims(nil)), ""},
		{"RS256 by its header", renamed(t, hs(nil), `{"alg":"RS256","typ":"JWT"}`), ""},
		{"none by its header", renamed(t, hs(nil), `{"alg":"none","typ":"JWT"}`), ""},
		{"key as bytes", sign(jwt.SigningMethodHS256, raw, claims(nil)), ""},
		{"key of another app", sign(jwt.SigningMethodHS256, []byte(w.JWTSecret(other)), claims(nil)), ""},
		{"empty key", sign(jwt.SigningMethodHS256, []byte{}, claims(nil)), ""},
		{"no issuer", hs(func(c jwt.MapClaims) { delete(c, "iss") }), ""},
		{"another issuer", hs(func(c jwt.MapClaims) { c["iss"] = string(other) }), ""},
		{"no audience", hs(func(c jwt.MapClaims) { delete(c, "aud") }), ""},
		{"another audience", hs(func(c jwt.MapClaims) { c["aud"] = "heralds" }), ""},
		{"no exp", hs(func(c jwt.MapClaims) { delete(c, "exp") }), ""},
		{"exp as text", hs(func(c jwt.MapClaims) { c["exp"] = "tomorrow" }), ""},
		{"expired", hs(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Second).Unix() }), ""},
		{"not yet", hs(func(c jwt.MapClaims) { c["nbf"] = now.Add(time.Minute).Unix() }), ""},
		{"no subject", hs(func(c jwt.MapClaims) { delete(c, "sub") }), ""},
		{"empty subject", hs(func(c jwt.MapClaims) { c["sub"] = "" }), ""},
		{"subject of a number", hs(func(c jwt.MapClaims) { c["sub"] = 5 }), ""},
		{"long subject", hs(func(c jwt.MapClaims) { c["sub"] = strings.Repeat("a", 129) }), ""},
		{"subject with a line break", hs(func(c jwt.MapClaims) { c["sub"] = "a\nb" }), ""},
		{"too long", hs(func(c jwt.MapClaims) { c["x"] = strings.Repeat("x", 4096) }), ""},
		{"no token", "", ""},
		{"no JWT", "a.b.c", ""},
		{"two parts", strings.Join(strings.Split(hs(nil), ".")[:2], "."), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.Alias(app, tt.token)
			if tt.want != "" {
				must(t, err)
			} else {
				wantCode(t, err, herald.CodeInvalidRequest)
			}
			if got != tt.want {
				t.Errorf("alias %q, want %q", got, tt.want)
			}
			if err != nil && len(tt.token) > 20 && strings.Contains(err.Error(), tt.token) {
				t.Error("the token is in the error")
			}
		})
	}
	for _, bad := range flips(hs(nil)) {
		if got, err := w.Alias(app, bad); err == nil {
			t.Fatalf("%q binds %q", bad, got)
		}
	}
	_, err = w.Alias(herald.NewAppKey(), hs(nil))
	wantCode(t, err, herald.CodeUnauthorized)
	_, err = w.Alias(other, hs(nil))
	wantCode(t, err, herald.CodeInvalidRequest)
}

// renamed puts another header before a token's claims and signature.
func renamed(t *testing.T, token, header string) string {
	t.Helper()
	f := strings.Split(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + f[1] + "." + f[2]
}
