// Package registry knows who exists: apps, their keys, devices, the aliases
// and tags that devices bear, and the credentials of all of them.
//
// It is the writer of the sets of tags, platforms, languages, versions and
// activity, and keeps them in memory as one sets.Index per app. Registration
// IDs and aliases stay in the record. A change is durable, and visible to the
// next evaluation of an audience, when the call that makes it returns.
package registry

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Config is what a Registry is made of.
type Config struct {
	Store Store
	// ServerKey is the secret of this installation of Herald, at least 32
	// bytes, from outside the database. Tokens and cursors are signed with
	// keys that are derived from it.
	ServerKey []byte
	// Sealer seals the secrets of keys for JWTs. Without one an app can have none
	// with a secret.
	Sealer Sealer
	Log    *slog.Logger
	Now    func() time.Time // default time.Now
}

// Registry knows who exists. It is safe for use by several goroutines.
type Registry struct {
	store  Store
	secret []byte
	sealer Sealer
	log    *slog.Logger
	now    func() time.Time

	groups groups // in groups.go

	mu   sync.RWMutex
	apps map[herald.AppKey]*App
}

// App is an app with what is held of it in memory.
type App struct {
	key   herald.AppKey
	Index *sets.Index
	Epoch herald.Epoch
	keys  signingKeys
	known knownDevices
	bears knownAliases

	// change makes one change of row or apiKeys at a time, from the record to
	// memory. It is held over a commit, and taken before mu. mu must not be
	// held over a commit: the goroutine that commits calls OnSets, which takes
	// it.
	change sync.Mutex
	// flushing lets one Flush at a time write chunks: an older one must not
	// overwrite those of a newer one, which has dropped the log behind them.
	flushing sync.Mutex

	mu       sync.Mutex // guards what follows
	row      record.App
	useAlias bool // of the row: see UseAlias
	apiKeys  map[string]record.APIKey
	jwtKeys  []*jwtKey
	routes   map[string]*record.NamedRoute
	seen     *sets.Set                     // devices seen since the last flush
	leaving  *sets.Set                     // those that a running flush has taken from seen
	bound    map[herald.Ordinal]recentBind // alias changes of the last minutes
	rebound  []manyBinds                   // those of many devices at once
	binding  herald.Pos                    // the last of them, and of all before
	loaded   herald.Pos                    // the head when the app was loaded
	// whole: every change of an alias after it is in bound or rebound.
	whole   herald.Pos
	unsures uint64    // how often a change was not known to be made
	removed []Removal // by position
}

// Key is the app's key. Who keeps it keeps nothing else, as he might with the key
// that a caller gave, which is a piece of the credential.
func (a *App) Key() herald.AppKey { return a.key }

// Removal says when a device was removed.
type Removal struct {
	Pos herald.Pos
	Ord herald.Ordinal
}

type recentBind struct {
	pos herald.Pos
	at  time.Time
}

// manyBinds is a commit that changed the aliases of many devices. As a set they
// take little, also when a million are bound within minutes.
type manyBinds struct {
	recentBind
	ords *sets.Set
}

// bindMemory is how long an alias change is remembered outside the record: far
// longer than a message needs from evaluation to fan-out.
const bindMemory = 10 * time.Minute

// New makes a registry with nothing in it; Load fills it.
func New(c Config) *Registry {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{store: c.Store, secret: c.ServerKey, sealer: c.Sealer, log: c.Log, now: c.Now, apps: map[herald.AppKey]*App{}, groups: groups{byKey: map[herald.GroupKey]record.AppGroup{}}}
}

// Load reads apps, keys and sets from the record. Call it once, before use.
func (r *Registry) Load(ctx context.Context) error {
	rows, err := r.store.Apps(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := r.loadApp(ctx, row); err != nil {
			return err
		}
	}
	keys, err := r.store.Keys(ctx)
	for _, k := range keys {
		if app := r.app(k.App); app != nil {
			app.apiKeys[k.ID] = k
		}
	}
	if err != nil {
		return err
	}
	if err := r.loadJWTKeys(ctx); err != nil {
		return err
	}
	if err := r.loadRoutes(ctx); err != nil {
		return err
	}
	return r.loadGroups(ctx)
}

