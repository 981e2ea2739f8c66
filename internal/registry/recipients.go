package registry

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// RecipientStore keeps recipients. That of an alias is made when the alias is
// bound for the first time, too, and stays when the last device is unbound.
type RecipientStore interface {
	// PutRecipient makes the recipient of an alias if there is none, and tells
	// whether it did.
	PutRecipient(ctx context.Context, app herald.AppKey, alias herald.Alias) (created bool, err error)
	// DeleteRecipient removes the recipient of an alias, if there is one and no
	// device is bound to it.
	DeleteRecipient(ctx context.Context, app herald.AppKey, alias herald.Alias) error
	// BindDevices changes the aliases of devices in one commit, in the order of
	// the list, at one log position, which becomes their BoundPos. With whole,
	// an alias that is full (herald.MaxDevicesByAlias) answers limit_reached,
	// and nothing is written; else its bindings are left out.
	BindDevices(ctx context.Context, app herald.AppKey, list []record.Binding, whole bool) (record.Bound, error)
	// Recipients finds the recipients of aliases (at most
	// herald.MaxIDsPerCall); those that nobody has are absent.
	Recipients(ctx context.Context, app herald.AppKey, aliases []herald.Alias) (map[herald.Alias]record.Recipient, error)
}

// PutRecipient makes the recipient of an alias, before any device is bound to
// it, and tells whether it is new.
func (r *Registry) PutRecipient(ctx context.Context, key herald.AppKey, alias herald.Alias) (bool, error) {
	return r.store.PutRecipient(ctx, key, alias)
}

// DeleteRecipient removes the recipient of an alias that no device is bound to.
func (r *Registry) DeleteRecipient(ctx context.Context, key herald.AppKey, alias herald.Alias) error {
	return r.store.DeleteRecipient(ctx, key, alias)
}

// Bind changes the aliases of devices in one commit; see RecipientStore. With
// whole it is all of them or an error.
func (r *Registry) Bind(ctx context.Context, key herald.AppKey, list []record.Binding, whole bool) (record.Bound, error) {
	app, err := r.App(key)
	if err != nil || len(list) == 0 {
		return record.Bound{Changed: sets.New()}, err
	}
	b, err := r.store.BindDevices(ctx, key, list, whole)
	switch {
	case err != nil:
		app.unsure(err)
	case b.Pos != 0:
		app.noteBind(b.Changed, b.Pos, r.now())
	}
	return b, err
}

// Recipients finds the recipients of aliases; those that nobody has are absent.
func (r *Registry) Recipients(ctx context.Context, key herald.AppKey, aliases []herald.Alias) (map[herald.Alias]record.Recipient, error) {
	if len(aliases) == 0 {
		return nil, nil
	}
	return r.store.Recipients(ctx, key, aliases)
}
