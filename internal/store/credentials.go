package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func noCredential() error {
	return notFound("credential", "GET /v1/credentials lists the credentials of the app.")
}

// Credentials lists the credentials of all apps, by app and ID.
func (db *DB) Credentials(ctx context.Context) ([]record.Credential, error) {
	var out []record.Credential
	err := scan(ctx, &db.readers, "SELECT app, id, data, crc FROM credential ORDER BY app, id", nil, func(r *sql.Rows) error {
		var c record.Credential
		var app, crc int64
		var b sql.RawBytes
		if err := r.Scan(&app, &c.ID, &b, &crc); err != nil {
			return wrap(err)
		}
		c.App = db.apps.keyOf(app)
		if err := parseCredential(&c, b, crc); err != nil {
			return err
		}
		out = append(out, c)
		return nil
	})
	return out, err
}

func parseCredential(c *record.Credential, b []byte, crc int64) error {
	return parseRow(b, crc, c, func() string { return "credential " + c.ID })
}

// CreateCredential writes a credential, unless its app has as many as it may, or
// one with the same vendor, environment and name.
func (db *DB) CreateCredential(ctx context.Context, c record.Credential, most int) error {
	app, err := db.apps.id(c.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: writing a credential: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		var n int64
		var other string
		if _, err := t.row("SELECT COUNT(*) FROM credential WHERE app = ?", []any{app}, &n); err != nil {
			return err
		}
		if n >= int64(most) {
			return herald.Errorf(herald.CodeLimitReached, "Delete a credential that is not used any more.", "an app has at most %d credentials", most)
		}
		taken, err := t.row("SELECT id FROM credential WHERE app = ? AND vendor = ? AND environment = ? AND name = ?",
			[]any{app, string(c.Vendor), c.Environment, c.Name}, &other)
		if err != nil {
			return err
		}
		if taken {
			return herald.Errorf(herald.CodeConflict, "Change that one, or give this one another name.", "the app has a credential with this vendor, environment and name: %s", other)
		}
		_, err = t.exec("INSERT INTO credential (app, id, vendor, environment, name, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
			app, c.ID, string(c.Vendor), c.Environment, c.Name, b, checksum(b))
		return err
	})
}

// UpdateCredential changes a credential, but not its vendor, environment and
// name. change may be called twice.
func (db *DB) UpdateCredential(ctx context.Context, app herald.AppKey, id string, change func(*record.Credential) error) (out record.Credential, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return out, err
	}
	err = db.write(ctx, func(t *tx) error {
		out = record.Credential{App: app, ID: id}
		var b []byte
		var crc int64
		ok, err := t.row("SELECT data, crc FROM credential WHERE app = ? AND id = ?", []any{a, id}, &b, &crc)
		if err != nil {
			return err
		}
		if !ok {
			return noCredential()
		}
		if err := parseCredential(&out, b, crc); err != nil {
			return err
		}
		if err := change(&out); err != nil {
			return err
		}
		if b, err = json.Marshal(out); err != nil {
			return fmt.Errorf("store: writing a credential: %w", err)
		}
		_, err = t.exec("UPDATE credential SET data = ?, crc = ? WHERE app = ? AND id = ?", b, checksum(b), a, id)
		return err
	})
	return out, err
}

// DeleteCredential removes a credential; not_found if there is none.
func (db *DB) DeleteCredential(ctx context.Context, app herald.AppKey, id string) error {
	return db.deleteNamed(ctx, app, "credential", "id", id, noCredential)
}
