package vault

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// Spec is a new credential, as its owner says it.
type Spec struct {
	Vendor      herald.Vendor
	Environment string // "" for every environment that has none of its own
	Name        string // "" is the one that is used where none is named
	Values      map[string]string
}

// Create checks a credential and keeps it. The vendor is not asked: see Verify.
func (v *Vault) Create(ctx context.Context, app herald.AppKey, s Spec) (record.Credential, error) {
	c := record.Credential{App: app, ID: "crd_" + strings.ToLower(crand.Text()), Vendor: s.Vendor, Environment: s.Environment, Name: s.Name, Created: v.now()}
	c.Updated = c.Created
	d, err := v.check(s)
	if err != nil {
		return c, err
	}
	if err := v.fill(d, &c, maps.Clone(s.Values)); err != nil {
		return c, err
	}
	record.AuditOf(ctx).Note(func(a *record.Audit) {
		a.Object, a.Changes = c.ID, record.Changes(struct{}{}, c.Told())
		noteSecrets(a, d, s.Values)
	})
	if err := v.add(ctx, c); err != nil {
		return c, err
	}
	v.c.Renewed(app, c.Vendor)
	c.Sealed = nil
	return c, nil
}

func (v *Vault) add(ctx context.Context, c record.Credential) error {
	v.change.Lock()
	defer v.change.Unlock()
	if err := v.c.Store.CreateCredential(ctx, c, MaxCredentials); err != nil {
		return err
	}
	v.replace(c)
	return nil
}

// check checks what says which credential it is.
func (v *Vault) check(s Spec) (*provider.Driver, error) {
	d := v.driver(s.Vendor)
	switch {
	case d == nil:
		var names []string
		for _, d := range v.c.Drivers {
			names = append(names, string(d.Name))
		}
		return nil, herald.Invalid("vendor", "Use one of: "+strings.Join(names, ", ")+".", "%.40q is not a vendor of this server", string(s.Vendor))
	case s.Environment != "" && len(d.Environments) == 0:
		return nil, herald.Invalid("environment", "Leave it out.", "%s has no environments", s.Vendor)
	case s.Environment != "" && !slices.Contains(d.Environments, s.Environment):
		return nil, herald.Invalid("environment", "Use one of: "+strings.Join(d.Environments, ", ")+"; or leave it out for all of them.", "%.40q is not an environment of %s", s.Environment, s.Vendor)
	case s.Name != "":
		return d, herald.ValidName("name", s.Name)
	}
	return d, nil
}

// fill checks values, by making a provider of them, and seals them.
func (v *Vault) fill(d *provider.Driver, c *record.Credential, values map[string]string) error {
	if values == nil {
		values = map[string]string{}
	}
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	if d.Complete != nil {
		if err := d.Complete(values); err != nil {
			return ofValue(err)
		}
	}
	if err := d.Check(values); err != nil {
		return ofValue(err)
	}
	text, err := json.Marshal(values)
	if err != nil || len(text) > MaxBytes {
		return herald.Invalid("values", "Shorten them.", "they are more than %d bytes", MaxBytes)
	}
	p, err := v.make(d, c.Environment, values)
	if err != nil {
		return ofValue(err)
	}
	if err := p.Close(); err != nil {
		v.c.Log.Warn("vault: closing a provider", "error", err)
	}
	c.Sealed, c.Shown = v.c.Ring.Seal(c.Place(), text), nil
	for _, f := range d.Fields {
		if value, there := values[f.Name]; there && !f.Secret {
			if c.Shown == nil {
				c.Shown = map[string]string{}
			}
			c.Shown[f.Name] = value
		}
	}
	return nil
}

// ofValue names the field of an error as the caller wrote it.
func ofValue(err error) error {
	var e *herald.Error
	if !errors.As(err, &e) || e.Field == "" {
		return err
	}
	named := *e
	named.Field = "values." + e.Field
	return &named
}

// noteSecrets has the audit log say which secrets were set, and none of them.
func noteSecrets(a *record.Audit, d *provider.Driver, values map[string]string) {
	var names []string
	for _, f := range d.Fields {
		if _, there := values[f.Name]; there && f.Secret {
			names = append(names, f.Name)
		}
	}
	if text, err := json.Marshal(names); err == nil && names != nil {
		a.Changes["secrets"] = record.Change{New: text}
	}
}

// Update changes values of a credential: those that are named, of which an empty
// one is taken away. The vendor is not asked.
func (v *Vault) Update(ctx context.Context, app herald.AppKey, id string, values map[string]string) (record.Credential, error) {
	out, err := v.alter(ctx, app, id, values)
	out.Sealed = nil
	if err == nil {
		v.c.Renewed(app, out.Vendor)
	}
	return out, err
}

func (v *Vault) alter(ctx context.Context, app herald.AppKey, id string, values map[string]string) (record.Credential, error) {
	v.change.Lock()
	defer v.change.Unlock()
	before, err := v.get(app, id)
	if err != nil {
		return before, err
	}
	d := v.driver(before.Vendor)
	if d == nil {
		return before, herald.Errorf(herald.CodeConflict, "Use a release of Herald that knows the vendor, or delete the credential.", "this server has no provider for %s", before.Vendor)
	}
	merged, err := v.values(&before)
	if err != nil {
		merged = maps.Clone(before.Shown) // the rest is lost; Check says what is needed
	}
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, values)
	after := before
	if err := v.fill(d, &after, merged); err != nil {
		return before, err
	}
	after.Updated = v.now()
	if !after.Updated.After(before.Updated) {
		after.Updated = before.Updated.Add(time.Millisecond) // it tells one version from another
	}
	record.AuditOf(ctx).Note(func(a *record.Audit) {
		a.Changes = record.Changes(before.Told(), after.Told())
		noteSecrets(a, d, values)
	})
	out, err := v.c.Store.UpdateCredential(ctx, app, id, func(c *record.Credential) error {
		c.Sealed, c.Shown, c.Updated = after.Sealed, after.Shown, after.Updated
		c.Verified, c.Problem = time.Time{}, nil // what was said is of what it was
		return nil
	})
	if err != nil {
		return before, err
	}
	v.shut(v.replace(out))
	return out, nil
}

// Delete removes a credential. What was begun with it is finished.
func (v *Vault) Delete(ctx context.Context, app herald.AppKey, id string) error {
	v.change.Lock()
	defer v.change.Unlock()
	c, err := v.get(app, id)
	if err != nil {
		return err
	}
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Changes = record.Changes(c.Told(), struct{}{}) })
	if err := v.c.Store.DeleteCredential(ctx, app, id); err != nil {
		return err
	}
	v.mu.Lock()
	v.apps[app] = slices.DeleteFunc(slices.Clone(v.apps[app]), func(c record.Credential) bool { return c.ID == id })
	idle := v.drop(place{app, id})
	v.mu.Unlock()
	v.shut(idle)
	return nil
}

// replace puts a credential into memory, in the place of what it was. If its
// values are others, its provider is dropped, and given if nobody has it.
func (v *Vault) replace(c record.Credential) (idle *opened) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if was := v.at(c.App, c.ID); was != nil {
		if !was.Updated.Equal(c.Updated) {
			idle = v.drop(place{c.App, c.ID})
		}
		*was = c
		return idle
	}
	v.apps[c.App] = append(v.apps[c.App], c)
	slices.SortFunc(v.apps[c.App], byPlace)
	return nil
}

func (v *Vault) now() time.Time { return v.c.Now().UTC().Truncate(time.Millisecond) }