func (r *Registry) loadApp(ctx context.Context, row record.App) (*App, error) {
	head, err := r.store.Head(ctx, row.Key)
	if err != nil {
		return nil, err
	}
	keys, err := deriveKeys(r.secret, row.Key)
	if err != nil {
		return nil, err
	}
	app := &App{
		key: row.Key, Index: sets.NewIndex(0, head.NextOrd), Epoch: head.Epoch, keys: keys, row: row, useAlias: row.Settings.Topics.UseAlias(),
		apiKeys: map[string]record.APIKey{}, routes: map[string]*record.NamedRoute{}, seen: sets.New(), leaving: sets.New(), bound: map[herald.Ordinal]recentBind{},
		loaded: head.Pos, whole: head.Pos,
	}
	var upto herald.Pos
	err = r.store.SetChunks(ctx, row.Key, func(c record.SetChunk) error {
		upto = max(upto, c.Upto)
		app.Index.Load(sets.Part{Set: c.Set, Slab: c.Slab, Whole: c.Whole}, c.Bits)
		return nil
	})
	if err != nil {
		return nil, err
	}
	app.Index.Loaded()
	err = r.store.SetLog(ctx, row.Key, 0, func(e record.SetLogEntry) error {
		app.Index.Apply(e.Pos, e.NextOrd, e.Changes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	zones, err := r.zoneSets(ctx, app, head)
	if err != nil {
		return nil, err
	}
	app.Index.Apply(max(upto, head.Pos), head.NextOrd, zones)
	err = r.store.Removed(ctx, row.Key, func(o herald.Ordinal, pos herald.Pos) error {
		app.removed = append(app.removed, Removal{pos, o})
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.apps[row.Key] = app
	r.mu.Unlock()
	return app, nil
}

// OnSets is for the store to call after each commit that changed sets.
func (r *Registry) OnSets(key herald.AppKey, e record.SetLogEntry) {
	app := r.app(key)
	if app == nil {
		return
	}
	for _, c := range e.Changes {
		if c.Set == record.DeadSet && !c.Remove {
			app.mu.Lock()
			for o := range c.Ords.All() {
				app.removed = append(app.removed, Removal{e.Pos, o})
			}
			app.mu.Unlock()
		}
	}
	// In this order: what the index stands at has been forgotten here.
	app.bears.forget(e.Rebound)
	app.Index.Apply(e.Pos, e.NextOrd, e.Changes)
}

// RemovedSince lists the removals after a log position, in its order. The
// list must not be changed.
func (a *App) RemovedSince(pos herald.Pos) []Removal {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, _ := slices.BinarySearchFunc(a.removed, pos+1, func(r Removal, p herald.Pos) int { return cmp.Compare(r.Pos, p) })
	return a.removed[i:len(a.removed):len(a.removed)]
}

// BoundSince gives the devices whose alias changed after a log position: those
// among a list, or all if it is nil. known is false if some may be missing, which
// only the record knows: the position is long ago, or before the app was loaded.
func (a *App) BoundSince(pos herald.Pos, among []herald.Ordinal) (out *sets.Set, known bool) {
	out = sets.New()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.binding <= pos: // nearly always
	case among != nil:
		for _, o := range among {
			if a.lastBind(o) > pos {
				out.Add(o)
			}
		}
	default:
		for _, b := range a.rebound {
			if b.pos > pos {
				out.Or(b.ords)
			}
		}
		for o, b := range a.bound {
			if b.pos > pos {
				out.Add(o)
			}
		}
	}
	return out, pos >= a.whole
}

// Loaded is the head of the app's log when it was loaded.
func (a *App) Loaded() herald.Pos { return a.loaded }

// DeadAt gives the devices that had been removed at a log position.
func (r *Registry) DeadAt(key herald.AppKey, pos herald.Pos) *sets.Set {
	app := r.app(key)
	if app == nil {
		return sets.New()
	}
	dead := app.Index.Snapshot([]string{record.DeadSet}).Set(record.DeadSet)
	if dead == nil {
		return sets.New()
	}
	for _, later := range app.RemovedSince(pos) {
		dead.Remove(later.Ord)
	}
	return dead
}

func (r *Registry) app(key herald.AppKey) *App {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.apps[key]
}

// App finds an app.
func (r *Registry) App(key herald.AppKey) (*App, error) {
	if app := r.app(key); app != nil {
		return app, nil
	}
	return nil, herald.Errorf(herald.CodeUnauthorized, "Check the app key; herald app list shows those of a server.", "there is no app with the key %.24q", string(key))
}

// Apps lists the keys of all apps, oldest first.
func (r *Registry) Apps() []herald.AppKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rows := make([]record.App, 0, len(r.apps))
	for _, app := range r.apps {
		rows = append(rows, app.Row())
	}
	slices.SortFunc(rows, func(a, b record.App) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Key, b.Key))
	})
	out := make([]herald.AppKey, len(rows))
	for i, row := range rows {
		out[i] = row.Key
	}
	return out
}

// Head says where the log of an app stands.
func (r *Registry) Head(ctx context.Context, key herald.AppKey) (record.Head, error) {
	return r.store.Head(ctx, key)
}

