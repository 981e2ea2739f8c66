package registry

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
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

// Recipients finds the recipients of aliases; those that nobody has are absent.
func (r *Registry) Recipients(ctx context.Context, key herald.AppKey, aliases []herald.Alias) (map[herald.Alias]record.Recipient, error) {
	if len(aliases) == 0 {
		return nil, nil
	}
	return r.store.Recipients(ctx, key, aliases)
}
