package registry_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

func publicPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	b, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}

// issuer signs for one key of an app.
type issuer struct {
	row    record.JWTKey
	method jwt.SigningMethod
	key    any
}

// issuers gives a world one key of each algorithm.
func (w *world) issuers(app herald.AppKey) map[string]issuer {
	w.t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(w.t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(w.t, err)
	out := map[string]issuer{}
	for _, k := range []struct {
		method jwt.SigningMethod
		public crypto.Signer
	}{{jwt.SigningMethodRS256, rsaKey}, {jwt.SigningMethodES256, ecKey}, {jwt.SigningMethodEdDSA, edKey}, {jwt.SigningMethodHS256, nil}} {
		row := record.JWTKey{KeyID: "of " + k.method.Alg(), Issuer: "https://id.example.com", Algorithm: k.method.Alg()}
		if k.public != nil {
			row.PublicKey = publicPEM(w.t, k.public)
		}
		row, secret, err := w.CreateJWTKey(w.t.Context(), app, row, "")
		must(w.t, err)
		if (secret != "") != (k.public == nil) {
			w.t.Errorf("%s: a secret %q was made", row.Algorithm, secret)
		}
		out[row.Algorithm] = issuer{row, k.method, any(k.public)}
		if k.public == nil {
			out[row.Algorithm] = issuer{row, k.method, []byte(secret)}
		}
	}
	return out
}

// sign makes a JWT of claims, after the header was changed.
func (i issuer) sign(t testing.TB, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(i.method, claims)
	token.Header["kid"] = i.row.KeyID
	for name, v := range header {
		token.Header[name] = v
		if v == nil {
			delete(token.Header, name)
		}
	}
	s, err := token.SignedString(i.key)
	must(t, err)
	return s
}

// TestJWT: a JWT of any algorithm proves a device, also after a restart.
func TestJWT(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	d, _ := w.register(registry.RegisterRequest{App: app, Platform: herald.PlatformWeb})
	list := w.issuers(app)
	for range 2 {
		for name, i := range list {
			token := i.sign(t, jwt.MapClaims{"iss": i.row.Issuer, "aud": []string{"mail", string(app)}, "sub": d.ID, "exp": w.clock().Add(time.Hour).Unix()}, nil)
			a, err := w.DeviceToken(t.Context(), token)
			if err != nil || a.App != app || a.ID != d.ID || a.Ord != d.Ord || a.Platform != herald.PlatformWeb || a.Fresh != "" || !a.Until.Equal(w.clock().Add(time.Hour+registry.JWTLeeway).Truncate(time.Second)) {
				t.Errorf("%s: got %+v, %v", name, a, err)
			}
			if key, ok := w.AppOf(token); !ok || key != app {
				t.Errorf("%s: it names %q", name, key)
			}
		}
		w.restart(serverKey)
	}
	if got := w.JWTKeys(app); len(got) != 4 || len(w.JWTKeys(other)) != 0 || w.JWTKeys(herald.NewAppKey()) != nil {
		t.Errorf("got %+v", got)
	}
	// A key that is deleted is refused at once, and after a restart.
	i := list["EdDSA"]
	token := i.sign(t, jwt.MapClaims{"iss": i.row.Issuer, "aud": app, "sub": d.ID, "exp": w.clock().Add(time.Hour).Unix()}, nil)
	wantCode(t, w.DeleteJWTKey(t.Context(), other, i.row.ID), herald.CodeNotFound)
	must(t, w.DeleteJWTKey(t.Context(), app, i.row.ID))
	wantCode(t, w.DeleteJWTKey(t.Context(), app, i.row.ID), herald.CodeNotFound)
	for range 2 {
		_, err := w.DeviceToken(t.Context(), token)
		wantCode(t, err, herald.CodeUnauthorized)
		w.restart(serverKey)
	}
}

// TestJWTRefused: whatever is wrong with a JWT, it is refused, and with the same
// words as long as nobody has proved that it was signed.
func TestJWTRefused(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	d, native := w.register(registry.RegisterRequest{App: app})
	gone, _ := w.register(registry.RegisterRequest{App: app})
	stranger, _ := w.register(registry.RegisterRequest{App: other})
	_, err := w.Remove(t.Context(), app, gone.ID)
	must(t, err)
	list := w.issuers(app)
	hs, ed, rs := list["HS256"], list["EdDSA"], list["RS256"]
	brief, err := func() (record.JWTKey, error) {
		row, _, err := w.CreateJWTKey(t.Context(), app, record.JWTKey{KeyID: "brief", Issuer: "x", Algorithm: "EdDSA", PublicKey: ed.row.PublicKey, Expires: w.clock().Add(time.Minute)}, "")
		return row, err
	}()
	must(t, err)
	const invalid = "the JWT is not valid"
	type claims = jwt.MapClaims
	now := w.clock()
	for _, tt := range []struct {
		name   string
		by     issuer
		claims claims // over the good ones; nil takes one away
		header map[string]any
		change func(string) string
		want   string
	}{
		{name: "good", by: ed},
		{name: "times at the edge", by: ed, claims: claims{"exp": now.Add(-59 * time.Second).Unix(), "nbf": now.Add(59 * time.Second).Unix(), "iat": now.Add(59 * time.Second).Unix()}},
		{name: "a day", by: ed, claims: claims{"exp": now.Add(24 * time.Hour).Unix()}},
		{name: "expired", by: ed, claims: claims{"exp": now.Add(-61 * time.Second).Unix()}, want: "the JWT has expired"},
		{name: "without exp", by: ed, claims: claims{"exp": nil}, want: invalid},
		{name: "exp that is a word", by: ed, claims: claims{"exp": "tomorrow"}, want: invalid},
		{name: "two days", by: ed, claims: claims{"exp": now.Add(48 * time.Hour).Unix()}, want: "the JWT is good for longer than it may be"},
		{name: "not yet", by: ed, claims: claims{"nbf": now.Add(62 * time.Second).Unix()}, want: invalid},
		{name: "made in the future", by: ed, claims: claims{"iat": now.Add(62 * time.Second).Unix()}, want: invalid},
		{name: "without aud", by: ed, claims: claims{"aud": nil}, want: invalid},
		{name: "for somebody else", by: ed, claims: claims{"aud": "mail"}, want: invalid},
		{name: "for another app", by: ed, claims: claims{"aud": other}, want: invalid},
		{name: "for two apps", by: ed, claims: claims{"aud": []any{app, other}}, want: invalid},
		{name: "for very many", by: ed, claims: claims{"aud": strings.Split(strings.Repeat("x ", 20)+string(app), " ")}, want: invalid},
		{name: "another issuer", by: ed, claims: claims{"iss": "https://evil.example"}, want: invalid},
		{name: "no issuer", by: ed, claims: claims{"iss": nil}, want: invalid},
		{name: "another kid", by: ed, header: map[string]any{"kid": "?"}, want: invalid},
		{name: "no kid", by: ed, header: map[string]any{"kid": nil}, want: invalid},
		{name: "a kid that is a number", by: ed, header: map[string]any{"kid": 7}, want: invalid},
		{name: "the kid of another key", by: ed, header: map[string]any{"kid": rs.row.KeyID}, want: invalid},
		{name: "something critical", by: ed, header: map[string]any{"crit": []string{"exp"}}, want: invalid},
		{name: "another algorithm in the header", by: ed, header: map[string]any{"alg": "HS256"}, want: invalid},
		{name: "no algorithm", by: issuer{ed.row, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType}, want: invalid},
		{name: "signed with a public key as secret", by: issuer{rs.row, jwt.SigningMethodHS256, []byte(rs.row.PublicKey)}, want: invalid},
		{name: "HS512 with the secret of HS256", by: issuer{hs.row, jwt.SigningMethodHS512, hs.key}, want: invalid},
		{name: "another secret", by: issuer{hs.row, hs.method, []byte(strings.Repeat("x", 64))}, want: invalid},
		{name: "no device", by: ed, claims: claims{"sub": "anna"}, want: invalid},
		{name: "no sub", by: ed, claims: claims{"sub": nil}, want: invalid},
		{name: "a device that is not there", by: ed, claims: claims{"sub": herald.NewRegistrationID(now)}, want: "the JWT is that of a device which is not there"},
		{name: "a device that was removed", by: ed, claims: claims{"sub": gone.ID}, want: "the JWT is that of a device which is not there"},
		{name: "a device of another app", by: ed, claims: claims{"sub": stranger.ID}, want: "the JWT is that of a device which is not there"},
		{name: "a key that ends soon", by: issuer{brief, ed.method, ed.key}, claims: claims{"iss": "x"}},
		{name: "cut", by: ed, change: func(s string) string { return s[:len(s)-1] }, want: invalid},
		{name: "longer", by: ed, change: func(s string) string { return s + "A" }, want: invalid},
		{name: "padded", by: ed, change: func(s string) string { return s + "==" }, want: invalid},
		{name: "with a line break", by: ed, change: func(s string) string { return s[:9] + "\n" + s[9:] }, want: invalid},
		{name: "very long", by: ed, claims: claims{"x": strings.Repeat("x", 4096)}, want: invalid},
		{name: "other claims under the signature", by: ed, change: func(s string) string {
			f := strings.Split(s, ".")
			b, _ := base64.RawURLEncoding.DecodeString(f[1])
			f[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), "https", "httpx", 1)))
			return strings.Join(f, ".")
		}, want: invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := claims{"iss": ed.row.Issuer, "aud": app, "sub": d.ID, "exp": now.Add(time.Hour).Unix()}
			for name, v := range tt.claims {
				c[name] = v
				if v == nil {
					delete(c, name)
				}
			}
			token := tt.by.sign(t, c, tt.header)
			if tt.change != nil {
				token = tt.change(token)
			}
			a, err := w.DeviceToken(t.Context(), token)
			if tt.want == "" {
				if err != nil || a.ID != d.ID {
					t.Fatalf("got %+v, %v", a, err)
				}
				return
			}
			var e *herald.Error
			if !errors.As(err, &e) || e.Code != herald.CodeUnauthorized || e.Message != tt.want || e.Remedy == "" || a.ID != "" {
				t.Fatalf("got %+v, %#v", a, err)
			}
		})
	}
	token := issuer{brief, ed.method, ed.key}.sign(t, claims{"iss": "x", "aud": app, "sub": d.ID, "exp": now.Add(time.Hour).Unix()}, nil)
	a, err := w.DeviceToken(t.Context(), token)
	if err != nil || !a.Until.Equal(brief.Expires) {
		t.Errorf("until %v, %v: a session must not outlive the key", a.Until, err)
	}
	w.pass(time.Minute)
	if _, err := w.DeviceToken(t.Context(), token); err == nil || !strings.Contains(err.Error(), "the key of the JWT has expired") {
		t.Errorf("got %v", err)
	}
	if key, ok := w.AppOf(native); !ok || key != app {
		t.Errorf("a device token names %q", key)
	}
	for _, s := range []string{"", "eyJ..", "eyJ.!.", "eyJhbGciOiJub25lIn0.e30.", "hd1"} {
		if key, ok := w.AppOf(s); ok {
			t.Errorf("%q names %q", s, key)
		}
	}
}

