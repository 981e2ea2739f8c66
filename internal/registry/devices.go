package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// RegisterRequest asks for a device.
type RegisterRequest struct {
	App          herald.AppKey
	Installation string // "" makes a new device each time
	Platform     herald.Platform
	AppVersion   string
	Language     string
	TimeZone     string
	Alias        *herald.Alias // nil keeps what a known device has
	Tags         []herald.Tag  // added to those it has
	Attributes   []byte
	Addresses    []record.Address // see record.Registration
}

// InstallationHash is what the record keeps of an installation ID; nil for
// none.
func InstallationHash(installation string) []byte { return installationHash(installation) }

func installationHash(installation string) []byte {
	if installation == "" {
		return nil
	}
	h := sha256.Sum256([]byte("herald installation " + installation))
	return h[:]
}

// Register makes a device, or finds the one of a known installation and
// updates it. It gives the device, its token, and whether it is new.
func (r *Registry) Register(ctx context.Context, q RegisterRequest) (d record.Device, token string, created bool, err error) {
	app, err := r.App(q.App)
	if err != nil {
		return d, "", false, err
	}
	if err := r.roomForTags(ctx, app, q); err != nil {
		return d, "", false, err
	}
	now := r.now().UTC()
	reg := record.Registration{AddTags: q.Tags, Addresses: q.Addresses, Device: record.Device{
		App: q.App, ID: herald.NewRegistrationID(now), Installation: installationHash(q.Installation),
		Platform: q.Platform, AppVersion: q.AppVersion, Language: q.Language, TimeZone: q.TimeZone,
		Attributes: q.Attributes, Created: now, Seen: now,
	}}
	if q.Alias != nil {
		reg.SetAlias, reg.Alias = true, *q.Alias
	}
	d, created, err = r.store.Register(ctx, reg)
	if err != nil {
		if q.Alias != nil {
			app.unsure(err)
		}
		return d, "", false, err
	}
	if q.Alias != nil && !created {
		app.noteBind(sets.New(d.Ord), d.BoundPos, now)
	}
	app.sawNow(d.Ord)
	return d, app.token(d), created, nil
}

// roomForTags refuses a registration after which the device would have too
// many tags. A known installation keeps those that it has.
func (r *Registry) roomForTags(ctx context.Context, app *App, q RegisterRequest) error {
	if len(q.Tags) == 0 {
		return nil
	}
	var has []herald.Tag
	if q.Installation != "" {
		switch d, err := r.Installation(ctx, q.App, q.Installation); {
		case err == nil:
			has = app.TagsOf(d.Ord)
		case herald.CodeOf(err) != herald.CodeNotFound:
			return err
		}
	}
	return tagLimit(has, q.Tags, nil)
}

func (a *App) token(d record.Device) string {
	return a.keys.deviceToken(deviceClaims{d.App, a.Epoch, d.ID, d.Ord, d.Generation})
}

// Installation finds the device of an installation by registering nothing; it
// is not_found if the installation is unknown.
func (r *Registry) Installation(ctx context.Context, key herald.AppKey, installation string) (record.Device, error) {
	return r.store.DeviceByInstallation(ctx, key, installationHash(installation))
}

// Device finds a device by its registration ID.
func (r *Registry) Device(ctx context.Context, key herald.AppKey, id herald.RegistrationID) (record.Device, error) {
	if !id.Valid() {
		return record.Device{}, herald.Errorf(herald.CodeNotFound, "Use the registration_id that POST /v1/devices answered.", "there is no device with the registration ID %.24q", string(id))
	}
	return r.store.Device(ctx, key, id)
}

// Devices lists devices from an ordinal on.
func (r *Registry) Devices(ctx context.Context, key herald.AppKey, f record.DeviceFilter, from herald.Ordinal, limit int) ([]record.Device, error) {
	return r.store.Devices(ctx, key, f, from, limit)
}

// Update changes a device.
func (r *Registry) Update(ctx context.Context, key herald.AppKey, id herald.RegistrationID, p record.DevicePatch) (record.Device, error) {
	app, err := r.App(key)
	if err != nil {
		return record.Device{}, err
	}
	old, err := r.Device(ctx, key, id)
	if err != nil {
		return record.Device{}, err
	}
	if len(p.AddTags) > 0 {
		if err := tagLimit(app.TagsOf(old.Ord), p.AddTags, p.RemoveTags); err != nil {
			return record.Device{}, err
		}
	}
	if p.Revoke {
		// In this order a crash between the two costs a needless read, where
		// the other order would leave a revoked token valid.
		change := record.SetChange{Set: RaisedSet, Ords: sets.New(old.Ord)}
		if _, err := r.store.ChangeSets(ctx, key, []record.SetChange{change}); err != nil {
			return record.Device{}, err
		}
	}
	d, err := r.store.UpdateDevice(ctx, key, id, p)
	switch {
	case p.Alias == nil:
	case err == nil:
		app.noteBind(sets.New(d.Ord), d.BoundPos, r.now())
	default:
		app.unsure(err)
	}
	return d, err
}