// Row gives the app's row.
func (a *App) Row() record.App {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row
}

// QuietHours gives those of the app; nil if there are none. They must not be
// changed.
func (a *App) QuietHours() *herald.QuietHours {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row.Settings.QuietHours
}

// Devices counts the devices that exist, the removed ones not.
func (a *App) Devices() (n int64) {
	a.Index.View(func(v sets.View) { n = int64(v.Next()) - v.Set(record.DeadSet).Len() })
	return n
}

// CreateApp makes an app with random keys and gives its master secret, which
// is not kept.
func (r *Registry) CreateApp(ctx context.Context, name string) (row record.App, secret string, err error) {
	if err := herald.ValidName("name", name); err != nil {
		return row, "", err
	}
	secret = herald.NewSecret(herald.SecretLen)
	row = record.App{Key: herald.NewAppKey(), Name: name, SecretHash: hashSecret(secret), Created: r.now().UTC(), Settings: record.Settings{Zoned: true}}
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.App = row.Key })
	if err := r.store.CreateApp(ctx, row); err != nil {
		return row, "", err
	}
	_, err = r.loadApp(ctx, row)
	return row, secret, err
}

// RotateApp gives an app a new master secret, and keeps the old one good for a
// while.
func (r *Registry) RotateApp(ctx context.Context, key herald.AppKey, keep time.Duration) (row record.App, secret string, err error) {
	if err := validKeep(keep); err != nil {
		return row, "", err
	}
	secret = herald.NewSecret(herald.SecretLen)
	row, err = r.UpdateApp(ctx, key, func(row *record.App) {
		row.OldHash, row.OldUntil = oldSecret(row.SecretHash, keep, r.now())
		row.SecretHash = hashSecret(secret)
	})
	return row, secret, err
}

// UpdateApp changes an app's row.
func (r *Registry) UpdateApp(ctx context.Context, key herald.AppKey, change func(*record.App)) (record.App, error) {
	app := r.app(key)
	if app == nil {
		return record.App{}, herald.Errorf(herald.CodeNotFound, "herald app list shows the apps of a server.", "there is no app with the key %.24q", string(key))
	}
	app.change.Lock()
	defer app.change.Unlock()
	row := app.Row()
	before := row
	change(&row)
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Changes = record.Changes(before.Told(), row.Told()) })
	if err := r.store.UpdateApp(ctx, row); err != nil {
		return record.App{}, err
	}
	app.mu.Lock()
	app.row, app.useAlias = row, row.Settings.Topics.UseAlias()
	app.mu.Unlock()
	return row, nil
}

// MaxKeys is how many Bearer keys an app may have.
const MaxKeys = 100

// CreateKey makes a Bearer key, of which name, scopes, end and networks are
// given, and gives it whole, which happens only once.
func (r *Registry) CreateKey(ctx context.Context, key herald.AppKey, row record.APIKey) (_ record.APIKey, whole string, err error) {
	app, err := r.App(key)
	if err != nil {
		return row, "", err
	}
	app.change.Lock()
	defer app.change.Unlock()
	app.mu.Lock()
	n := len(app.apiKeys)
	app.mu.Unlock()
	if n >= MaxKeys {
		return row, "", herald.Errorf(herald.CodeLimitReached, "Delete a key that is not used any more.", "an app has at most %d keys", MaxKeys)
	}
	secret := herald.NewSecret(keySecretLen)
	row.App, row.ID, row.Hash, row.Created = key, string(herald.NewAppKey()[:keyIDLen]), hashSecret(secret), r.now().UTC()
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Object, a.Changes = row.ID, record.Changes(struct{}{}, row.Told()) })
	if err := r.store.PutKey(ctx, row); err != nil {
		return row, "", err
	}
	app.mu.Lock()
	app.apiKeys[row.ID] = row
	app.mu.Unlock()
	return row, formatKey(key, row.ID, secret), nil
}

// Keys lists an app's Bearer keys, oldest first.
func (r *Registry) Keys(key herald.AppKey) []record.APIKey {
	app := r.app(key)
	if app == nil {
		return nil
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	out := make([]record.APIKey, 0, len(app.apiKeys))
	for _, k := range app.apiKeys {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b record.APIKey) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// DeleteKey makes a Bearer key invalid at once.
func (r *Registry) DeleteKey(ctx context.Context, key herald.AppKey, id string) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	app.change.Lock()
	defer app.change.Unlock()
	if err := r.store.DeleteKey(ctx, key, id); err != nil {
		return err
	}
	app.mu.Lock()
	delete(app.apiKeys, id)
	app.mu.Unlock()
	return nil
}
