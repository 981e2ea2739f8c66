// Package record names what the record keeps: the rows, and the operations by
// which stages change them. It has no database in it; the packages under
// store/ do, and each stage declares which of their methods it needs.
//
// The record has one log per app (docs/design/005-record.md). Everything that
// changes who exists or what is released takes the next position of that log
// inside the group commit that makes it durable, so that what is visible has
// no holes and is seen in one order everywhere.
package record

import (
	"net/netip"
	"time"

	"github.com/herald-push/herald"
)

// Head is where the log of an app stands.
type Head struct {
	Epoch   herald.Epoch
	Pos     herald.Pos // the last position taken; 0 for a new app
	NextOrd uint64     // the ordinal that the next device gets
	NextN   uint64     // the delivery number that the next direct delivery gets
}

// App is one tenant.
type App struct {
	Key        herald.AppKey
	Name       string
	SecretHash []byte // SHA-256 of the master secret
	// OldHash is that of the secret before it, which is good until OldUntil; nil
	// if there is none.
	OldHash  []byte
	OldUntil time.Time
	Created  time.Time
	Settings Settings
}

// Settings is what the owner of an app has decided.
type Settings struct {
	// DeviceAliases lets a device claim an alias without a signed JWT.
	DeviceAliases bool `json:"device_aliases,omitempty"`
	// DeviceTags lets a device change its own tags.
	DeviceTags bool `json:"device_tags,omitempty"`
	// Origins are the web origins from which browsers may connect and call;
	// empty means any, since no credential of a browser is ambient.
	Origins []string `json:"origins,omitempty"`
	// QuietHours keep back what can wait, by the clock of each device; nil: none.
	QuietHours *herald.QuietHours `json:"quiet_hours,omitempty"`
	// TimeZone is that of devices that name none; "" is UTC.
	TimeZone string `json:"time_zone,omitempty"`
	// Zoned says that the sets of time zones are there: an older Herald had none.
	Zoned bool `json:"zoned,omitempty"`
	// Topics say which topics devices may subscribe to and publish to.
	Topics herald.TopicRules `json:"topics,omitzero"`
	// Approval says which messages a second key has to approve.
	Approval ApprovalRule `json:"approval,omitzero"`
	// Caps say how many messages of a category a device gets.
	Caps []CapRule `json:"caps,omitempty"`
}

// CapRule says that a device gets at most Max messages of a category within a
// time.
type CapRule struct {
	Category string    `json:"category"`
	Max      int64     `json:"max"`
	Seconds  int64     `json:"per"`
	Since    time.Time `json:"since"` // when the rule was made; it is for what is due from then on
}

// Per is the time within which the rule counts.
func (r CapRule) Per() time.Duration { return time.Duration(r.Seconds) * time.Second }

// ApprovalRule says which messages of an app have to be approved: those to more
// devices than Above, if any has.
type ApprovalRule struct {
	Required bool  `json:"required,omitempty"`
	Above    int64 `json:"above,omitempty"`
}

// APIKey is a named Bearer key of an app.
type APIKey struct {
	App      herald.AppKey
	ID       string // 8 characters of [0-9a-z]
	Name     string
	Hash     []byte // SHA-256 of the secret part
	Scopes   []string
	Created  time.Time
	LastUsed time.Time // zero if never; written at most once a minute
	// OldHash is that of the secret before the last rotation, which is good
	// until OldUntil; nil if there is none.
	OldHash  []byte
	OldUntil time.Time
	Expires  time.Time // zero: never
	// Networks are those from which the key may be used; empty: any.
	Networks []netip.Prefix
}

// Device is one installation of an app.
type Device struct {
	App          herald.AppKey
	Ord          herald.Ordinal
	ID           herald.RegistrationID
	Installation []byte // SHA-256 of the installation ID; nil if it named none
	Platform     herald.Platform
	AppVersion   string
	Language     string // BCP 47, as the device wrote it
	TimeZone     string // IANA name
	Alias        herald.Alias
	// BoundPos is the log position of the last change of Alias. What was
	// evaluated before it and names aliases is not for this device any more.
	BoundPos   herald.Pos
	Attributes []byte // a JSON object of strings; nil if none
	// Generation is raised to revoke the device's tokens.
	Generation uint32
	Created    time.Time
	Seen       time.Time // last connect or registration, to about a minute
	Removed    bool
}

// Registration asks for a device. With an installation that is known already
// the device of that installation is updated and keeps its ordinal and ID.
type Registration struct {
	Device          // ID is the proposal for a new device; Ord is ignored
	SetAlias   bool // bind Device.Alias; else a known device keeps its own
	AddTags    []herald.Tag
	RemoveTags []herald.Tag
	// Addresses are set in the same commit: Kind, Environment and Token are
	// read, and one without a token is taken away.
	Addresses []Address
}

// DevicePatch is a change to a device; nil members stay as they are.
type DevicePatch struct {
	AppVersion *string
	Language   *string
	TimeZone   *string
	Alias      *herald.Alias // "" unbinds
	Attributes []byte        // the whole new object; nil keeps the old one
	AddTags    []herald.Tag
	RemoveTags []herald.Tag
	Revoke     bool      // raise the generation: every token given out dies
	Addresses  []Address // as in Registration
}

// DeviceFilter selects devices for listing; zero members do not filter.
type DeviceFilter struct {
	Alias    herald.Alias
	Platform herald.Platform
	// Within, if not nil, are the only ordinals wanted, ascending.
	Within []herald.Ordinal
}

// Job is something that must happen later. Who leases it holds it until the
// lease ends; Fence grows with each lease, so that a late owner is refused.
type Job struct {
	App   herald.AppKey
	ID    int64
	Kind  string // see the Job constants
	Msg   herald.MessageID
	Due   time.Time
	Fence int64
}

// JobRelease is the kind of job that releases a message when it falls due.
const JobRelease = "release"

// JobStep is the kind of job that makes the next step of a plan.
const JobStep = "step"
