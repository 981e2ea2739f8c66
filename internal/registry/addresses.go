package registry

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// AddressStore keeps the addresses of devices and recipients: one valid address
// of a kind each, and a few that are not valid any more.
type AddressStore interface {
	// SetAddress registers an address at its owner, who must exist (else
	// not_found). The one of that kind that the owner had becomes invalid, and so
	// does this one at whoever else had it, but for chats. The same again only
	// moves Updated, and makes it valid.
	SetAddress(ctx context.Context, a record.Address) error
	// DeleteAddress takes the address of a kind away from its owner; not_found if
	// it has none.
	DeleteAddress(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal, kind string) error
	// Addresses lists the addresses of an owner, newest first, also those that
	// are not valid any more.
	Addresses(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal) ([]record.Address, error)
}

// AddressReader is what sending to addresses needs of the record.
type AddressReader interface {
	// AddressesIn lists the valid addresses of a kind and environment whose
	// owners have ordinals from one to another, both included, ascending, at
	// most limit; fewer are all of them.
	AddressesIn(ctx context.Context, app herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, limit int) ([]record.Address, error)
	// AddressKinds lists the kinds and environments of which there are valid
	// addresses, in their order. It is cheap.
	AddressKinds(ctx context.Context, app herald.AppKey, owner record.Owner) ([]record.AddressKind, error)
	// InvalidateAddress makes an address invalid, if its owner still has that
	// token and, unless since is zero, has not registered it after that.
	InvalidateAddress(ctx context.Context, a record.Address, reason string, at, since time.Time) error
}

// SetAddress registers an address at its owner; see AddressStore.
func (r *Registry) SetAddress(ctx context.Context, a record.Address) error {
	return r.store.SetAddress(ctx, a)
}

// DeleteAddress takes the address of a kind away from its owner.
func (r *Registry) DeleteAddress(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal, kind string) error {
	return r.store.DeleteAddress(ctx, app, owner, ord, kind)
}

// Addresses lists the addresses of an owner, newest first.
func (r *Registry) Addresses(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal) ([]record.Address, error) {
	return r.store.Addresses(ctx, app, owner, ord)
}
