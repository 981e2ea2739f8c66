package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Secrets walks the rows with sealed secrets behind a place, at most limit, and
// keeps what change gives for each of their secrets, in one commit of each table;
// nil takes a secret away. change may be called twice for a secret. next is where
// to go on, or "" at the end.
func (db *DB) Secrets(ctx context.Context, after string, limit int, change func(place string, sealed []byte) []byte) (next string, changed int, err error) {
	tables := sealedTables()
	at := slices.IndexFunc(tables, func(t sealedTable) bool { return strings.HasPrefix(after, t.prefix()) })
	if at < 0 {
		n := 0
		if next, n, changed, err = db.hookSecrets(ctx, after, limit, change); err != nil || next != "" {
			return next, changed, err
		}
		after, limit, at = "", limit-n, 0
	}
	for _, t := range tables[at:] {
		next, n, more, err := db.rowSecrets(ctx, t, strings.TrimPrefix(after, t.prefix()), limit, change)
		changed += more
		if err != nil || next != "" {
			return next, changed, err
		}
		after, limit = "", limit-n
	}
	return "", changed, nil
}

// hookSecrets is Secrets for webhooks, and tells how many rows it has seen. Leases
// stay as they are: who holds one has what was sealed before, which still opens.
func (db *DB) hookSecrets(ctx context.Context, after string, limit int, change func(place string, sealed []byte) []byte) (next string, n, changed int, err error) {
	app, hook, _ := strings.Cut(after, "/")
	from, err := strconv.ParseInt(app, 10, 64)
	if err != nil && after != "" {
		return "", 0, 0, noPlace(after)
	}
	type row struct {
		app int64
		id  string
	}
	var stale []row
	if err := scan(ctx, &db.readers, "SELECT app, id, data, crc FROM webhook WHERE app > ? OR (app = ? AND id > ?) ORDER BY app, id LIMIT ?",
		[]any{from, from, hook, limit}, func(r *sql.Rows) error {
			var w record.Webhook
			var at row
			var crc int64
			var b sql.RawBytes
			if err := r.Scan(&at.app, &at.id, &b, &crc); err != nil {
				return wrap(err)
			}
			w.App, w.ID = db.apps.keyOf(at.app), at.id
			next = fmt.Sprintf("%d/%s", at.app, at.id)
			n++
			if parseWebhook(&w, b, crc) != nil {
				return nil // damaged, which is told where the row is used
			}
			if changeSecrets(&w, change) > 0 {
				stale = append(stale, at)
			}
			return nil
		}); err != nil {
		return "", 0, 0, err
	}
	if n < limit {
		next = ""
	}
	if len(stale) == 0 {
		return next, n, 0, nil
	}
	err = db.write(ctx, func(t *tx) error {
		changed = 0
		for _, at := range stale {
			w, _, _, err := t.webhook(at.app, db.apps.keyOf(at.app), at.id)
			if herald.CodeOf(err) == herald.CodeNotFound {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			c := changeSecrets(&w, change)
			if c == 0 {
				continue
			}
			if err := t.putWebhook(at.app, &w); err != nil {
				return err
			}
			changed += c
		}
		return nil
	})
	return next, n, changed, err
}

func noPlace(after string) error {
	return fmt.Errorf("store: %.40q is no place in a walk of the secrets", after)
}

// changeSecrets changes the secrets of a webhook, and tells how many it changed.
func changeSecrets(w *record.Webhook, change func(place string, sealed []byte) []byte) (changed int) {
	var kept []record.WebhookSecret
	for _, k := range w.Secrets {
		got := change(w.Place(), k.Sealed)
		if !bytes.Equal(got, k.Sealed) {
			changed++
		}
		if k.Sealed = got; got != nil {
			kept = append(kept, k)
		}
	}
	w.Secrets = kept
	return changed
}

// sealedTable is a table whose rows have one sealed secret each, or none. In a
// walk it stands behind the webhooks, whose places have no prefix.
type sealedTable struct {
	name  string
	parse func(app herald.AppKey, id string, data []byte, crc int64) (sealedRow, error)
}

// sealedRow is a row that was read: itself, to be written again, the place that
// its secret is bound to, and where the secret stands.
type sealedRow struct {
	row    any
	place  string
	sealed *[]byte
}

func (t sealedTable) prefix() string { return t.name + " " }

func sealedTables() []sealedTable {
	return []sealedTable{
		{"jwt_key", func(app herald.AppKey, id string, data []byte, crc int64) (sealedRow, error) {
			k := &record.JWTKey{App: app, ID: id}
			return sealedRow{k, k.Place(), &k.Sealed}, parseJWTKey(k, data, crc)
		}},
		{"credential", func(app herald.AppKey, id string, data []byte, crc int64) (sealedRow, error) {
			c := &record.Credential{App: app, ID: id}
			return sealedRow{c, c.Place(), &c.Sealed}, parseCredential(c, data, crc)
		}},
	}
}

// rowSecrets is Secrets for such a table, and tells how many rows it has seen.
func (db *DB) rowSecrets(ctx context.Context, table sealedTable, after string, limit int, change func(place string, sealed []byte) []byte) (next string, n, changed int, err error) {
	app, last, _ := strings.Cut(after, "/")
	from, err := strconv.ParseInt(app, 10, 64)
	if err != nil && after != "" {
		return "", 0, 0, noPlace(after)
	}
	type place struct {
		app int64
		id  string
	}
	var stale []place
	if err := scan(ctx, &db.readers, "SELECT app, id, data, crc FROM "+table.name+" WHERE app > ? OR (app = ? AND id > ?) ORDER BY app, id LIMIT ?",
		[]any{from, from, last, limit}, func(r *sql.Rows) error {
			var at place
			var crc int64
			var b sql.RawBytes
			if err := r.Scan(&at.app, &at.id, &b, &crc); err != nil {
				return wrap(err)
			}
			n++
			next = fmt.Sprintf("%s%d/%s", table.prefix(), at.app, at.id)
			row, err := table.parse(db.apps.keyOf(at.app), at.id, b, crc)
			if err == nil && *row.sealed != nil && !bytes.Equal(change(row.place, *row.sealed), *row.sealed) {
				stale = append(stale, at)
			}
			return nil // damaged ones are told of at the start
		}); err != nil {
		return "", 0, 0, err
	}
	if n < limit {
		next = ""
	}
	if len(stale) == 0 {
		return next, n, 0, nil
	}
	err = db.write(ctx, func(t *tx) error {
		changed = 0
		for _, at := range stale {
			done, err := t.reseal(table, at.app, at.id, change)
			if err != nil {
				return err
			}
			if done {
				changed++
			}
		}
		return nil
	})
	return next, n, changed, err
}

// reseal changes the secret of a row, unless it was deleted meanwhile.
func (t *tx) reseal(table sealedTable, app int64, id string, change func(place string, sealed []byte) []byte) (bool, error) {
	var b []byte
	var crc int64
	ok, err := t.row("SELECT data, crc FROM "+table.name+" WHERE app = ? AND id = ?", []any{app, id}, &b, &crc)
	if err != nil || !ok {
		return false, err
	}
	row, err := table.parse(t.db.apps.keyOf(app), id, b, crc)
	if err != nil {
		return false, err
	}
	got := change(row.place, *row.sealed)
	if bytes.Equal(got, *row.sealed) {
		return false, nil
	}
	*row.sealed = got
	if b, err = json.Marshal(row.row); err != nil {
		return false, fmt.Errorf("store: writing a row with a secret: %w", err)
	}
	_, err = t.exec("UPDATE "+table.name+" SET data = ?, crc = ? WHERE app = ? AND id = ?", b, checksum(b), app, id)
	return true, err
}
