package registry

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// AppStore keeps apps and their keys. All its methods may be called from any
// goroutine; a write is durable when it returns nil.
type AppStore interface {
	// Apps lists every app, oldest first.
	Apps(ctx context.Context) ([]record.App, error)
	// CreateApp writes an app and the head of its log (epoch 1). It answers a
	// conflict if the key is taken.
	CreateApp(ctx context.Context, app record.App) error
	// UpdateApp writes name, secret hash and settings of an app; not_found if
	// there is none with that key.
	UpdateApp(ctx context.Context, app record.App) error
	// Head says where the app's log stands.
	Head(ctx context.Context, app herald.AppKey) (record.Head, error)
}

// KeyStore keeps the Bearer keys of apps.
type KeyStore interface {
	// Keys lists the keys of all apps.
	Keys(ctx context.Context) ([]record.APIKey, error)
	// PutKey writes a key: a new one, or one whose LastUsed has moved.
	PutKey(ctx context.Context, key record.APIKey) error
	// DeleteKey removes a key; not_found if there is none.
	DeleteKey(ctx context.Context, app herald.AppKey, id string) error
}

// JWTKeyStore keeps keys that check JWTs of devices.
type JWTKeyStore interface {
	// JWTKeys lists those of all apps, by app and ID.
	JWTKeys(ctx context.Context) ([]record.JWTKey, error)
	// CreateJWTKey writes one.
	CreateJWTKey(ctx context.Context, k record.JWTKey) error
	// DeleteJWTKey removes one; not_found if there is none.
	DeleteJWTKey(ctx context.Context, app herald.AppKey, id string) error
}

// RouteStore keeps the named routes of apps.
type RouteStore interface {
	// Routes lists those of all apps, by app and name.
	Routes(ctx context.Context) ([]record.NamedRoute, error)
	// PutRoute writes one: a new one, or one that has changed.
	PutRoute(ctx context.Context, r record.NamedRoute) error
	// DeleteRoute removes one; not_found if there is none.
	DeleteRoute(ctx context.Context, app herald.AppKey, name string) error
}

// DeviceStore keeps devices and who they are bound to.
type DeviceStore interface {
	// Register takes the next ordinal for a new installation, or updates the
	// device of a known one; see record.Registration. Row, sets and log
	// position change in one commit. The boolean tells whether it is new.
	// More than herald.MaxDevicesByAlias devices on an alias answer
	// limit_reached, and nothing is written.
	Register(ctx context.Context, r record.Registration) (record.Device, bool, error)
	// UpdateDevice changes a device that is not removed (else not_found),
	// with its sets, at one log position. A changed alias sets BoundPos to it.
	UpdateDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID, p record.DevicePatch) (record.Device, error)
	// RemoveDevice retires a device: its ordinal joins record.DeadSet and is
	// never used again; installation, alias, attributes and profile are
	// erased. It gives the device as it was, but with the log position of the
	// removal as BoundPos. not_found if it is gone already.
	RemoveDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (record.Device, error)
	// Touch notes that devices were here: it writes Seen and puts them into
	// the set of that day (record.SeenSet), at one log position.
	Touch(ctx context.Context, app herald.AppKey, ords *sets.Set, at time.Time) error
}

// DeviceReader finds devices. Removed devices are not found.
type DeviceReader interface {
	// Device finds one by its registration ID; not_found if there is none.
	Device(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (record.Device, error)
	// DeviceByInstallation finds one by the hash of its installation ID.
	DeviceByInstallation(ctx context.Context, app herald.AppKey, hash []byte) (record.Device, error)
	// Devices lists devices with an ordinal of at least from, ascending, at
	// most limit.
	Devices(ctx context.Context, app herald.AppKey, f record.DeviceFilter, from herald.Ordinal, limit int) ([]record.Device, error)
	// OrdinalsByID finds the ordinals of registration IDs (at most
	// herald.MaxIDsPerCall); those that nobody has are absent.
	OrdinalsByID(ctx context.Context, app herald.AppKey, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error)
	// OrdinalsByAlias finds the devices bound to aliases (at most
	// herald.MaxIDsPerCall); aliases with no device are absent.
	OrdinalsByAlias(ctx context.Context, app herald.AppKey, aliases []herald.Alias) (map[herald.Alias][]herald.Ordinal, error)
}

// SetStore keeps the named sets of an app: chunks, and a log of changes that
// is folded into them.
type SetStore interface {
	// Removed walks the devices of an app that were removed, with the log
	// positions at which they were, ascending by position.
	Removed(ctx context.Context, app herald.AppKey, each func(herald.Ordinal, herald.Pos) error) error
	// ChangeSets writes set changes at the next log position.
	ChangeSets(ctx context.Context, app herald.AppKey, changes []record.SetChange) (herald.Pos, error)
	// SetChunks walks every chunk of an app, in no promised order.
	SetChunks(ctx context.Context, app herald.AppKey, each func(record.SetChunk) error) error
	// SetLog walks the changes after a position, ascending.
	SetLog(ctx context.Context, app herald.AppKey, after herald.Pos, each func(record.SetLogEntry) error) error
	// FoldSets replaces chunks (an empty one is deleted) and then drops the log
	// up to a position; 0 drops nothing. It may use several commits, in this
	// order. The chunks are durable when a log that led to them is dropped, and
	// need not be before.
	FoldSets(ctx context.Context, app herald.AppKey, upto herald.Pos, chunks []record.SetChunk) error
}

// Store is all that registry needs of the record.
type Store interface {
	AppStore
	KeyStore
	JWTKeyStore
	RouteStore
	DeviceStore
	DeviceReader
	SetStore
	SegmentStore
	FileStore
	RecipientStore
	AddressStore
	GroupStore
	ZoneReader
}

// ZoneReader finds where devices are.
type ZoneReader interface {
	// DeviceZones walks the devices that name a time zone. each must not call
	// the database.
	DeviceZones(ctx context.Context, app herald.AppKey, each func(o herald.Ordinal, zone string)) error
}
