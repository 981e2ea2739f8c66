package registry

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// RaisedSet holds the devices whose tokens were revoked at some time: only for
// these a token's generation is compared with the record.
const RaisedSet = "raised"

func unauthorized(remedy, format string, args ...any) error {
	return herald.Errorf(herald.CodeUnauthorized, remedy, format, args...)
}

// Master checks an app key and its master secret.
func (r *Registry) Master(key herald.AppKey, secret string) error {
	app := r.app(key)
	// An unknown app costs the same comparison as a wrong secret.
	hash, old := make([]byte, 32), []byte(nil)
	if app != nil {
		row := app.Row()
		hash = row.SecretHash
		if r.now().Before(row.OldUntil) {
			old = row.OldHash
		}
	}
	if (!sameSecret(hash, secret) && (old == nil || !sameSecret(old, secret))) || app == nil {
		return unauthorized("Check app key and master secret; herald app rotate makes a new secret.", "the app key or the master secret is wrong")
	}
	return nil
}

// Key checks a Bearer key that comes from an address, and notes that it was
// used.
func (r *Registry) Key(ctx context.Context, token string, from netip.Addr) (record.APIKey, error) {
	wrong := unauthorized("Check the key; POST /v1/keys makes a new one.", "the key is not valid, or was deleted")
	prefix, key, ok := appOf(token)
	f := strings.Split(token, ".")
	if !ok || prefix != keyPrefix || len(f) != 4 {
		return record.APIKey{}, wrong
	}
	app := r.app(key)
	if app == nil {
		return record.APIKey{}, wrong
	}
	now := r.now().UTC()
	app.mu.Lock()
	row, known := app.apiKeys[f[2]]
	valid := known && (sameSecret(row.Hash, f[3]) || row.OldHash != nil && now.Before(row.OldUntil) && sameSecret(row.OldHash, f[3]))
	var refused error
	if valid {
		refused = allowed(row, from, now)
	}
	stale := valid && refused == nil && now.Sub(row.LastUsed) > time.Minute
	if stale {
		row.LastUsed = now
		app.apiKeys[row.ID] = row
	}
	app.mu.Unlock()
	switch {
	case !valid:
		return record.APIKey{}, wrong
	case refused != nil:
		return record.APIKey{}, refused
	}
	if stale {
		if err := r.noteUse(ctx, app, row.ID); err != nil {
			r.log.WarnContext(ctx, "registry: the last use of a key was not written", "error", err)
		}
	}
	return row, nil
}

// noteUse writes when a key was used, unless it was deleted meanwhile: writing
// it then would bring it back. It writes the key as it is now, not as it was
// when it was checked: writing that would take a change back.
func (r *Registry) noteUse(ctx context.Context, app *App, id string) error {
	app.change.Lock()
	defer app.change.Unlock()
	app.mu.Lock()
	row, there := app.apiKeys[id]
	app.mu.Unlock()
	if !there {
		return nil
	}
	return r.store.PutKey(ctx, row)
}

// DeviceAuth is what a device token proves.
type DeviceAuth struct {
	App      herald.AppKey
	ID       herald.RegistrationID
	Ord      herald.Ordinal
	Platform herald.Platform
	BoundPos herald.Pos // of a recent alias change; 0 if there was none
	Fresh    string     // a new token to use from now on; "" if this one is good
	Until    time.Time  // what the token proves ends then; zero: never
}

// DeviceToken checks a device token, or a JWT in its place. It reads the record
// only for tokens of another epoch, for devices whose tokens were revoked at some
// time, and for JWTs of devices that were not asked for lately.
func (r *Registry) DeviceToken(ctx context.Context, token string) (a DeviceAuth, err error) {
	if isJWT(token) {
		return r.deviceOfJWT(ctx, token)
	}
	prefix, key, ok := appOf(token)
	if !ok || prefix != tokenPrefix {
		return a, errDeviceToken()
	}
	app := r.app(key)
	if app == nil {
		return a, errDeviceToken()
	}
	c, ok := app.keys.parseDeviceToken(token)
	if !ok {
		return a, errDeviceToken()
	}
	// Who keeps the app's key must not keep the whole token, of which key is a part.
	a = DeviceAuth{App: app.key, ID: c.id, Ord: c.ord}
	if c.epoch != app.Epoch {
		// After a restore from backup the ordinal may be another one.
		d, err := r.store.Device(ctx, key, c.id)
		switch {
		case err != nil && herald.CodeOf(err) != herald.CodeNotFound:
			return DeviceAuth{}, err // the token may be good
		case err != nil || d.Generation != c.generation:
			return DeviceAuth{}, errDeviceToken()
		}
		a.Ord, a.Fresh = d.Ord, app.token(d)
	}
	dead, raised := app.describe(&a)
	if dead {
		return DeviceAuth{}, errDeviceToken()
	}
	if raised {
		d, err := r.store.Device(ctx, key, c.id)
		switch {
		case herald.CodeOf(err) == herald.CodeNotFound:
			return DeviceAuth{}, errDeviceToken()
		case err != nil:
			return DeviceAuth{}, err
		case d.Generation != c.generation:
			return DeviceAuth{}, unauthorized("Register again with POST /v1/devices and use the token that it answers.", "the device token was revoked")
		}
	}
	a.BoundPos = app.boundLately(a.Ord)
	return a, nil
}

