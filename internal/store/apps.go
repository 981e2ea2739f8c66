package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func (db *DB) loadApps(ctx context.Context) error {
	return scan(ctx, &db.readers, "SELECT id, app_key FROM app", nil, func(r *sql.Rows) error {
		var id int64
		var key herald.AppKey
		if err := r.Scan(&id, &key); err != nil {
			return wrap(err)
		}
		db.apps.add(key, id)
		return nil
	})
}

// Apps lists every app, oldest first.
func (db *DB) Apps(ctx context.Context) ([]record.App, error) {
	var out []record.App
	err := scan(ctx, &db.readers, "SELECT app_key, name, secret_hash, created, settings, old_hash, old_until FROM app ORDER BY id", nil,
		func(r *sql.Rows) error {
			var a record.App
			var created, until int64
			var settings []byte
			if err := r.Scan(&a.Key, &a.Name, &a.SecretHash, &created, &settings, &a.OldHash, &until); err != nil {
				return wrap(err)
			}
			if err := json.Unmarshal(settings, &a.Settings); err != nil {
				return damaged("app "+string(a.Key), err)
			}
			a.Created, a.OldUntil = fromMillis(created), fromMillis(until)
			out = append(out, a)
			return nil
		})
	return out, err
}

// CreateApp writes an app and the head of its log.
func (db *DB) CreateApp(ctx context.Context, a record.App) error {
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return fmt.Errorf("store: writing the settings of an app: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		var last int64
		taken, err := t.row("SELECT id FROM app WHERE app_key = ?", []any{string(a.Key)}, &last)
		if err != nil {
			return err
		}
		if taken {
			return herald.Errorf(herald.CodeConflict, "Choose another key, or use the app that is there.", "the app key is taken")
		}
		if _, err := t.row("SELECT COALESCE(MAX(id), 0) FROM app", nil, &last); err != nil {
			return err
		}
		id := last + 1
		if _, err := t.exec("INSERT INTO app (id, app_key, name, secret_hash, created, settings) VALUES (?, ?, ?, ?, ?, ?)",
			id, string(a.Key), a.Name, blob(a.SecretHash), millis(a.Created), string(settings)); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO app_head (app, epoch, pos, next_ord, next_n, next_recipient) VALUES (?, 1, 0, 0, 0, 0)", id); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO receipt_head (app, last, upto) VALUES (?, 0, 0)", id); err != nil {
			return err
		}
		t.news = append(t.news, news{app: a.Key, created: id})
		return nil
	})
}

// UpdateApp writes name, secret hashes and settings of an app.
func (db *DB) UpdateApp(ctx context.Context, a record.App) error {
	id, err := db.apps.id(a.Key)
	if err != nil {
		return err
	}
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return fmt.Errorf("store: writing the settings of an app: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE app SET name = ?, secret_hash = ?, settings = ?, old_hash = ?, old_until = ? WHERE id = ?",
			a.Name, blob(a.SecretHash), string(settings), a.OldHash, millis(a.OldUntil), id)
		return err
	})
}

// Keys lists the keys of all apps.
func (db *DB) Keys(ctx context.Context) ([]record.APIKey, error) {
	var out []record.APIKey
	err := scan(ctx, &db.readers, "SELECT app, id, name, hash, scopes, created, last_used, old_hash, old_until, expires, networks FROM api_key ORDER BY app, created, id", nil,
		func(r *sql.Rows) error {
			var k record.APIKey
			var app, created, used, until, expires int64
			var scopes, networks []byte
			if err := r.Scan(&app, &k.ID, &k.Name, &k.Hash, &scopes, &created, &used, &k.OldHash, &until, &expires, &networks); err != nil {
				return wrap(err)
			}
			if err := json.Unmarshal(scopes, &k.Scopes); err != nil {
				return damaged("api_key "+k.ID, err)
			}
			// A list that cannot be read must not become one that allows all.
			if networks != nil {
				if err := json.Unmarshal(networks, &k.Networks); err != nil {
					return damaged("api_key "+k.ID, err)
				}
			}
			k.App, k.Created, k.LastUsed = db.apps.keyOf(app), fromMillis(created), fromMillis(used)
			k.OldUntil, k.Expires = fromMillis(until), fromMillis(expires)
			out = append(out, k)
			return nil
		})
	return out, err
}

// PutKey writes a key: a new one, or one that has changed.
func (db *DB) PutKey(ctx context.Context, k record.APIKey) error {
	app, err := db.apps.id(k.App)
	if err != nil {
		return err
	}
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return fmt.Errorf("store: writing the scopes of a key: %w", err)
	}
	var networks any
	if len(k.Networks) > 0 {
		b, err := json.Marshal(k.Networks)
		if err != nil {
			return fmt.Errorf("store: writing the networks of a key: %w", err)
		}
		networks = string(b)
	}
	return db.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE api_key SET name = ?, hash = ?, scopes = ?, created = ?, last_used = ?, old_hash = ?, old_until = ?, expires = ?, networks = ? WHERE app = ? AND id = ?",
			k.Name, blob(k.Hash), string(scopes), millis(k.Created), millis(k.LastUsed), k.OldHash, millis(k.OldUntil), millis(k.Expires), networks, app, k.ID)
		if err != nil || n > 0 {
			return err
		}
		_, err = t.exec("INSERT INTO api_key (app, id, name, hash, scopes, created, last_used, old_hash, old_until, expires, networks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			app, k.ID, k.Name, blob(k.Hash), string(scopes), millis(k.Created), millis(k.LastUsed), k.OldHash, millis(k.OldUntil), millis(k.Expires), networks)
		return err
	})
}

// DeleteKey removes a key.
func (db *DB) DeleteKey(ctx context.Context, app herald.AppKey, id string) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var one int64
		ok, err := t.row("SELECT 1 FROM api_key WHERE app = ? AND id = ?", []any{a, id}, &one)
		if err != nil {
			return err
		}
		if !ok {
			return notFound("key", "List the keys of the app.")
		}
		_, err = t.exec("DELETE FROM api_key WHERE app = ? AND id = ?", a, id)
		return err
	})
}
