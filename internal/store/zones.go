package store

import (
	"context"
	"database/sql"

	"github.com/herald-push/herald"
)

// DeviceZones walks the devices that name a time zone. each must not call the
// database.
func (db *DB) DeviceZones(ctx context.Context, app herald.AppKey, each func(o herald.Ordinal, zone string)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, &db.readers, "SELECT ord, time_zone FROM device WHERE app = ? AND time_zone <> ''", []any{a}, func(r *sql.Rows) error {
		var o herald.Ordinal
		var zone string
		err := r.Scan(&o, &zone)
		if err == nil {
			each(o, zone)
		}
		return wrap(err)
	})
}
