package store

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// stored is a device with the number of the recipient that it is bound to.
type stored struct {
	record.Device
	recipient *int64
}

// Register takes the next ordinal for a new installation, or updates the
// device of a known one.
func (db *DB) Register(ctx context.Context, r record.Registration) (record.Device, bool, error) {
	app, err := db.apps.id(r.App)
	if err != nil {
		return record.Device{}, false, err
	}
	var out record.Device
	var isNew, lost bool
	err = db.write(ctx, func(t *tx) error {
		var old *stored
		if r.Installation != nil {
			var err error
			if old, err = t.device(app, r.App, "d.installation = ?", r.Installation); err != nil {
				return err
			}
		}
		var err error
		if isNew = old == nil; isNew {
			out, err = t.newDevice(app, r)
		} else {
			out, err = t.knownDevice(app, *old, r)
		}
		record.AuditOf(ctx).Note(func(a *record.Audit) { a.Object = string(out.ID) })
		if err == nil {
			lost, err = t.setAddresses(app, out.Ord, r.Addresses)
		}
		return err
	})
	db.kinds.noted(app, record.OwnerDevice, lost || err != nil, r.Addresses...)
	return out, isNew && err == nil, err
}

func (t *tx) newDevice(app int64, r record.Registration) (record.Device, error) {
	h, err := t.head(app)
	if err != nil {
		return record.Device{}, err
	}
	if h.NextOrd >= maxOrdinals {
		return record.Device{}, herald.Errorf(herald.CodeLimitReached, "Make a new app and move to it.",
			"the app has had %d devices, more than its ordinals can number", uint64(maxOrdinals))
	}
	d := stored{Device: r.Device}
	if !r.SetAlias {
		d.Alias = ""
	}
	var taken int64
	if used, err := t.row("SELECT 1 FROM device WHERE app = ? AND id = ?", []any{app, string(d.ID)}, &taken); err != nil || used {
		if err == nil {
			err = herald.Errorf(herald.CodeConflict, "Propose another registration ID.", "the registration ID is taken")
		}
		return record.Device{}, err
	}
	d.Ord, d.BoundPos, d.Removed = herald.Ordinal(h.NextOrd), 0, false
	if err := t.checkAlias(app, d.Alias); err != nil {
		return record.Device{}, err
	}
	pos := t.next(h)
	h.NextOrd++
	if d.Alias != "" {
		if err := t.bind(app, h, &d, d.Alias, pos); err != nil {
			return record.Device{}, err
		}
	}
	changes := append(record.ProfileChanges(nil, &d.Device), record.TagChanges(d.Ord, r.AddTags, r.RemoveTags)...)
	if err := t.logSets(app, h, pos, changes, reboundFrom("", d.Alias)...); err != nil {
		return record.Device{}, err
	}
	_, err = t.exec(`INSERT INTO device (app, ord, id, installation, recipient, bound_pos, platform, app_version,
		language, time_zone, attributes, generation, created, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		app, int64(d.Ord), string(d.ID), d.Installation, d.recipient, int64(d.BoundPos), string(d.Platform), d.AppVersion,
		d.Language, d.TimeZone, d.Attributes, int64(d.Generation), millis(d.Created), millis(d.Seen))
	if err == nil {
		err = t.tellDevices(app, record.WebhookDevice{Kind: "registered", Ord: d.Ord, Alias: d.Alias})
	}
	return trimTimes(d.Device), err
}

// knownDevice gives the device of an installation its new profile. What it
// does not name, alias and attributes, stays.
func (t *tx) knownDevice(app int64, old stored, r record.Registration) (record.Device, error) {
	d := old
	d.Platform, d.AppVersion, d.Language, d.TimeZone = r.Platform, r.AppVersion, r.Language, r.TimeZone
	if r.Attributes != nil {
		d.Attributes = r.Attributes
	}
	if r.Seen.After(d.Seen) {
		d.Seen = r.Seen
	}
	alias := d.Alias
	if r.SetAlias {
		alias = r.Alias
	}
	return t.change(app, old, d, alias, r.AddTags, r.RemoveTags)
}

// UpdateDevice changes a device with its sets.
func (db *DB) UpdateDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID, p record.DevicePatch) (record.Device, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return record.Device{}, err
	}
	var out record.Device
	lost := false
	err = db.write(ctx, func(t *tx) error {
		old, err := t.device(a, app, "d.id = ?", string(id))
		if err != nil {
			return err
		}
		if old == nil {
			return noDevice()
		}
		d := *old
		for _, m := range []struct{ to, from *string }{{&d.AppVersion, p.AppVersion}, {&d.Language, p.Language}, {&d.TimeZone, p.TimeZone}} {
			if m.from != nil {
				*m.to = *m.from
			}
		}
		if p.Attributes != nil {
			d.Attributes = p.Attributes
		}
		if p.Revoke {
			d.Generation++
		}
		alias := d.Alias
		if p.Alias != nil {
			alias = *p.Alias
		}
		if out, err = t.change(a, *old, d, alias, p.AddTags, p.RemoveTags); err != nil {
			return err
		}
		lost, err = t.setAddresses(a, out.Ord, p.Addresses)
		return err
	})
	db.kinds.noted(a, record.OwnerDevice, lost || err != nil, p.Addresses...)
	return out, err
}

// change writes a device that exists. It takes a log position only if sets or
// the alias change: one that merely shows up again writes one row.
func (t *tx) change(app int64, old, d stored, alias herald.Alias, add, remove []herald.Tag) (record.Device, error) {
	changes := append(record.ProfileChanges(&old.Device, &d.Device), record.TagChanges(d.Ord, add, remove)...)
	rebound := alias != old.Alias
	if rebound {
		if err := t.checkAlias(app, alias); err != nil {
			return record.Device{}, err
		}
	}
	if rebound || len(changes) > 0 {
		h, err := t.head(app)
		if err != nil {
			return record.Device{}, err
		}
		pos := t.next(h)
		if rebound {
			if err := t.bind(app, h, &d, alias, pos); err != nil {
				return record.Device{}, err
			}
		}
		if err := t.logSets(app, h, pos, changes, reboundFrom(old.Alias, d.Alias)...); err != nil {
			return record.Device{}, err
		}
	}
	_, err := t.exec(`UPDATE device SET recipient = ?, bound_pos = ?, platform = ?, app_version = ?, language = ?,
		time_zone = ?, attributes = ?, generation = ?, seen = ? WHERE app = ? AND ord = ?`,
		d.recipient, int64(d.BoundPos), string(d.Platform), d.AppVersion, d.Language,
		d.TimeZone, d.Attributes, int64(d.Generation), millis(d.Seen), app, int64(d.Ord))
	if err == nil && rebound {
		err = t.tellBound(app, d.Ord, d.Alias)
	}
	return trimTimes(d.Device), err
}

// reboundFrom lists the aliases that have other devices when one device has
// another alias, where "" is none.
func reboundFrom(old, now herald.Alias) (out []herald.Alias) {
	if old == now {
		return nil
	}
	for _, a := range [2]herald.Alias{old, now} {
		if a != "" {
			out = append(out, a)
		}
	}
	return out
}

// checkAlias refuses one more device on an alias that has enough.
func (t *tx) checkAlias(app int64, alias herald.Alias) error {
	if alias == "" {
		return nil
	}
	var n int64
	if _, err := t.row(`SELECT COUNT(*) FROM recipient r JOIN device d ON d.app = r.app AND d.recipient = r.ord
		WHERE r.app = ? AND r.alias = ?`, []any{app, string(alias)}, &n); err != nil {
		return err
	}
	if n >= herald.MaxDevicesByAlias {
		return herald.Errorf(herald.CodeLimitReached, "Unbind a device from the alias first, or use a tag.",
			"the alias is bound to %d devices already", n)
	}
	return nil
}

// bind binds a device to an alias, or to none. The recipient of an alias is
// made when the alias is bound for the first time, and stays.
func (t *tx) bind(app int64, h *head, d *stored, alias herald.Alias, pos herald.Pos) error {
	d.Alias, d.BoundPos, d.recipient = alias, pos, nil
	t.db.bindings.device(app, int64(d.Ord))
	if alias == "" {
		return nil
	}
	ord, _, err := t.recipient(app, h, alias)
	if err != nil {
		return err
	}
	d.recipient = &ord
	return nil
}

// RemoveDevice retires a device. Its row goes; the ordinal stays in the dead
// set, and with its position in removed, as a number that leads to nobody.
func (db *DB) RemoveDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (record.Device, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return record.Device{}, err
	}
	var out record.Device
	err = db.write(ctx, func(t *tx) error {
		old, err := t.device(a, app, "d.id = ?", string(id))
		if err != nil {
			return err
		}
		if old == nil {
			return noDevice()
		}
		h, err := t.head(a)
		if err != nil {
			return err
		}
		out = old.Device
		out.BoundPos = t.next(h)
		if err := t.logSets(a, h, out.BoundPos, []record.SetChange{{Set: record.DeadSet, Ords: sets.New(old.Ord)}}, reboundFrom(old.Alias, "")...); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO removed (app, pos, ord) VALUES (?, ?, ?)", a, int64(out.BoundPos), int64(old.Ord)); err != nil {
			return err
		}
		db.bindings.device(a, int64(old.Ord))
		if err := t.tellDevices(a, record.WebhookDevice{Kind: "removed", Ord: old.Ord, ID: old.ID, Alias: old.Alias}); err != nil {
			return err
		}
		return t.securely(func() error {
			if err := t.endTopicSessions(a, old.Ord); err != nil {
				return err
			}
			if err := t.orphanAddresses(a, old.Ord); err != nil {
				return err
			}
			_, err := t.exec("DELETE FROM device WHERE app = ? AND ord = ?", a, int64(old.Ord))
			return err
		})
	})
	db.kinds.forget(a, record.OwnerDevice)
	return out, err
}

// touchedInSlice is how many devices one operation of Touch writes.
const touchedInSlice = 500

// Touch notes that devices were here. The times are written first, slice by
// slice; the sets and the log position come with the last slice, so that a
// call that fails can be repeated.
func (db *DB) Touch(ctx context.Context, app herald.AppKey, ords *sets.Set, at time.Time) error {
	a, err := db.apps.id(app)
	if err != nil || ords.Empty() {
		return err
	}
	changes := []record.SetChange{{Set: record.SeenSet(at), Ords: ords.Clone()}}
	left := ords.Len()
	for part := range slices.Chunk(ords.Ordinals(), touchedInSlice) {
		left -= int64(len(part))
		err := db.write(ctx, func(t *tx) error {
			for _, o := range part {
				if _, err := t.exec("UPDATE device SET seen = ? WHERE app = ? AND ord = ? AND seen < ?",
					millis(at), a, int64(o), millis(at)); err != nil {
					return err
				}
			}
			if left > 0 {
				return nil
			}
			h, err := t.head(a)
			if err != nil {
				return err
			}
			return t.logSets(a, h, t.next(h), changes)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ChangeSets writes set changes at the next log position.
func (db *DB) ChangeSets(ctx context.Context, app herald.AppKey, changes []record.SetChange) (herald.Pos, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	// The change outlives the call in OnSets, so that it must not be the
	// caller's slice.
	changes = slices.Clone(changes)
	var pos herald.Pos
	err = db.write(ctx, func(t *tx) error {
		h, err := t.head(a)
		if err != nil {
			return err
		}
		pos = t.next(h)
		return t.logSets(a, h, pos, changes)
	})
	if err != nil {
		return 0, err
	}
	return pos, nil
}

func noDevice() error {
	return notFound("device", "Register it again: it was removed, or the registration ID is of another app.")
}

// trimTimes gives a device the times that reading it again would give.
func trimTimes(d record.Device) record.Device {
	d.Created, d.Seen = fromMillis(millis(d.Created)), fromMillis(millis(d.Seen))
	return d
}