// Remove retires a device. It stays in the sets that it is in, as a dead bit.
func (r *Registry) Remove(ctx context.Context, key herald.AppKey, id herald.RegistrationID) (record.Device, error) {
	if !id.Valid() {
		return r.Device(ctx, key, id)
	}
	return r.store.RemoveDevice(ctx, key, id)
}

// tagLimit refuses what would take a device over herald.MaxTagsPerDevice. As
// in the record, tags are removed before others are added.
func tagLimit(has, add, remove []herald.Tag) error {
	known := make(map[herald.Tag]bool, len(has)+len(add))
	for _, t := range has {
		known[t] = true
	}
	for _, t := range remove {
		delete(known, t)
	}
	for _, t := range add {
		known[t] = true
	}
	if len(known) > herald.MaxTagsPerDevice {
		return errTooManyTags()
	}
	return nil
}

func errTooManyTags() error {
	return herald.Errorf(herald.CodeLimitReached, "Remove tags that are not used any more.", "a device has at most %d tags", herald.MaxTagsPerDevice)
}

// roomForTag refuses a tag for devices of which one has as many as it may.
func (a *App) roomForTag(t herald.Tag, add *sets.Set) (err error) {
	name := record.TagSet(t)
	a.Index.View(func(v sets.View) {
		for o := range add.All() {
			// The bound is enough for nearly everybody, and costs nothing.
			if v.MaxNames(o) < herald.MaxTagsPerDevice || v.Has(name, o) {
				continue
			}
			if len(v.NamesOf(o, record.TagSet(""))) >= herald.MaxTagsPerDevice {
				err = errTooManyTags()
				return
			}
		}
	})
	return err
}

// TagsOf lists the tags of a device, in byte order.
func (a *App) TagsOf(o herald.Ordinal) []herald.Tag {
	out := []herald.Tag{}
	a.Index.View(func(v sets.View) {
		for _, name := range v.NamesOf(o, record.TagSet("")) {
			t, _ := record.TagOf(name)
			out = append(out, t)
		}
	})
	return out
}

// ChangeTag puts a tag on devices and takes it off others, in one commit.
func (r *Registry) ChangeTag(ctx context.Context, key herald.AppKey, t herald.Tag, add, remove *sets.Set) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	if !add.Empty() {
		if err := app.roomForTag(t, add); err != nil {
			return err
		}
	}
	var changes []record.SetChange
	if !remove.Empty() {
		changes = append(changes, record.SetChange{Set: record.TagSet(t), Remove: true, Ords: remove})
	}
	if !add.Empty() {
		changes = append(changes, record.SetChange{Set: record.TagSet(t), Ords: add})
	}
	if changes == nil {
		return nil
	}
	_, err = r.store.ChangeSets(ctx, key, changes)
	return err
}

// Ordinals finds devices by registration ID; those that nobody has are absent.
func (r *Registry) Ordinals(ctx context.Context, key herald.AppKey, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	app, err := r.App(key)
	if err != nil {
		return nil, err
	}
	return r.ordinals(ctx, app, key, ids)
}

// OrdinalsByAlias finds the devices bound to aliases; aliases with none are
// absent.
func (r *Registry) OrdinalsByAlias(ctx context.Context, key herald.AppKey, aliases []herald.Alias) (map[herald.Alias][]herald.Ordinal, error) {
	if len(aliases) == 0 {
		return nil, nil
	}
	app, err := r.App(key)
	if err != nil {
		return nil, err
	}
	return r.ordinalsByAlias(ctx, app, key, aliases)
}

// fewBinds is how many devices of one commit are remembered one by one.
const fewBinds = 100

// noteBind remembers a change of aliases.
func (a *App) noteBind(ords *sets.Set, pos herald.Pos, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := recentBind{pos, now}
	a.binding = max(a.binding, pos)
	if ords.Len() > fewBinds {
		a.rebound = append(a.rebound, manyBinds{b, ords})
		return
	}
	for o := range ords.All() {
		// Two changes may be noted in another order than they were made in.
		if pos >= a.bound[o].pos {
			a.bound[o] = b
		}
	}
}

// noPos is above every log position.
const noPos = ^herald.Pos(0)

