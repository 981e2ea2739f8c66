// Package vault keeps what apps have of vendors, and opens it: it makes a
// provider of a credential, lends it, and closes it when the credential has
// changed and nobody has it any more.
//
// Values are sealed in the record. Here they are opened when a provider is made,
// and not kept. What is no secret, and how a credential stands, is in memory.
package vault

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/seal"
)

// Store keeps credentials.
type Store interface {
	// Credentials lists those of all apps.
	Credentials(ctx context.Context) ([]record.Credential, error)
	// CreateCredential writes one, unless its app has most (limit_reached), or one
	// with the same vendor, environment and name (conflict).
	CreateCredential(ctx context.Context, c record.Credential, most int) error
	// UpdateCredential changes one, but not its vendor, environment and name;
	// not_found if there is none. change may be called twice.
	UpdateCredential(ctx context.Context, app herald.AppKey, id string, change func(*record.Credential) error) (record.Credential, error)
	// DeleteCredential removes one; not_found if there is none.
	DeleteCredential(ctx context.Context, app herald.AppKey, id string) error
}

// Config is what a Vault is made of.
type Config struct {
	Store Store
	// Ring seals and opens the values.
	Ring *seal.Ring
	// Drivers are the vendors that there are.
	Drivers []provider.Driver
	// Egress says where providers may call.
	Egress egress.Config
	// Renewed, if it is not nil, is told when a credential of a vendor is another one,
	// or the vendor has taken it when it was verified: what waits need not wait.
	Renewed func(app herald.AppKey, vendor herald.Vendor)
	// Reported, if it is not nil, is told what a vendor says later on a connection of
	// its own: see provider.Listener.
	Reported func(app herald.AppKey, vendor herald.Vendor, r provider.Report)
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log is told of credentials that a vendor does not take. Default none.
	Log *slog.Logger
}

// Limits of what an owner may set.
const (
	// MaxCredentials is how many an app may have.
	MaxCredentials = 100
	// MaxBytes is how large the values of one may be, as JSON.
	MaxBytes = 64 << 10
)

// Vault has the credentials of all apps. It is safe for use by several
// goroutines.
type Vault struct {
	c Config

	// change lets one change at a time go to the store, so that memory follows it
	// in its order. It is taken before mu.
	change sync.Mutex

	mu     sync.RWMutex // guards what follows
	apps   map[herald.AppKey][]record.Credential
	open   map[place]*opened
	closed bool
}

// place names a credential.
type place struct {
	app herald.AppKey
	id  string
}

// New makes a vault, which is empty until Load.
func New(c Config) *Vault {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Renewed == nil {
		c.Renewed = func(herald.AppKey, herald.Vendor) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Vault{c: c, apps: map[herald.AppKey][]record.Credential{}, open: map[place]*opened{}}
}

// Load reads the credentials, once, before anything else is asked.
func (v *Vault) Load(ctx context.Context) error {
	list, err := v.c.Store.Credentials(ctx)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range list {
		v.apps[c.App] = append(v.apps[c.App], c)
	}
	for _, of := range v.apps {
		slices.SortFunc(of, byPlace)
	}
	return nil
}

// byPlace orders credentials as they are listed.
func byPlace(a, b record.Credential) int {
	return cmp.Or(strings.Compare(string(a.Vendor), string(b.Vendor)), strings.Compare(a.Environment, b.Environment), strings.Compare(a.Name, b.Name))
}

// Drivers lists the vendors that there are. It is not to be changed.
func (v *Vault) Drivers() []provider.Driver { return v.c.Drivers }

// driver finds the driver of a vendor; nil if there is none.
func (v *Vault) driver(vendor herald.Vendor) *provider.Driver {
	for i := range v.c.Drivers {
		if v.c.Drivers[i].Name == vendor {
			return &v.c.Drivers[i]
		}
	}
	return nil
}

// Credentials lists those of an app, without their secrets, by vendor,
// environment and name. Shown and Problem are not to be changed.
func (v *Vault) Credentials(app herald.AppKey) []record.Credential {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := slices.Clone(v.apps[app])
	for i := range out {
		out[i].Sealed = nil
	}
	return out
}

// Find gives the credential for an environment, or else the one that is for
// every environment, without its secrets.
func (v *Vault) Find(app herald.AppKey, vendor herald.Vendor, environment, name string) (record.Credential, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c := v.find(app, vendor, environment, name)
	if c == nil {
		return record.Credential{}, false
	}
	out := *c
	out.Sealed = nil
	return out, true
}

// find is Find with mu held.
func (v *Vault) find(app herald.AppKey, vendor herald.Vendor, environment, name string) (best *record.Credential) {
	list := v.apps[app]
	for i := range list {
		c := &list[i]
		if c.Vendor != vendor || c.Name != name || c.Environment != environment && c.Environment != "" {
			continue
		}
		if best == nil || best.Environment == "" {
			best = c
		}
	}
	return best
}

// Get gives a credential without its secrets; not_found if there is none.
func (v *Vault) Get(app herald.AppKey, id string) (record.Credential, error) {
	c, err := v.get(app, id)
	c.Sealed = nil
	return c, err
}

func (v *Vault) get(app herald.AppKey, id string) (record.Credential, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if c := v.at(app, id); c != nil {
		return *c, nil
	}
	return record.Credential{}, herald.Errorf(herald.CodeNotFound, "GET /v1/credentials lists the credentials of the app.", "there is no such credential")
}

// at finds a credential with mu held; nil if there is none.
func (v *Vault) at(app herald.AppKey, id string) *record.Credential {
	list := v.apps[app]
	if i := slices.IndexFunc(list, func(c record.Credential) bool { return c.ID == id }); i >= 0 {
		return &list[i]
	}
	return nil
}

// Problems lists the credentials of all apps that their vendors do not take,
// without their secrets, by app, vendor, environment and name.
func (v *Vault) Problems() (out []record.Credential) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, list := range v.apps {
		for _, c := range list {
			if c.Problem != nil {
				c.Sealed = nil
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b record.Credential) int {
		return cmp.Or(strings.Compare(string(a.App), string(b.App)), byPlace(a, b))
	})
	return out
}
