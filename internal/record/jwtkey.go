package record

import (
	"time"

	"github.com/herald-push/herald"
)

// JWTKey checks JWTs with which devices of an app authenticate.
type JWTKey struct {
	App       herald.AppKey `json:"-"`
	ID        string        `json:"-"`         // ours: 8 characters of [0-9a-z]
	KeyID     string        `json:"kid"`       // that of the header; with Issuer it is the only one of the app
	Issuer    string        `json:"issuer"`    // that of the claims
	Algorithm string        `json:"algorithm"` // HS256, RS256, ES256 or EdDSA
	PublicKey string        `json:"public_key,omitempty"`
	Sealed    []byte        `json:"sealed,omitempty"` // the secret of HS256; nil if it was given up
	Created   time.Time     `json:"created"`
	Expires   time.Time     `json:"expires,omitzero"` // zero: never
}

// Place is where the secret is sealed for.
func (k *JWTKey) Place() string { return "jwt " + string(k.App) + " " + k.ID }

// Told is what an entry of the audit log may say of it: never its secret.
func (k *JWTKey) Told() any {
	return struct {
		KeyID     string    `json:"kid"`
		Issuer    string    `json:"issuer"`
		Algorithm string    `json:"algorithm"`
		ExpiresAt time.Time `json:"expires_at,omitzero"`
	}{k.KeyID, k.Issuer, k.Algorithm, k.Expires}
}