// TestJWTKeysRefused: what is no key, or would be one that cannot be told from
// another, is not taken.
func TestJWTKeysRefused(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(edKey)
	must(t, err)
	good := publicPEM(t, edKey)
	for _, tt := range []struct {
		name, algorithm, public, secret, field, says string
	}{
		{"no public key", "EdDSA", "", "", "public_key", "is not one public key"},
		{"text", "EdDSA", "hello", "", "public_key", "is not one public key"},
		{"two of them", "EdDSA", good + good, "", "public_key", "is not one public key"},
		{"a private key", "EdDSA", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "", "public_key", "is a private key"},
		{"not DER", "EdDSA", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})), "", "public_key", "cannot be read"},
		{"Ed25519 for RS256", "RS256", good, "", "public_key", "is not a key for RS256"},
		{"P-384 for ES256", "ES256", publicPEM(t, p384), "", "public_key", "is not a key for ES256"},
		{"1024 bits", "RS256", publicPEM(t, small), "", "public_key", "1024 bits"},
		{"very long", "EdDSA", good + strings.Repeat("\n", 9000), "", "public_key", "bytes are more than"},
		{"a secret for EdDSA", "EdDSA", good, strings.Repeat("s", 32), "secret", "stands beside"},
		{"a public key for HS256", "HS256", good, "", "public_key", "stands beside"},
		{"a short secret", "HS256", "", strings.Repeat("s", 31), "secret", "31 bytes"},
		{"a long secret", "HS256", "", strings.Repeat("s", 1025), "secret", "1025 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := w.CreateJWTKey(t.Context(), app, record.JWTKey{KeyID: "k", Issuer: "i", Algorithm: tt.algorithm, PublicKey: tt.public}, tt.secret)
			var e *herald.Error
			if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Field != tt.field || !strings.Contains(e.Message, tt.says) {
				t.Errorf("got %#v", err)
			}
		})
	}
	row := record.JWTKey{KeyID: "k", Issuer: "i", Algorithm: "HS256"}
	given := strings.Repeat("s", 32)
	_, made, err := w.CreateJWTKey(t.Context(), app, row, given)
	if err != nil || made != "" {
		t.Fatalf("a secret that was given: made %q, %v", made, err)
	}
	_, _, err = w.CreateJWTKey(t.Context(), app, row, given)
	wantCode(t, err, herald.CodeConflict)
	_, _, err = w.CreateJWTKey(t.Context(), herald.NewAppKey(), row, given)
	wantCode(t, err, herald.CodeUnauthorized)
	for i := range registry.MaxJWTKeys - 1 {
		row.Issuer = strings.Repeat("j", i+1)
		_, _, err = w.CreateJWTKey(t.Context(), app, row, given)
		must(t, err)
	}
	row.Issuer = "one more"
	_, _, err = w.CreateJWTKey(t.Context(), app, row, given)
	wantCode(t, err, herald.CodeLimitReached)
}

