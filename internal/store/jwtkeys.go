package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// JWTKeys lists the keys of all apps that check JWTs of devices, by app and ID.
func (db *DB) JWTKeys(ctx context.Context) ([]record.JWTKey, error) {
	var out []record.JWTKey
	err := scan(ctx, &db.readers, "SELECT app, id, data, crc FROM jwt_key ORDER BY app, id", nil, func(r *sql.Rows) error {
		var k record.JWTKey
		var app, crc int64
		var b sql.RawBytes
		if err := r.Scan(&app, &k.ID, &b, &crc); err != nil {
			return wrap(err)
		}
		k.App = db.apps.keyOf(app)
		if err := parseJWTKey(&k, b, crc); err != nil {
			return err
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

func parseJWTKey(k *record.JWTKey, b []byte, crc int64) error {
	return parseRow(b, crc, k, func() string { return "jwt_key " + k.ID })
}

// CreateJWTKey writes a key.
func (db *DB) CreateJWTKey(ctx context.Context, k record.JWTKey) error {
	app, err := db.apps.id(k.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("store: writing a key for JWTs: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO jwt_key (app, id, data, crc) VALUES (?, ?, ?, ?)", app, k.ID, b, checksum(b))
		return err
	})
}

// DeleteJWTKey removes a key; not_found if there is none.
func (db *DB) DeleteJWTKey(ctx context.Context, app herald.AppKey, id string) error {
	return db.deleteNamed(ctx, app, "jwt_key", "id", id, func() error { return notFound("key for JWTs", "GET /v1/jwt_keys lists the keys of the app.") })
}
