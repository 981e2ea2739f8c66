package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// write runs an operation in a group commit and answers when it is durable.
// If ctx ends before the operation has started nothing is written; after that
// the caller waits for the outcome, so that an error means "not done".
//
// The first operation of a context that carries an entry of the audit log
// takes it into its commit.
func (db *DB) write(ctx context.Context, run func(*tx) error) error {
	a := record.AuditOf(ctx)
	if !a.Take() {
		return db.do(ctx, &op{run: run, done: make(chan struct{})})
	}
	err := db.do(ctx, &op{done: make(chan struct{}), run: func(t *tx) error {
		if err := run(t); err != nil {
			return err
		}
		return t.audit(a.Entry())
	}})
	if err != nil {
		a.Leave()
	}
	return err
}

// audit writes an entry beside what the operation has written.
func (t *tx) audit(e record.Audit) error {
	var app, last int64
	ok, err := t.row("SELECT id FROM app WHERE app_key = ?", []any{string(e.App)}, &app)
	if err != nil || !ok {
		return err // nobody could read it
	}
	if _, err := t.row("SELECT COALESCE(MAX(id), 0) FROM audit WHERE app = ?", []any{app}, &last); err != nil {
		return err
	}
	var changes any
	if len(e.Changes) > 0 {
		b, err := json.Marshal(e.Changes)
		if err != nil {
			return fmt.Errorf("store: writing what has changed: %w", err)
		}
		changes = string(b)
	}
	_, err = t.exec("INSERT INTO audit (app, id, at, kind, actor, name, operation, object, changes, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		app, max(last+1, e.Time.UnixMicro()), millis(e.Time), e.Kind, e.Actor, e.Name, e.Operation, e.Object, changes, e.Origin)
	return err
}

// eraseAudit takes a device out of the audit log: that there was a change stays,
// and who made it, but a page that made it.
func (t *tx) eraseAudit(app int64, r record.Erasure) error {
	id := r.ID
	if _, err := t.exec("UPDATE audit SET actor = '' WHERE app = ? AND object = ? AND kind = ?", app, string(id), record.AuditPage); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE audit SET object = ? WHERE app = ? AND object = ?", string(record.ErasedID), app, string(id)); err != nil || r.Alias == "" {
		return err
	}
	_, err := t.exec("UPDATE audit SET object = ? WHERE app = ? AND object = ?", "alias:"+string(record.ErasedAlias), app, record.AuditedAlias(r.App, r.Alias))
	return err
}

// AddAudit writes an entry by itself, for a change that had no commit with
// which it could go.
func (db *DB) AddAudit(ctx context.Context, e record.Audit) error {
	if _, err := db.apps.id(e.App); err != nil {
		return err
	}
	return db.do(ctx, &op{done: make(chan struct{}), run: func(t *tx) error { return t.audit(e) }})
}

// AuditQuery gives the statement that finds entries of an app by the number of
// its row. Only members that are set are in it, so that each has an index. Times
// are compared with IDs, which never go back: an entry belongs to where it
// stands in the log, also if the clock was set back before it was written. It is
// exported for tests of how each database executes it.
func AuditQuery(app int64, f record.AuditFilter) (query string, args []any) {
	from, where, args := "audit", []string{"app = ?"}, []any{app}
	add := func(set bool, condition string, value any) {
		if set {
			where, args = append(where, condition), append(args, value)
		}
	}
	// What mostly picks least comes first. SQLite, which does not know how often
	// a value is there, is told which index to use.
	kind := record.AuditKind(f.Actor)
	for _, c := range []struct {
		column, value string
		set           bool
	}{{"object", f.Object, f.Object != ""}, {"actor", f.Actor, f.Actor != "" && !kind}, {"operation", f.Operation, f.Operation != ""}, {"kind", f.Actor, kind}} {
		if c.set && len(where) == 1 {
			from += " INDEXED BY audit_" + c.column
		}
		add(c.set, c.column+" = ?", c.value)
	}
	add(!f.Since.IsZero(), "id >= ?", millis(f.Since)*1000)
	before := f.Before
	if until := millis(f.Until) * 1000; !f.Until.IsZero() && (before == 0 || until < before) {
		before = until
	}
	add(before != 0, "id < ?", before)
	return "SELECT id, at, kind, actor, name, operation, object, changes, origin FROM " + from + " WHERE " +
		strings.Join(where, " AND ") + " ORDER BY id DESC LIMIT ?", append(args, f.Limit)
}

// Audits lists entries of an app, newest first.
func (db *DB) Audits(ctx context.Context, app herald.AppKey, f record.AuditFilter) ([]record.Audit, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	query, args := AuditQuery(a, f)
	var out []record.Audit
	err = scan(ctx, &db.readers, query, args, func(r *sql.Rows) error {
		e := record.Audit{App: app}
		var at int64
		var changes []byte
		if err := r.Scan(&e.ID, &at, &e.Kind, &e.Actor, &e.Name, &e.Operation, &e.Object, &changes, &e.Origin); err != nil {
			return wrap(err)
		}
		if changes != nil {
			if err := json.Unmarshal(changes, &e.Changes); err != nil {
				return damaged(fmt.Sprintf("audit %d", e.ID), err)
			}
		}
		e.Time = fromMillis(at)
		out = append(out, e)
		return nil
	})
	return out, err
}

// PurgeAudit deletes about limit of the oldest entries of an app, of those
// that are older than a time, and tells whether there are more.
func (db *DB) PurgeAudit(ctx context.Context, app herald.AppKey, before time.Time, limit int) (more bool, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return false, err
	}
	end := before.UnixMicro() // an ID is never smaller than its time
	err = db.write(ctx, func(t *tx) error {
		upto := end
		more, err = t.row("SELECT id FROM audit WHERE app = ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?", []any{a, end, limit}, &upto)
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM audit WHERE app = ? AND id < ?", a, upto)
		return err
	})
	return more, err
}
