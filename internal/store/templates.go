package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const templateColumns = "name, version, data, crc, created, updated"

func scanTemplate(dest func(...any) error) (t record.Template, err error) {
	var b []byte
	var crc, created, updated int64
	if err := dest(&t.Name, &t.Version, &b, &crc, &created, &updated); err != nil {
		return t, err
	}
	t.Created, t.Updated = fromMillis(created), fromMillis(updated)
	return t, parseRow(b, crc, &t, func() string { return fmt.Sprintf("template %q", t.Name) })
}

func noTemplate(name string) error {
	return herald.Errorf(herald.CodeNotFound, "GET /v1/templates lists the templates of the app.", "there is no template %.140q", name)
}

// PutTemplate writes a template under its name. If it says the same as before
// nothing is written; else its version is one more. It gives the template as it
// is now, and whether the name is new. An app with as many as most takes no new
// one.
func (db *DB) PutTemplate(ctx context.Context, app herald.AppKey, n record.Template, most int) (t record.Template, created bool, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return t, false, err
	}
	b, err := json.Marshal(n)
	if err != nil {
		return t, false, fmt.Errorf("store: writing a template: %w", err)
	}
	err = db.write(ctx, func(x *tx) error {
		t, created = n, false
		var old []byte
		var version, made, changed, count int64
		there, err := x.row("SELECT version, data, created, updated FROM template WHERE app = ? AND name = ?", []any{a, n.Name}, &version, &old, &made, &changed)
		if err != nil {
			return err
		}
		if !there {
			if _, err := x.row("SELECT COUNT(*) FROM template WHERE app = ?", []any{a}, &count); err != nil {
				return err
			}
			if count >= int64(most) {
				return herald.Errorf(herald.CodeLimitReached, "Delete templates that are not used any more.", "an app has at most %d templates", most)
			}
			t.Version, created = 1, true
			_, err := x.exec("INSERT INTO template (app, "+templateColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
				a, n.Name, t.Version, b, checksum(b), millis(n.Created), millis(n.Updated))
			return err
		}
		t.Version, t.Created = version, fromMillis(made)
		if bytes.Equal(old, b) {
			t.Updated = fromMillis(changed)
			return nil
		}
		t.Version++
		_, err = x.exec("UPDATE template SET version = ?, data = ?, crc = ?, updated = ? WHERE app = ? AND name = ?", t.Version, b, checksum(b), millis(n.Updated), a, n.Name)
		return err
	})
	return t, created, err
}

// DeleteTemplate removes a template; not_found if there is none.
func (db *DB) DeleteTemplate(ctx context.Context, app herald.AppKey, name string) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var one int64
		ok, err := t.row("SELECT 1 FROM template WHERE app = ? AND name = ?", []any{a, name}, &one)
		if err != nil {
			return err
		}
		if !ok {
			return noTemplate(name)
		}
		_, err = t.exec("DELETE FROM template WHERE app = ? AND name = ?", a, name)
		return err
	})
}

// Template finds a template; not_found if there is none.
func (db *DB) Template(ctx context.Context, app herald.AppKey, name string) (record.Template, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return record.Template{}, err
	}
	t, err := scanTemplate(db.readers.QueryRowContext(ctx, "SELECT "+templateColumns+" FROM template WHERE app = ? AND name = ?", a, name).Scan)
	if ok, err := found(err); err != nil {
		return t, wrap(err)
	} else if !ok {
		return t, noTemplate(name)
	}
	return t, nil
}

// Templates lists the templates whose names come after one, in byte order, at
// most limit.
func (db *DB) Templates(ctx context.Context, app herald.AppKey, after string, limit int) ([]record.Template, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Template
	err = scan(ctx, &db.readers, "SELECT "+templateColumns+" FROM template WHERE app = ? AND name > ? ORDER BY name LIMIT ?",
		[]any{a, after, limit}, func(r *sql.Rows) error {
			t, err := scanTemplate(r.Scan)
			out = append(out, t)
			return wrap(err)
		})
	return out, err
}
