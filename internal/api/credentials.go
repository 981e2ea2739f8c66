package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/vault"
)

// Credentials manages what an app has of vendors.
type Credentials struct{ c Config }

// CredentialRequest is the body of POST /v1/credentials.
type CredentialRequest struct {
	Vendor      herald.Vendor     `json:"vendor" doc:"Whose it is, as GET /v1/vendors lists them."`
	Environment string            `json:"environment,omitempty" maxLength:"64" doc:"For the addresses of this environment of the vendor. Default: of every one that has no credential of its own."`
	Name        string            `json:"name,omitempty" maxLength:"128" doc:"Tells several of one vendor apart, such as the robots of chat rooms. Default: none, which is the one that is used where none is named."`
	Values      map[string]string `json:"values" doc:"The fields of the vendor by name, as GET /v1/vendors lists them. Secrets are sealed, and never shown again."`
	Verify      bool              `json:"verify,omitempty" doc:"Ask the vendor at once whether it takes the credential. It is kept either way."`
}

// CredentialUpdate is the body of PATCH /v1/credentials/{id}.
type CredentialUpdate struct {
	Values map[string]string `json:"values" doc:"The fields that change. The others stay as they are; an empty text takes one away."`
	Verify bool              `json:"verify,omitempty" doc:"Ask the vendor at once whether it takes the credential. It is changed either way."`
}

// CredentialView is a credential without its secrets.
type CredentialView struct {
	ID          string            `json:"id" doc:"Name of the credential in calls."`
	Vendor      herald.Vendor     `json:"vendor" doc:"Whose it is."`
	Environment string            `json:"environment" doc:"Of the vendor; empty: every one that has no credential of its own."`
	Name        string            `json:"name" doc:"Empty: the one that is used where none is named."`
	Values      map[string]string `json:"values" doc:"The fields that are no secrets."`
	State       string            `json:"state" enum:"good,unverified,problem" doc:"good: the vendor took it the last time. unverified: it was not asked since the last change. problem: see there."`
	VerifiedAt  *time.Time        `json:"verified_at" doc:"When the vendor last took it; null: never since the last change."`
	Problem     *VendorProblem    `json:"problem,omitempty" doc:"Why the vendor did not take it the last time."`
	CreatedAt   time.Time         `json:"created_at" doc:"When it was made."`
	UpdatedAt   time.Time         `json:"updated_at" doc:"When its values were changed last."`
}

// VendorProblem is what a vendor has said against a credential or a message.
type VendorProblem struct {
	Kind   string    `json:"kind" enum:"unavailable,throttled,unregistered,rejected,too_large,unauthorized" doc:"unauthorized: it is wrong or has ended, and messages wait. unavailable: the vendor could not be asked."`
	Code   string    `json:"code,omitempty" doc:"The vendor's own word for it."`
	Text   string    `json:"text" doc:"What is wrong."`
	Remedy string    `json:"remedy,omitempty" doc:"What to do about it."`
	At     time.Time `json:"at" doc:"When it was said."`
}

// CredentialList is all credentials of an app.
type CredentialList struct {
	Credentials []CredentialView `json:"credentials" doc:"By vendor, environment and name."`
}

// VendorView says what a credential of a vendor consists of.
type VendorView struct {
	Name         herald.Vendor `json:"name" doc:"As in credentials, addresses and the options of messages."`
	Environments []string      `json:"environments" doc:"Those that an address may name, the default first; none if there is only one."`
	Fields       []VendorField `json:"fields" doc:"In the order of a form."`
}

// VendorField is one value of a credential.
type VendorField struct {
	Name   string `json:"name" doc:"Its name among the values."`
	Secret bool   `json:"secret" doc:"Whether it is never shown again."`
	Needed bool   `json:"needed" doc:"Whether it may not be left out."`
	Help   string `json:"help,omitempty" doc:"What it is, and where to find it."`
}

// VendorList is the vendors that a server knows.
type VendorList struct {
	Vendors []VendorView `json:"vendors" doc:"In the order of the documentation."`
}

