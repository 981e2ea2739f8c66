package api

import (
	"slices"

	"github.com/herald-push/herald"
)

// Scope is something that a key may do.
type Scope string

// The scopes.
const (
	ScopeSend         Scope = "messages:send"
	ScopeRead         Scope = "messages:read"
	ScopeDevicesRead  Scope = "devices:read"
	ScopeDevicesWrite Scope = "devices:write"
	ScopeReceipts     Scope = "receipts:write"
	ScopeHooksRead    Scope = "webhooks:read"
	ScopeHooksWrite   Scope = "webhooks:write"
	ScopeVendorsRead  Scope = "credentials:read"
	ScopeVendorsWrite Scope = "credentials:write"
	// ScopeManage covers the app itself and its keys. Only the master secret
	// has it.
	ScopeManage Scope = "manage"
)

// GrantableScopes are the scopes that a Bearer key may be given.
var GrantableScopes = []Scope{ScopeSend, ScopeRead, ScopeDevicesRead, ScopeDevicesWrite, ScopeReceipts, ScopeHooksRead, ScopeHooksWrite, ScopeVendorsRead, ScopeVendorsWrite}

// Kind says what a caller proved to be.
type Kind int

// The kinds of caller.
const (
	Anonymous   Kind = iota // named an app key, proved nothing
	Master                  // app key and master secret
	Key                     // a Bearer key with scopes
	Device                  // a device token
	Page                    // a page token: one installation, which may push to itself
	GroupOfApps             // group key and secret: may send to the apps of the group
)

// Principal is who calls. The zero value is a stranger.
type Principal struct {
	Kind    Kind
	App     herald.AppKey // "" for GroupOfApps
	Group   herald.GroupKey
	KeyID   string  // for Key
	KeyName string  // for Key
	Scopes  []Scope // for Key
	// Device is whose token it is, for Device; for Page it is empty until the
	// page's installation has registered.
	Device herald.RegistrationID
	Ord    herald.Ordinal
	// Installation is what a page token is for.
	Installation string
}

// RateKey names the bucket that the caller's requests are counted in.
func (p Principal) RateKey() string {
	switch p.Kind {
	case Key:
		return string(p.App) + "/" + p.KeyID
	case Device, Page:
		return string(p.App) + "/" + string(p.Device) + p.Installation
	case GroupOfApps:
		return string(p.Group)
	default:
		return string(p.App)
	}
}

// Backend reports whether the caller speaks for the app, not for one device.
func (p Principal) Backend() bool { return p.Kind == Master || p.Kind == Key }

// may checks a scope. Devices and pages have none: what they may do about
// themselves is decided where it is done.
func (p Principal) may(s Scope) error {
	switch p.Kind {
	case Master:
		return nil
	case Key:
		if slices.Contains(p.Scopes, s) {
			return nil
		}
		return herald.Errorf(herald.CodeForbidden, "Use a key with that scope, or the master secret.", "this key lacks the scope %s", s)
	case Anonymous:
		return herald.Errorf(herald.CodeUnauthorized, "Send Authorization: Basic with app key and master secret, or Bearer with a key.", "this call needs credentials")
	case GroupOfApps:
		return errGroup()
	default:
		return herald.Errorf(herald.CodeForbidden, "Call it from your back end, with the master secret or a key.", "a device may not do this")
	}
}

// errGroup refuses what the credentials of a group are not for.
func errGroup() error {
	return herald.Errorf(herald.CodeForbidden, "Call it with the credentials of the app; those of a group are for /v1/group.", "a group of apps may only send to its apps and ask what became of it")
}