// unread is a store whose devices cannot be read.
type unread struct{ registry.Store }

func (unread) OrdinalsByID(context.Context, herald.AppKey, []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error) {
	return nil, herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the disk is gone")
}

// TestJWTUnread: while devices cannot be read nobody is told that a good token is
// bad; and a key whose secret was given up proves nothing.
func TestJWTUnread(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	d, _ := w.register(registry.RegisterRequest{App: app})
	list := w.issuers(app)
	sign := func(i issuer) string {
		return i.sign(t, jwt.MapClaims{"iss": i.row.Issuer, "aud": app, "sub": d.ID, "exp": w.clock().Add(time.Hour).Unix()}, nil)
	}
	w.wrap = func(s registry.Store) registry.Store { return unread{s} }
	w.restart(serverKey)
	_, err := w.DeviceToken(t.Context(), sign(list["RS256"]))
	wantCode(t, err, herald.CodeStorageUnavailable)
	w.wrap = nil
	w.restart(serverKey)
	_, _, err = w.db.Secrets(t.Context(), "", 10, func(string, []byte) []byte { return nil })
	must(t, err)
	w.restart(serverKey)
	_, err = w.DeviceToken(t.Context(), sign(list["HS256"]))
	wantCode(t, err, herald.CodeUnauthorized)
	_, err = w.DeviceToken(t.Context(), sign(list["RS256"]))
	must(t, err)
}

// FuzzJWT: no text makes the parser panic, and none proves a device.
func FuzzJWT(f *testing.F) {
	for _, s := range []string{"eyJhbGciOiJub25lIn0.e30.", "eyJ..", "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOlsxXX0.AA", "eyJ.bnVsbA.x", "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIn0.AAAA"} {
		f.Add(s)
	}
	r := registry.New(registry.Config{ServerKey: serverKey})
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := r.DeviceToken(t.Context(), token); herald.CodeOf(err) != herald.CodeUnauthorized {
			t.Fatalf("%q: %v", token, err)
		}
	})
}
