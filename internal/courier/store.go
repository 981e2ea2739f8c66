package courier

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// ErrandStore keeps errands and what came of them.
type ErrandStore interface {
	// ErrandLanes lists the lanes that have errands which are due, and says when
	// the earliest other is; zero if there is none.
	ErrandLanes(ctx context.Context, now time.Time) (lanes []record.Lane, next time.Time, err error)
	// LeaseErrands takes errands of a lane that are due, the earliest first: their
	// fence is raised, and nobody else is given them until the lease has ended.
	LeaseErrands(ctx context.Context, lane record.Lane, now time.Time, lease time.Duration, limit int) ([]record.Errand, error)
	// SaveErrand writes what came of a part of an errand and what is left of it, in
	// one commit. If its fence has moved it answers conflict and writes nothing.
	// It keeps none of what it is given.
	SaveErrand(ctx context.Context, s record.ErrandSave) error
	// Reported keeps what a vendor has said later, with the attempts that it is
	// about, and gives those as they are then. What nobody knows is left out.
	Reported(ctx context.Context, app herald.AppKey, reports []record.VendorReport) ([]record.Attempt, error)
}

// AddressStore keeps addresses.
type AddressStore interface {
	// Addresses lists those of an owner, invalid ones too, newest first.
	Addresses(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal) ([]record.Address, error)
	// AddressesIn lists valid ones by ordinal, from and to included.
	AddressesIn(ctx context.Context, app herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, limit int) ([]record.Address, error)
	// SetAddress registers an address in the place of the owner's older one.
	SetAddress(ctx context.Context, a record.Address) error
	// InvalidateAddress marks an address as one that leads to nobody, if the owner
	// still has it and (with since) has not registered it after that.
	InvalidateAddress(ctx context.Context, a record.Address, reason string, at, since time.Time) error
}

// Messages finds messages.
type Messages interface {
	// Message finds a message with its target, unless that is kept apart, and as
	// it is now; not_found if there is none.
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
}

// Ledger knows what has become of messages on devices; see receipt.Ledger.
type Ledger interface {
	ShortOf(ctx context.Context, m *record.Message, state herald.DeliveryState, among *sets.Set, each func(*sets.Set) error) error
	Report(app herald.AppKey, events ...record.Event)
}

// Directory knows devices; see registry.Registry.
type Directory interface {
	// Languages gives, for some language tags of which those with more subtags
	// come first, a function that tells the first that a device is in the range
	// of; "" for none.
	Languages(app herald.AppKey, tags []string) func(herald.Ordinal) string
	// Platforms gives a function that tells the platform of a device; "" if that
	// is not known.
	Platforms(app herald.AppKey) func(herald.Ordinal) herald.Platform
}
