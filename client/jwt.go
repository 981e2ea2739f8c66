package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// JWTKey checks JWTs that devices use in the place of a device token.
type JWTKey struct {
	ID        string    `json:"id"`
	KeyID     string    `json:"kid"`
	Issuer    string    `json:"issuer"`
	Algorithm string    `json:"algorithm"`
	PublicKey string    `json:"public_key,omitempty"` // PEM; empty for HS256
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}

// NewJWTKey is a key for JWTs to be made.
type NewJWTKey struct {
	KeyID     string `json:"kid"`                  // in the header of the tokens
	Issuer    string `json:"issuer"`               // their iss
	Algorithm string `json:"algorithm"`            // HS256, RS256, ES256 or EdDSA
	PublicKey string `json:"public_key,omitempty"` // PEM, for all but HS256
	// Secret is for HS256, at least 32 bytes; if it is empty one is made.
	Secret string `json:"secret,omitempty"`
	// ExpiresAt is when the key is refused from; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// SecretJWTKey is a key for JWTs with its secret, if that was made now. It is
// shown this once.
type SecretJWTKey struct {
	JWTKey
	Secret string `json:"secret,omitempty"`
}

// JWTKeys lists the keys for JWTs, oldest first. It needs the master secret, as
// all calls about keys do.
func (c *Client) JWTKeys(ctx context.Context) ([]JWTKey, error) {
	var out struct {
		Keys []JWTKey `json:"keys"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/jwt_keys", into: &out})
	return out.Keys, err
}

// CreateJWTKey makes a key for JWTs.
func (c *Client) CreateJWTKey(ctx context.Context, k NewJWTKey) (SecretJWTKey, error) {
	var out SecretJWTKey
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/jwt_keys", body: k, single: true, into: &out})
	return out, err
}

// DeleteJWTKey deletes a key by its ID, which is not its kid. JWTs of it are
// refused from then on.
func (c *Client) DeleteJWTKey(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/v1/jwt_keys/" + url.PathEscape(id)})
}