// describe tells what the sets know of a device: its platform, whether it was
// removed, and whether its tokens were revoked at some time.
func (a *App) describe(d *DeviceAuth) (dead, raised bool) {
	a.Index.View(func(v sets.View) {
		dead = v.Has(record.DeadSet, d.Ord) || uint64(d.Ord) >= v.Next()
		raised = v.Has(RaisedSet, d.Ord)
		for i, name := range platformSets {
			if v.Has(name, d.Ord) {
				d.Platform = herald.Platforms[i]
				break
			}
		}
	})
	return dead, raised
}

func errDeviceToken() error {
	return unauthorized("Register again with POST /v1/devices and use the token that it answers.", "the device token is not valid")
}

// platformSets are the names of the sets of all platforms.
var platformSets = func() []string {
	out := make([]string, len(herald.Platforms))
	for i, p := range herald.Platforms {
		out[i] = record.PlatformSet(p)
	}
	return out
}()

// PageToken makes a token for one installation; see PageTokenTTL.
func (r *Registry) PageToken(key herald.AppKey, installation string) (string, error) {
	app, err := r.App(key)
	if err != nil {
		return "", err
	}
	if err := ValidInstallation("installation", installation); err != nil {
		return "", err
	}
	return app.keys.pageToken(key, installation, r.now().Add(PageTokenTTL)), nil
}

// Page checks a page token and gives the installation that it is for.
func (r *Registry) Page(ctx context.Context, token string) (key herald.AppKey, installation string, err error) {
	wrong := unauthorized("Get a new link: herald dev prints one.", "the page token is not valid")
	prefix, key, ok := appOf(token)
	if !ok || prefix != pagePrefix {
		return "", "", wrong
	}
	app := r.app(key)
	if app == nil {
		return "", "", wrong
	}
	installation, expires, ok := app.keys.parsePageToken(token)
	if !ok {
		return "", "", wrong
	}
	if r.now().After(expires) {
		return "", "", unauthorized("Get a new link: herald dev prints one.", "the page token has expired")
	}
	return key, installation, nil
}

// Alias checks an alias token of an app and gives the alias that it binds.
func (r *Registry) Alias(key herald.AppKey, token string) (herald.Alias, error) {
	app, err := r.App(key)
	if err != nil {
		return "", err
	}
	return app.keys.aliasOf(key, token, r.now())
}

// JWTSecret is the key with which an app's back end signs alias tokens.
func (r *Registry) JWTSecret(key herald.AppKey) string {
	if app := r.app(key); app != nil {
		return app.keys.jwt
	}
	return ""
}

// Cursor signs a log position for all devices of an app.
func (r *Registry) Cursor(key herald.AppKey, pos herald.Pos) string {
	app := r.app(key)
	if app == nil {
		return ""
	}
	return app.keys.formatCursor(app.Epoch, pos)
}

// ParseCursor reads a cursor back; false if it is foreign, damaged or of
// another epoch.
func (r *Registry) ParseCursor(key herald.AppKey, cursor string) (herald.Pos, bool) {
	app := r.app(key)
	if app == nil {
		return 0, false
	}
	epoch, pos, ok := app.keys.parseCursor(cursor)
	return pos, ok && epoch == app.Epoch
}

// AllowedOrigin reports whether a browser at a web origin may use an app. For
// an unknown app it may: the call itself will say that there is none.
func (r *Registry) AllowedOrigin(key herald.AppKey, origin string) bool {
	app := r.app(key)
	if app == nil {
		return true
	}
	list := app.Row().Settings.Origins
	return len(list) == 0 || slices.Contains(list, origin)
}

// ValidInstallation checks an installation ID: 16 to 128 characters of
// [0-9A-Za-z_-], so that it can stand in a token.
func ValidInstallation(field, s string) error {
	ok := len(s) >= 16 && len(s) <= 128
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_')
	}
	if !ok {
		return herald.Invalid(field, "Make a random one of 16 to 128 characters of 0-9 A-Z a-z - _ and keep it.", "is not an installation ID")
	}
	return nil
}