// unsure takes the error of a change of an alias: it may have been made all the
// same, and is not noted then. What is in memory is not taken for whole any more,
// until [Registry.Sure].
func (a *App) unsure(err error) {
	if herald.CodeOf(err) != herald.CodeStorageUnavailable {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = noPos
	a.unsures++
}

// Sure says that of every change whose answer was an error until now the record
// knows whether it was made. It is for after a commit, which comes behind them.
func (r *Registry) Sure(ctx context.Context, key herald.AppKey) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	app.mu.Lock()
	unsures := app.unsures
	app.mu.Unlock()
	head, err := r.store.Head(ctx, key)
	if err != nil {
		return err
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.whole == noPos && app.unsures == unsures {
		app.whole = head.Pos // what comes after it is noted
	}
	return nil
}

// boundLately gives the position of the last change of a device's alias, if it
// was in the last minutes; else 0.
func (a *App) boundLately(o herald.Ordinal) herald.Pos {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lastBind(o)
}

// lastBind is boundLately with a.mu held.
func (a *App) lastBind(o herald.Ordinal) herald.Pos {
	last := a.bound[o].pos
	for _, b := range a.rebound {
		if b.pos > last && b.ords.Contains(o) {
			last = b.pos
		}
	}
	return last
}

func (a *App) sawNow(o herald.Ordinal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen.Add(o)
}

// JustSeen gives the devices that were seen and are not in the sets of days
// yet: since the last Flush, or while one is writing them.
func (a *App) JustSeen() *sets.Set {
	a.mu.Lock()
	defer a.mu.Unlock()
	return sets.Union(a.seen, a.leaving)
}

// Seen notes that a device is here. It is written with the next Flush.
func (r *Registry) Seen(key herald.AppKey, o herald.Ordinal) {
	if app := r.app(key); app != nil {
		app.sawNow(o)
	}
}

// Flush writes who was seen since the last time, and folds the log of set
// changes into chunks. Call it about every minute, and before closing.
func (r *Registry) Flush(ctx context.Context) error {
	var errs []error
	for _, key := range r.Apps() {
		if app := r.app(key); app != nil {
			errs = append(errs, r.flush(ctx, key, app))
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) flush(ctx context.Context, key herald.AppKey, app *App) error {
	app.flushing.Lock()
	defer app.flushing.Unlock()
	now := r.now().UTC()
	if err := r.writeSeen(ctx, key, app, now); err != nil {
		return err
	}
	if err := r.forgetDays(ctx, key, app, now); err != nil {
		return err
	}
	return r.fold(ctx, key, app)
}

// foldedAtOnce is how many parts of sets are copied at a time, so that a fold
// of many does not hold them all.
const foldedAtOnce = 4096

// fold writes the parts of sets that have changed, and then drops the log that
// led to them. If that fails in between, the log is still there.
func (r *Registry) fold(ctx context.Context, key herald.AppKey, app *App) error {
	upto, parts := app.Index.BeginFold()
	if len(parts) == 0 {
		return nil
	}
	late, err := r.foldParts(ctx, key, app.Index, parts)
	if err == nil && !late {
		err = r.store.FoldSets(ctx, key, upto, nil)
	}
	if err != nil {
		app.Index.Mark(parts)
	}
	return err
}

func (r *Registry) foldParts(ctx context.Context, key herald.AppKey, x *sets.Index, parts []sets.Part) (late bool, err error) {
	var empty []sets.Part
	for some := range slices.Chunk(parts, foldedAtOnce) {
		pos, bits := x.Bits(some)
		chunks := make([]record.SetChunk, 0, len(some))
		for i, p := range some {
			if bits[i].Empty() {
				empty = append(empty, p)
				continue
			}
			bits[i].Optimize()
			chunks = append(chunks, record.SetChunk{Set: p.Set, Slab: p.Slab, Whole: p.Whole, Upto: pos, Bits: bits[i]})
		}
		if err := r.store.FoldSets(ctx, key, 0, chunks); err != nil {
			return false, err
		}
	}
	gone, late := x.Gone(empty)
	chunks := make([]record.SetChunk, 0, len(gone))
	for _, p := range gone {
		chunks = append(chunks, record.SetChunk{Set: p.Set, Slab: p.Slab, Whole: p.Whole})
	}
	return late, r.store.FoldSets(ctx, key, 0, chunks)
}

// writeSeen moves who was seen from memory to the set of the day. Meanwhile
// they stay in JustSeen. It also forgets old changes of aliases.
func (r *Registry) writeSeen(ctx context.Context, key herald.AppKey, app *App, now time.Time) error {
	app.mu.Lock()
	seen := app.seen
	app.seen, app.leaving = sets.New(), seen
	old := func(b recentBind) bool {
		if now.Sub(b.at) <= bindMemory {
			return false
		}
		app.whole = max(app.whole, b.pos)
		return true
	}
	maps.DeleteFunc(app.bound, func(_ herald.Ordinal, b recentBind) bool { return old(b) })
	app.rebound = slices.DeleteFunc(app.rebound, func(b manyBinds) bool { return old(b.recentBind) })
	app.mu.Unlock()
	if seen.Empty() {
		return nil
	}
	err := r.store.Touch(ctx, key, seen, now)
	app.mu.Lock()
	defer app.mu.Unlock()
	if err != nil {
		app.seen.Or(seen)
	}
	app.leaving = sets.New()
	return err
}

// forgetDays drops the activity sets of days that no tier reaches any more.
func (r *Registry) forgetDays(ctx context.Context, key herald.AppKey, app *App, now time.Time) error {
	oldest := record.SeenSet(now.AddDate(0, 0, -maxActiveDays-1))
	var past []string
	for _, name := range app.Index.NamesAfter("seen:", "", 2*maxActiveDays) {
		if name < oldest {
			past = append(past, name)
		}
	}
	if past == nil {
		return nil
	}
	var changes []record.SetChange
	v := app.Index.Snapshot(past)
	for _, name := range past {
		changes = append(changes, record.SetChange{Set: name, Remove: true, Ords: v.Set(name)})
	}
	_, err := r.store.ChangeSets(ctx, key, changes)
	return err
}

const maxActiveDays = 30
