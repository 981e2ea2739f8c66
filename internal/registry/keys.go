package registry

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	// DefaultKeep is how long a secret that was replaced stays good.
	DefaultKeep = 24 * time.Hour
	// MaxKeep is how long it may at most.
	MaxKeep = 30 * 24 * time.Hour
	// MaxNetworks is how many networks the list of a key may have.
	MaxNetworks = 100
)

// allowed checks from where a key is used, and when. Who calls has proved the
// secret already.
func allowed(k record.APIKey, from netip.Addr, now time.Time) error {
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return unauthorized("Make a new key with POST /v1/keys, or give this one more time with PATCH /v1/keys/{id}.",
			"the key %s expired at %s", k.ID, k.Expires.Format(time.RFC3339))
	}
	if len(k.Networks) == 0 {
		return nil
	}
	from = from.Unmap().WithZone("")
	if slices.ContainsFunc(k.Networks, func(n netip.Prefix) bool { return n.Contains(from) }) {
		return nil
	}
	seen := "an address that the server does not know"
	if from.IsValid() {
		seen = from.String()
	}
	return herald.Errorf(herald.CodeAddressRefused,
		"The call came from "+seen+". If that is the back end, add it to networks with PATCH /v1/keys/{id}; if it is a proxy of your own, name that in server.trusted_proxies.",
		"the key %s may not be used from this address", k.ID)
}

// validKeep checks how long an old secret is to stay good.
func validKeep(keep time.Duration) error {
	if keep < 0 || keep > MaxKeep {
		return herald.Invalid("keep", "Give 0 to 2592000 seconds, which are 30 days; 0 refuses the old secret at once.", "%d seconds is not a time to keep the old secret", int64(keep/time.Second))
	}
	return nil
}

// oldSecret is what becomes of a secret that is replaced: it is kept for a
// while, or not at all. The one before it is forgotten in either case, so that
// two secrets are good at most.
func oldSecret(hash []byte, keep time.Duration, now time.Time) ([]byte, time.Time) {
	if keep == 0 {
		return nil, time.Time{}
	}
	return hash, now.Add(keep).UTC().Truncate(time.Millisecond)
}

// changeKey changes one key, in the record and then in memory.
func (r *Registry) changeKey(ctx context.Context, key herald.AppKey, id string, change func(*record.APIKey)) (record.APIKey, error) {
	app, err := r.App(key)
	if err != nil {
		return record.APIKey{}, err
	}
	app.change.Lock()
	defer app.change.Unlock()
	app.mu.Lock()
	row, ok := app.apiKeys[id]
	app.mu.Unlock()
	if !ok {
		return record.APIKey{}, herald.Errorf(herald.CodeNotFound, "GET /v1/keys lists the keys of the app.", "there is no key %.24q", id)
	}
	before := row
	change(&row)
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Changes = record.Changes(before.Told(), row.Told()) })
	if err := r.store.PutKey(ctx, row); err != nil {
		return record.APIKey{}, err
	}
	app.mu.Lock()
	// A use that was noted meanwhile is not taken back.
	if used := app.apiKeys[id].LastUsed; used.After(row.LastUsed) {
		row.LastUsed = used
	}
	app.apiKeys[id] = row
	app.mu.Unlock()
	return row, nil
}

// RotateKey gives a key a new secret, which is told this once, and keeps the
// old one good for a while.
func (r *Registry) RotateKey(ctx context.Context, key herald.AppKey, id string, keep time.Duration) (row record.APIKey, whole string, err error) {
	if err := validKeep(keep); err != nil {
		return row, "", err
	}
	secret := herald.NewSecret(keySecretLen)
	row, err = r.changeKey(ctx, key, id, func(k *record.APIKey) {
		k.OldHash, k.OldUntil = oldSecret(k.Hash, keep, r.now())
		k.Hash = hashSecret(secret)
	})
	if err != nil {
		return row, "", err
	}
	return row, formatKey(key, id, secret), nil
}

// KeyUpdate changes a key; what is nil stays as it is.
type KeyUpdate struct {
	Name     *string
	Scopes   *[]string
	Expires  *time.Time
	Networks *[]netip.Prefix // empty: any
}

// UpdateKey changes what a key may do, and for how long.
func (r *Registry) UpdateKey(ctx context.Context, key herald.AppKey, id string, u KeyUpdate) (record.APIKey, error) {
	return r.changeKey(ctx, key, id, func(k *record.APIKey) {
		change(&k.Name, u.Name)
		change(&k.Scopes, u.Scopes)
		change(&k.Expires, u.Expires)
		change(&k.Networks, u.Networks)
	})
}

func change[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
