package store

import (
	"context"
	"database/sql"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// BeginErasure notes that a device is to be erased, before anything of it is.
// An alias that was noted before stays noted.
func (db *DB) BeginErasure(ctx context.Context, e record.Erasure) error {
	a, err := db.apps.id(e.App)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO erasing (app, id, ord, alias) VALUES (?, ?, ?, ?)
			ON CONFLICT (app, id) DO UPDATE SET alias = CASE WHEN excluded.alias <> '' THEN excluded.alias ELSE erasing.alias END`, a, string(e.ID), int64(e.Ord), string(e.Alias))
		return err
	})
}

// Erasures lists the devices of an app whose erasure has begun and is not
// finished.
func (db *DB) Erasures(ctx context.Context, app herald.AppKey) ([]record.Erasure, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Erasure
	err = scan(ctx, &db.readers, "SELECT id, ord, alias FROM erasing WHERE app = ? ORDER BY id", []any{a}, func(r *sql.Rows) error {
		e := record.Erasure{App: app}
		err := r.Scan(&e.ID, &e.Ord, &e.Alias)
		out = append(out, e)
		return wrap(err)
	})
	return out, err
}
