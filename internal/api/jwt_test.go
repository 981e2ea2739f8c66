package api_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// TestJWTKeys: the owner of an app makes and deletes keys, and what they sign is
// a device in every call.
func TestJWTKeys(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d := w.device(w.a, api.RegisterRequest{})
	for name, r := range map[string]api.JWTKeyRequest{
		"kid":        {Issuer: "i", Algorithm: "HS256"},
		"issuer":     {KeyID: "k", Issuer: "\n", Algorithm: "HS256"},
		"algorithm":  {KeyID: "k", Issuer: "i", Algorithm: "none"},
		"expires_at": {KeyID: "k", Issuer: "i", Algorithm: "HS256", ExpiresAt: &w.now},
	} {
		_, err := w.s.Apps.CreateJWTKey(ctx, w.masterA, r)
		wantInvalid(t, err, name)
	}
	end := w.now.Add(time.Hour)
	key, err := w.s.Apps.CreateJWTKey(ctx, w.masterA, api.JWTKeyRequest{KeyID: "k", Issuer: "i", Algorithm: "HS256", ExpiresAt: &end})
	w.must(err)
	list, err := w.s.Apps.JWTKeys(ctx, w.masterA)
	if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != key.ID || !list.Keys[0].ExpiresAt.Equal(end) || key.Secret == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err := w.s.Apps.JWTKeys(ctx, w.masterB); err != nil || len(list.Keys) != 0 {
		t.Errorf("the other app has %+v, %v", list, err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "i", "aud": w.a, "sub": d.Device, "exp": w.now.Add(time.Minute).Unix()})
	token.Header["kid"] = "k"
	signed, err := token.SignedString([]byte(key.Secret))
	w.must(err)
	p, err := w.s.Apps.Bearer(ctx, signed, netip.Addr{})
	if err != nil || p.Kind != api.Device || p.App != w.a || p.Device != d.Device || p.Ord != d.Ord {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, who := range []api.Principal{p, w.masterB} {
		if err := w.s.Apps.DeleteJWTKey(ctx, who, key.ID); err == nil {
			t.Errorf("%+v deletes the key", who)
		}
	}
	for _, err := range []error{second(w.s.Apps.JWTKeys(ctx, p)), second(w.s.Apps.CreateJWTKey(ctx, p, api.JWTKeyRequest{}))} {
		if herald.CodeOf(err) != herald.CodeForbidden {
			t.Errorf("a device: %v", err)
		}
	}
	w.must(w.s.Apps.DeleteJWTKey(ctx, w.masterA, key.ID))
	if _, err := w.s.Apps.Bearer(ctx, signed, netip.Addr{}); herald.CodeOf(err) != herald.CodeUnauthorized {
		t.Errorf("a key that was deleted: %v", err)
	}
}
