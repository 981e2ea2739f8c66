package vault

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// opened is a provider of a credential as it was at one time.
type opened struct {
	make     sync.Once // guards provider and err
	provider provider.Provider
	err      *provider.Error

	leases int  // guarded by Vault.mu
	stale  bool // the same: nobody is given it any more
}

// Open lends the provider of the credential that Find gives. What cannot be
// opened is a *provider.Error of kind Unauthorized.
func (v *Vault) Open(_ context.Context, app herald.AppKey, vendor herald.Vendor, environment, name string) (*provider.Lease, error) {
	v.mu.Lock()
	c := v.find(app, vendor, environment, name)
	if c == nil {
		v.mu.Unlock()
		return nil, provider.Errorf(provider.Unauthorized, "", "Add one: herald credential add, or POST /v1/credentials.", "the app has no credential for %s", called(vendor, environment, name))
	}
	return v.lend(c)
}

// called says which credential is meant.
func called(vendor herald.Vendor, environment, name string) string {
	s := string(vendor)
	if environment != "" {
		s += " in " + environment
	}
	if name != "" {
		s += " with the name " + name
	}
	return s
}

// lend opens a credential. It is called with mu held and lets go of it.
func (v *Vault) lend(at *record.Credential) (*provider.Lease, error) {
	if v.closed {
		v.mu.Unlock()
		return nil, provider.Errorf(provider.Unavailable, "", "Nothing has to be done.", "the server is stopping")
	}
	c := *at
	key := place{c.App, c.ID}
	o := v.open[key]
	if o == nil {
		o = &opened{}
		v.open[key] = o
	}
	o.leases++
	v.mu.Unlock()

	d := v.driver(c.Vendor)
	o.make.Do(func() { o.provider, o.err = v.provider(d, &c) })
	var once sync.Once
	release := func() { once.Do(func() { v.release(key, o) }) }
	if o.err != nil {
		release()
		return nil, o.err
	}
	c.Sealed = nil
	return &provider.Lease{Provider: o.provider, Driver: d, Credential: c, Release: release}, nil
}

// release takes a provider back. One that could not be made is not kept, so that
// who comes next tries again.
func (v *Vault) release(key place, o *opened) {
	v.mu.Lock()
	o.leases--
	if o.err != nil && v.open[key] == o {
		delete(v.open, key)
		o.stale = true
	}
	done := o.stale && o.leases == 0
	v.mu.Unlock()
	if done {
		v.shut(o)
	}
}

// drop has a provider not be given to anybody any more. It is called with mu
// held, and gives the provider if nobody has it.
func (v *Vault) drop(key place) *opened {
	o := v.open[key]
	if o == nil {
		return nil
	}
	delete(v.open, key)
	if o.stale = true; o.leases > 0 {
		return nil
	}
	return o
}

// shut closes a provider that nobody has.
func (v *Vault) shut(o *opened) {
	if o == nil || o.provider == nil {
		return
	}
	if err := o.provider.Close(); err != nil {
		v.c.Log.Warn("vault: closing a provider", "error", err)
	}
}

// Close closes what nobody has, and lends nothing any more. What is lent is
// closed when it comes back.
func (v *Vault) Close() {
	v.mu.Lock()
	v.closed = true
	var idle []*opened
	for key := range v.open {
		idle = append(idle, v.drop(key))
	}
	v.mu.Unlock()
	for _, o := range idle {
		v.shut(o)
	}
}

// provider makes a provider of a credential.
func (v *Vault) provider(d *provider.Driver, c *record.Credential) (provider.Provider, *provider.Error) {
	if d == nil {
		return nil, provider.Errorf(provider.Unauthorized, "", "Use a release of Herald that knows the vendor, or delete the credential.", "this server has no provider for %s", c.Vendor)
	}
	values, err := v.values(c)
	if err == nil {
		var p provider.Provider
		if p, err = v.make(d, c.Environment, values); err == nil {
			v.listen(p, c)
			return p, nil
		}
	}
	e := asError(err)
	e.Kind = provider.Unauthorized // whatever it was, all of the credential has to wait
	return nil, e
}

// listen has what a vendor says later be told.
func (v *Vault) listen(p provider.Provider, c *record.Credential) {
	l, ok := p.(provider.Listener)
	if !ok || v.c.Reported == nil {
		return
	}
	app, vendor := c.App, c.Vendor
	l.Listen(func(r provider.Report) { v.c.Reported(app, vendor, r) })
}

func (v *Vault) make(d *provider.Driver, environment string, values map[string]string) (provider.Provider, error) {
	return d.New(provider.Config{Values: values, Environment: environment, Egress: v.c.Egress, Now: v.c.Now})
}

// values opens what is sealed.
func (v *Vault) values(c *record.Credential) (map[string]string, error) {
	const remedy = "Set its values anew."
	if c.Sealed == nil {
		return nil, herald.Errorf(herald.CodeInternal, remedy, "the values of the credential were given up with the key that sealed them")
	}
	text, _, err := v.c.Ring.Open(c.Place(), c.Sealed)
	if err != nil {
		return nil, err
	}
	var values map[string]string
	if json.Unmarshal(text, &values) != nil { // its error could show what it read
		return nil, herald.Errorf(herald.CodeInternal, remedy, "the values of the credential cannot be read")
	}
	return values, nil
}

// asError gives what a provider or its driver said in the words of providers.
func asError(err error) *provider.Error {
	if e := (*provider.Error)(nil); errors.As(err, &e) {
		out := *e
		return &out
	}
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		out := provider.Errorf(provider.Unauthorized, "", e.Remedy, "%s", e.Message)
		if e.Field != "" {
			out.Text = e.Field + ": " + e.Message
		}
		return out
	}
	return &provider.Error{Kind: provider.Unavailable, Text: "the credential could not be tried", Remedy: "Try again; the log of the server has the cause.", Err: err}
}
