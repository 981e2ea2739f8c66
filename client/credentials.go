package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// Credential is what the app has of a vendor, without its secrets.
type Credential struct {
	ID     string        `json:"id"`
	Vendor herald.Vendor `json:"vendor"`
	// Environment is that of the addresses it is for; empty: of every one that has
	// no credential of its own.
	Environment string `json:"environment"`
	// Name tells several of one vendor apart; empty: the one that is used where
	// none is named.
	Name   string            `json:"name"`
	Values map[string]string `json:"values"` // that are no secrets
	State  string            `json:"state"`  // good, unverified, problem
	// VerifiedAt is when the vendor last took it; nil: never since the last change.
	VerifiedAt *time.Time     `json:"verified_at"`
	Problem    *VendorProblem `json:"problem,omitempty"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// VendorProblem is what a vendor has said against a credential or a message.
type VendorProblem struct {
	Kind   string    `json:"kind"`           // unauthorized: messages wait for a better one
	Code   string    `json:"code,omitempty"` // the vendor's own word
	Text   string    `json:"text"`
	Remedy string    `json:"remedy,omitempty"`
	At     time.Time `json:"at"`
}

// CredentialSpec is what is to be a credential.
type CredentialSpec struct {
	Vendor      herald.Vendor     `json:"vendor"`
	Environment string            `json:"environment,omitempty"`
	Name        string            `json:"name,omitempty"`
	Values      map[string]string `json:"values"` // the fields of the vendor, see [Client.Vendors]
	Verify      bool              `json:"verify,omitempty"`
}

// CredentialUpdate changes a credential. Values that it does not have stay as
// they are, secrets too; an empty one is taken away.
type CredentialUpdate struct {
	Values map[string]string `json:"values"`
	Verify bool              `json:"verify,omitempty"`
}

// Vendor says what a credential of a vendor consists of.
type Vendor struct {
	Name         herald.Vendor `json:"name"`
	Environments []string      `json:"environments"` // the default first; none if there is only one
	Fields       []VendorField `json:"fields"`
}

// VendorField is one value of a credential.
type VendorField struct {
	Name   string `json:"name"`
	Secret bool   `json:"secret"` // never shown again
	Needed bool   `json:"needed"`
	Help   string `json:"help,omitempty"`
}

func credentialPath(id, rest string) string { return "/v1/credentials/" + url.PathEscape(id) + rest }

// Vendors lists the vendors that the server knows.
func (c *Client) Vendors(ctx context.Context) ([]Vendor, error) {
	var out struct {
		Vendors []Vendor `json:"vendors"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/vendors", into: &out})
	return out.Vendors, err
}

// Credentials lists the credentials of the app.
func (c *Client) Credentials(ctx context.Context) ([]Credential, error) {
	var out struct {
		Credentials []Credential `json:"credentials"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/credentials", into: &out})
	return out.Credentials, err
}

// Credential shows a credential.
func (c *Client) Credential(ctx context.Context, id string) (Credential, error) {
	var out Credential
	err := c.do(ctx, call{method: http.MethodGet, path: credentialPath(id, ""), into: &out})
	return out, err
}

// CreateCredential adds a credential. With Verify the vendor is asked at once;
// the credential is kept whatever it says, see Problem of the answer.
func (c *Client) CreateCredential(ctx context.Context, s CredentialSpec) (Credential, error) {
	var out Credential
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/credentials", body: s, into: &out, single: true})
	return out, err
}

// UpdateCredential changes values of a credential.
func (c *Client) UpdateCredential(ctx context.Context, id string, u CredentialUpdate) (Credential, error) {
	var out Credential
	err := c.do(ctx, call{method: http.MethodPatch, path: credentialPath(id, ""), body: u, into: &out})
	return out, err
}

// VerifyCredential asks the vendor whether it takes a credential, without
// reaching anybody. What it says is in the answer: see State and Problem. The
// error is a conflict where a vendor cannot be asked.
func (c *Client) VerifyCredential(ctx context.Context, id string) (Credential, error) {
	var out Credential
	err := c.do(ctx, call{method: http.MethodPost, path: credentialPath(id, "/verify"), into: &out, single: true})
	return out, err
}

// DeleteCredential deletes a credential. What was begun with it is finished.
func (c *Client) DeleteCredential(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: credentialPath(id, "")})
}