func credentialView(c *record.Credential) CredentialView {
	v := CredentialView{
		ID: c.ID, Vendor: c.Vendor, Environment: c.Environment, Name: c.Name, Values: c.Shown, State: "unverified",
		VerifiedAt: timeOrNil(c.Verified), CreatedAt: c.Created, UpdatedAt: c.Updated,
	}
	if v.Values == nil {
		v.Values = map[string]string{}
	}
	switch p := c.Problem; {
	case p != nil:
		v.State, v.Problem = "problem", &VendorProblem{Kind: p.Kind, Code: p.Code, Text: p.Text, Remedy: p.Remedy, At: p.At}
	case v.VerifiedAt != nil:
		v.State = "good"
	}
	return v
}

// Vendors lists the vendors that the server knows.
func (s *Credentials) Vendors(_ context.Context, p Principal) (VendorList, error) {
	out := VendorList{Vendors: []VendorView{}}
	if err := p.may(ScopeVendorsRead); err != nil {
		return out, err
	}
	for _, d := range s.c.Vault.Drivers() {
		out.Vendors = append(out.Vendors, vendorView(d))
	}
	return out, nil
}

func vendorView(d provider.Driver) VendorView {
	v := VendorView{Name: d.Name, Environments: append([]string{}, d.Environments...), Fields: []VendorField{}}
	for _, f := range d.Fields {
		v.Fields = append(v.Fields, VendorField{Name: f.Name, Secret: f.Secret, Needed: f.Needed, Help: f.Help})
	}
	return v
}

// List shows the credentials of the app.
func (s *Credentials) List(_ context.Context, p Principal) (CredentialList, error) {
	out := CredentialList{Credentials: []CredentialView{}}
	if err := p.may(ScopeVendorsRead); err != nil {
		return out, err
	}
	list := s.c.Vault.Credentials(p.App)
	for i := range list {
		out.Credentials = append(out.Credentials, credentialView(&list[i]))
	}
	return out, nil
}

// Get shows a credential.
func (s *Credentials) Get(_ context.Context, p Principal, id string) (CredentialView, error) {
	if err := p.may(ScopeVendorsRead); err != nil {
		return CredentialView{}, err
	}
	c, err := s.c.Vault.Get(p.App, id)
	return credentialView(&c), err
}

// Create makes a credential, and asks the vendor if that is wished.
func (s *Credentials) Create(ctx context.Context, p Principal, r CredentialRequest) (CredentialView, error) {
	if err := p.may(ScopeVendorsWrite); err != nil {
		return CredentialView{}, err
	}
	c, err := s.c.Vault.Create(ctx, p.App, vault.Spec{Vendor: r.Vendor, Environment: r.Environment, Name: r.Name, Values: r.Values})
	if err == nil && r.Verify {
		c = s.verified(ctx, c)
	}
	return credentialView(&c), err
}

// Update changes values of a credential, and asks the vendor if that is wished.
func (s *Credentials) Update(ctx context.Context, p Principal, id string, r CredentialUpdate) (CredentialView, error) {
	if err := p.may(ScopeVendorsWrite); err != nil {
		return CredentialView{}, err
	}
	c, err := s.c.Vault.Update(ctx, p.App, id, r.Values)
	if err == nil && r.Verify {
		c = s.verified(ctx, c)
	}
	return credentialView(&c), err
}

// verified asks the vendor about what was kept. If that cannot be done, the
// credential is as it was kept, and not verified.
func (s *Credentials) verified(ctx context.Context, c record.Credential) record.Credential {
	out, err := s.c.Vault.Verify(ctx, c.App, c.ID)
	if err != nil {
		return c
	}
	return out
}

// Verify asks the vendor whether it takes a credential.
func (s *Credentials) Verify(ctx context.Context, p Principal, id string) (CredentialView, error) {
	if err := p.may(ScopeVendorsWrite); err != nil {
		return CredentialView{}, err
	}
	c, err := s.c.Vault.Verify(ctx, p.App, id)
	return credentialView(&c), err
}

// Delete removes a credential.
func (s *Credentials) Delete(ctx context.Context, p Principal, id string) error {
	if err := p.may(ScopeVendorsWrite); err != nil {
		return err
	}
	return s.c.Vault.Delete(ctx, p.App, id)
}
