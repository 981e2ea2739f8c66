package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// JWTKeyRequest is the body of POST /v1/jwt_keys.
type JWTKeyRequest struct {
	KeyID     string     `json:"kid" minLength:"1" maxLength:"128" doc:"The kid in the header of the tokens."`
	Issuer    string     `json:"issuer" minLength:"1" maxLength:"128" doc:"The iss of the tokens."`
	Algorithm string     `json:"algorithm" enum:"HS256,RS256,ES256,EdDSA" doc:"The only one that is accepted with this key."`
	PublicKey string     `json:"public_key,omitempty" maxLength:"8192" doc:"PEM, for all but HS256: RSA of 2048 to 8192 bits, P-256, Ed25519."`
	Secret    string     `json:"secret,omitempty" maxLength:"1024" doc:"For HS256: at least 32 bytes, which are used as they stand. Without it one is made, and shown this once."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the key is refused from; by default never."`
}

// JWTKeyView is a key that checks JWTs of devices, without its secret.
type JWTKeyView struct {
	ID        string     `json:"id"`
	KeyID     string     `json:"kid" doc:"The kid in the header of the tokens."`
	Issuer    string     `json:"issuer" doc:"The iss of the tokens."`
	Algorithm string     `json:"algorithm" doc:"HS256, RS256, ES256 or EdDSA."`
	PublicKey string     `json:"public_key,omitempty" doc:"PEM; absent for HS256."`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it is refused from; absent: never."`
}

// JWTKeyAnswer is a new key.
type JWTKeyAnswer struct {
	JWTKeyView
	Secret string `json:"secret,omitempty" doc:"What signs, if it was made here. It is not shown again."`
}

// JWTKeyList lists the keys of an app that check JWTs of devices.
type JWTKeyList struct {
	Keys []JWTKeyView `json:"keys"`
}

var jwtAlgorithms = []string{"HS256", "RS256", "ES256", "EdDSA"}

// JWTKeys lists the keys that check JWTs of devices.
func (s *Apps) JWTKeys(_ context.Context, p Principal) (JWTKeyList, error) {
	if err := p.may(ScopeManage); err != nil {
		return JWTKeyList{}, err
	}
	out := JWTKeyList{Keys: []JWTKeyView{}}
	for _, k := range s.c.Registry.JWTKeys(p.App) {
		out.Keys = append(out.Keys, jwtKeyView(k))
	}
	return out, nil
}

func jwtKeyView(k record.JWTKey) JWTKeyView {
	v := JWTKeyView{ID: k.ID, KeyID: k.KeyID, Issuer: k.Issuer, Algorithm: k.Algorithm, PublicKey: k.PublicKey, CreatedAt: k.Created}
	if !k.Expires.IsZero() {
		v.ExpiresAt = &k.Expires
	}
	return v
}

// CreateJWTKey makes a key that checks JWTs of devices.
func (s *Apps) CreateJWTKey(ctx context.Context, p Principal, r JWTKeyRequest) (JWTKeyAnswer, error) {
	if err := p.may(ScopeManage); err != nil {
		return JWTKeyAnswer{}, err
	}
	for _, name := range []struct{ field, value string }{{"kid", r.KeyID}, {"issuer", r.Issuer}} {
		if err := herald.ValidName(name.field, name.value); err != nil {
			return JWTKeyAnswer{}, err
		}
	}
	if !slices.Contains(jwtAlgorithms, r.Algorithm) {
		return JWTKeyAnswer{}, herald.Invalid("algorithm", "Use one of: "+strings.Join(jwtAlgorithms, ", ")+".", "%.20q is not an algorithm of this server", r.Algorithm)
	}
	row := record.JWTKey{KeyID: r.KeyID, Issuer: r.Issuer, Algorithm: r.Algorithm, PublicKey: r.PublicKey}
	if r.ExpiresAt != nil {
		row.Expires = r.ExpiresAt.UTC().Truncate(time.Millisecond)
		if !row.Expires.After(s.c.Now()) || row.Expires.Year() > 9999 {
			return JWTKeyAnswer{}, herald.Invalid("expires_at", "Give a time to come.", "the key would be refused from the beginning")
		}
	}
	k, secret, err := s.c.Registry.CreateJWTKey(ctx, p.App, row, r.Secret)
	if err != nil {
		return JWTKeyAnswer{}, err
	}
	return JWTKeyAnswer{JWTKeyView: jwtKeyView(k), Secret: secret}, nil
}

// DeleteJWTKey has JWTs of a key be refused at once. Sessions that were opened
// with one stay until it expires.
func (s *Apps) DeleteJWTKey(ctx context.Context, p Principal, id string) error {
	if err := p.may(ScopeManage); err != nil {
		return err
	}
	return s.c.Registry.DeleteJWTKey(ctx, p.App, id)
}
