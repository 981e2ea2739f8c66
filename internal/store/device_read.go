package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const deviceColumns = `d.ord, d.id, d.installation, d.recipient, COALESCE(r.alias, ''), ABS(d.bound_pos), d.platform,
	d.app_version, d.language, d.time_zone, d.attributes, d.generation, d.created, d.seen`

const deviceFrom = " FROM device d LEFT JOIN recipient r ON r.app = d.app AND r.ord = d.recipient WHERE d.app = ? AND "

// ofAlias keeps the devices of an alias, which are few. As a list of ordinals
// they come from an index alone; a plain join walks all devices of the app.
const ofAlias = ` AND d.ord IN (SELECT x.ord FROM recipient y JOIN device x ON x.app = y.app AND x.recipient = y.ord
	WHERE y.app = ? AND y.alias = ?)`

// scanDevice reads deviceColumns.
func scanDevice(app herald.AppKey, scan func(...any) error) (stored, error) {
	d := stored{Device: record.Device{App: app}}
	var created, seen int64
	err := scan(&d.Ord, &d.ID, &d.Installation, &d.recipient, &d.Alias, &d.BoundPos, &d.Platform,
		&d.AppVersion, &d.Language, &d.TimeZone, &d.Attributes, &d.Generation, &created, &seen)
	d.Created, d.Seen = fromMillis(created), fromMillis(seen)
	return d, err
}

// device reads one device inside a commit; nil if there is none.
func (t *tx) device(app int64, key herald.AppKey, where string, arg any) (*stored, error) {
	s, err := t.stmt("SELECT " + deviceColumns + deviceFrom + where)
	if err != nil {
		return nil, err
	}
	d, err := scanDevice(key, s.QueryRowContext(context.Background(), app, arg).Scan)
	if ok, err := found(err); !ok {
		return nil, err
	}
	return &d, nil
}

// Device finds a device by its registration ID.
func (db *DB) Device(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (record.Device, error) {
	return db.oneDevice(ctx, app, "d.id = ?", string(id))
}

// DeviceByInstallation finds a device by the hash of its installation ID.
func (db *DB) DeviceByInstallation(ctx context.Context, app herald.AppKey, hash []byte) (record.Device, error) {
	return db.oneDevice(ctx, app, "d.installation = ?", blob(hash))
}

func (db *DB) oneDevice(ctx context.Context, app herald.AppKey, where string, arg any) (record.Device, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return record.Device{}, err
	}
	d, err := scanDevice(app, db.readers.QueryRowContext(ctx, "SELECT "+deviceColumns+deviceFrom+where, a, arg).Scan)
	if ok, err := found(err); err != nil {
		return record.Device{}, wrap(err)
	} else if !ok {
		return record.Device{}, noDevice()
	}
	return d.Device, nil
}

// Removed walks the devices that were removed, by the position at which they
// were. each must not call the database.
func (db *DB) Removed(ctx context.Context, app herald.AppKey, each func(herald.Ordinal, herald.Pos) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, &db.readers, "SELECT ord, pos FROM removed WHERE app = ? ORDER BY pos", []any{a}, func(r *sql.Rows) error {
		var o herald.Ordinal
		var pos herald.Pos
		if err := r.Scan(&o, &pos); err != nil {
			return wrap(err)
		}
		return each(o, pos)
	})
}

// Devices lists devices by ascending ordinal.
func (db *DB) Devices(ctx context.Context, app herald.AppKey, f record.DeviceFilter, from herald.Ordinal, limit int) ([]record.Device, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	where, args := "d.ord >= ?", []any{a, int64(from)}
	if f.Alias != "" {
		where += ofAlias
		args = append(args, a, string(f.Alias))
	}
	if f.Platform != "" {
		where += " AND d.platform = ?"
		args = append(args, string(f.Platform))
	}
	if f.Within == nil {
		return db.devices(ctx, app, where, args, limit)
	}
	var out []record.Device
	i, _ := slices.BinarySearch(f.Within, from)
	for part := range slices.Chunk(f.Within[i:], inSlice) {
		if len(out) >= limit {
			break
		}
		all := slices.Clone(args)
		for _, o := range part {
			all = append(all, int64(o))
		}
		more, err := db.devices(ctx, app, where+" AND d.ord IN ("+in(len(part))+")", all, limit-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func (db *DB) devices(ctx context.Context, app herald.AppKey, where string, args []any, limit int) ([]record.Device, error) {
	var out []record.Device
	err := scan(ctx, &db.readers, "SELECT "+deviceColumns+deviceFrom+where+" ORDER BY d.ord LIMIT ?", append(args, limit),
		func(r *sql.Rows) error {
			d, err := scanDevice(app, r.Scan)
			out = append(out, d.Device)
			return wrap(err)
		})
	return out, err
}

// OrdinalsByID finds the ordinals of registration IDs.
func (db *DB) OrdinalsByID(ctx context.Context, app herald.AppKey, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error) {
	if 0 < len(ids) && len(ids) <= fewIDs {
		a, err := db.apps.id(app)
		if err != nil {
			return nil, err
		}
		return db.lookups.ordinals(ctx, a, ids)
	}
	out := make(map[herald.RegistrationID]herald.Ordinal, len(ids))
	err := byName(ctx, db, app, ids, "SELECT id, ord FROM device WHERE app = ? AND id IN (%s)",
		func(id herald.RegistrationID, o herald.Ordinal) { out[id] = o })
	return out, err
}

// OrdinalsByAlias finds the devices bound to aliases, ascending.
func (db *DB) OrdinalsByAlias(ctx context.Context, app herald.AppKey, aliases []herald.Alias) (map[herald.Alias][]herald.Ordinal, error) {
	out := make(map[herald.Alias][]herald.Ordinal, len(aliases))
	// An alias that is asked for twice must not count its devices twice.
	aliases = slices.Compact(slices.Sorted(slices.Values(aliases)))
	err := byName(ctx, db, app, aliases, `SELECT r.alias, d.ord FROM recipient r JOIN device d ON d.app = r.app AND d.recipient = r.ord
		WHERE r.app = ? AND r.alias IN (%s) ORDER BY r.alias, d.ord`,
		func(a herald.Alias, o herald.Ordinal) { out[a] = append(out[a], o) })
	return out, err
}

// byName runs a query of names and ordinals for slices of names, on one
// snapshot.
func byName[S ~string](ctx context.Context, db *DB, app herald.AppKey, names []S, q string, each func(S, herald.Ordinal)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.readers.view(ctx, func(tx *snapshot) error {
		for part := range slices.Chunk(names, inSlice) {
			args := []any{a}
			for _, n := range part {
				args = append(args, string(n))
			}
			err := scan(ctx, tx, fmt.Sprintf(strings.TrimSpace(q), in(len(part))), args, func(r *sql.Rows) error {
				var n S
				var o herald.Ordinal
				if err := r.Scan(&n, &o); err != nil {
					return wrap(err)
				}
				each(n, o)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
