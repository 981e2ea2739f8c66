package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// APIKey is a Bearer key of the app, without its secret.
type APIKey struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Scopes     []string  `json:"scopes"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // to about a minute; zero if never
	ExpiresAt  time.Time `json:"expires_at,omitzero"`   // zero: never
	Networks   []string  `json:"networks,omitempty"`    // empty: any
	// OldSecretUntil is how long the secret before the last rotation is good;
	// zero if it is not.
	OldSecretUntil time.Time `json:"old_secret_until,omitzero"`
}

// NewKey is an API key to be made.
type NewKey struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
	// ExpiresAt is when the key is refused from; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Networks are addresses and networks (CIDR) from which it may be used;
	// empty: any.
	Networks []string `json:"networks,omitempty"`
}

// KeyUpdate changes an API key. What is nil stays as it is.
type KeyUpdate struct {
	Name      *string    `json:"name,omitempty"`
	Scopes    *[]string  `json:"scopes,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Networks  *[]string  `json:"networks,omitempty"` // an empty list: any
}

// SecretKey is an API key with its secret, which is shown this once.
type SecretKey struct {
	APIKey
	Key string `json:"key"` // for [Key]
}

// Keys lists the API keys, oldest first. It needs the master secret, as all
// calls about keys do.
func (c *Client) Keys(ctx context.Context) ([]APIKey, error) {
	var out struct {
		Keys []APIKey `json:"keys"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/keys", into: &out})
	return out.Keys, err
}

// CreateKey makes an API key.
func (c *Client) CreateKey(ctx context.Context, k NewKey) (SecretKey, error) {
	var out SecretKey
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/keys", body: k, single: true, into: &out})
	return out, err
}

// UpdateKey changes an API key; its secret stays.
func (c *Client) UpdateKey(ctx context.Context, id string, u KeyUpdate) (APIKey, error) {
	var out APIKey
	err := c.do(ctx, call{method: http.MethodPatch, path: "/v1/keys/" + url.PathEscape(id), body: u, into: &out})
	return out, err
}

// RotateKey gives an API key a new secret. The old one stays good for a while,
// of whole seconds (a part of one counts as one) and at most 30 days; 0 refuses
// it at once.
func (c *Client) RotateKey(ctx context.Context, id string, keep time.Duration) (SecretKey, error) {
	var out SecretKey
	body := map[string]int64{"keep": int64((keep + time.Second - 1) / time.Second)}
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/keys/" + url.PathEscape(id) + "/rotate", body: body, single: true, into: &out})
	return out, err
}

// DeleteKey makes an API key invalid at once.
func (c *Client) DeleteKey(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(id)})
}
