package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Routes lists the named routes of all apps, by app and name.
func (db *DB) Routes(ctx context.Context) ([]record.NamedRoute, error) {
	var out []record.NamedRoute
	err := scan(ctx, &db.readers, "SELECT app, name, data, crc FROM route ORDER BY app, name", nil, func(rows *sql.Rows) error {
		var r record.NamedRoute
		var app, crc int64
		var b []byte
		if err := rows.Scan(&app, &r.Name, &b, &crc); err != nil {
			return wrap(err)
		}
		r.App = db.apps.keyOf(app)
		out = append(out, r)
		return parseRow(b, crc, &out[len(out)-1], func() string { return fmt.Sprintf("route %q", r.Name) })
	})
	return out, err
}

// PutRoute writes a route: a new one, or one that has changed.
func (db *DB) PutRoute(ctx context.Context, r record.NamedRoute) error {
	app, err := db.apps.id(r.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store: writing a route: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO route (app, name, data, crc) VALUES (?, ?, ?, ?)
			ON CONFLICT (app, name) DO UPDATE SET data = excluded.data, crc = excluded.crc`, app, r.Name, b, checksum(b))
		return err
	})
}

// DeleteRoute removes a route; not_found if there is none.
func (db *DB) DeleteRoute(ctx context.Context, app herald.AppKey, name string) error {
	return db.deleteNamed(ctx, app, "route", "name", name, func() error { return notFound("route", "GET /v1/routes lists the routes of the app.") })
}
