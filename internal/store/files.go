package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

const fileColumns = "id, name, kind, pos, \"lines\", devices, unknown, duplicates, chunks, created, used"

// scanFile reads fileColumns; chunks is how many the set has.
func scanFile(scan func(...any) error) (f record.File, chunks int64, err error) {
	var created, used int64
	err = scan(&f.ID, &f.Name, &f.Kind, &f.Pos, &f.Lines, &f.Devices, &f.Unknown, &f.Duplicates, &chunks, &created, &used)
	f.Created, f.Used = fromMillis(created), fromMillis(used)
	return f, chunks, err
}

func noFile() error {
	return notFound("file", "Upload the list again with POST /v1/files; a file is deleted 30 days after its last use.")
}

// PutFile writes a file with its set: first the row, which is not found yet,
// then the chunks, some at a time so that nobody is held up, then that it is
// whole. What a crash leaves is for DropFiles.
func (db *DB) PutFile(ctx context.Context, app herald.AppKey, f record.File, set *sets.Set) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	type chunk struct {
		slab sets.Slab
		bits []byte
	}
	var chunks []chunk
	for slab, part := range set.Slabs() {
		part.Optimize()
		bits, err := record.AppendSet(nil, part)
		if err != nil {
			return fmt.Errorf("store: writing a file: %w", err)
		}
		chunks = append(chunks, chunk{slab, bits})
	}
	if err := db.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO audience_file (app, "+fileColumns+", ready) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
			a, string(f.ID), f.Name, string(f.Kind), int64(f.Pos), f.Lines, f.Devices, f.Unknown, f.Duplicates, len(chunks), millis(f.Created), millis(f.Used))
		return err
	}); err != nil {
		return err
	}
	for from := 0; from < len(chunks); from += chunksInSlice {
		part := chunks[from:min(from+chunksInSlice, len(chunks))]
		if err := db.write(ctx, func(t *tx) error {
			for _, c := range part {
				if _, err := t.exec("INSERT INTO file_chunk (app, file, slab, bits, crc) VALUES (?, ?, ?, ?, ?)",
					a, string(f.ID), int64(c.slab), c.bits, checksum(c.bits)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return db.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE audience_file SET ready = 1 WHERE app = ? AND id = ?", a, string(f.ID))
		if err == nil && n == 0 {
			err = noFile() // it took so long that DropFiles has removed it
		}
		return err
	})
}

// File finds a file with its set.
func (db *DB) File(ctx context.Context, app herald.AppKey, id herald.FileID) (f record.File, set *sets.Set, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return f, nil, err
	}
	set = sets.New()
	err = db.readers.view(ctx, func(tx *snapshot) error {
		var chunks, have int64
		there := false
		if err := scan(ctx, tx, "SELECT "+fileColumns+" FROM audience_file WHERE app = ? AND id = ? AND ready = 1", []any{a, string(id)}, func(r *sql.Rows) (err error) {
			f, chunks, err = scanFile(r.Scan)
			there = true
			return wrap(err)
		}); err != nil {
			return err
		}
		if !there {
			return noFile()
		}
		if err := scan(ctx, tx, "SELECT slab, bits, crc FROM file_chunk WHERE app = ? AND file = ?", []any{a, string(id)}, func(r *sql.Rows) error {
			var slab, crc int64
			var bits sql.RawBytes
			if err := r.Scan(&slab, &bits, &crc); err != nil {
				return wrap(err)
			}
			have++
			part, err := parseSet(bits, crc, func() string { return fmt.Sprintf("file_chunk %s of file %s, slab %d", app, id, slab) })
			if err == nil {
				set.Or(part)
			}
			return err
		}); err != nil {
			return err
		}
		if have != chunks {
			return damaged(fmt.Sprintf("audience_file %s of %s", id, app), nil)
		}
		return nil
	})
	return f, set, err
}

// Files lists the files with an ID before one ("" for all), newest first.
func (db *DB) Files(ctx context.Context, app herald.AppKey, before herald.FileID, limit int) ([]record.File, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	if before == "" {
		before = "~" // after every ID
	}
	var out []record.File
	err = scan(ctx, &db.readers, "SELECT "+fileColumns+" FROM audience_file WHERE app = ? AND id < ? AND ready = 1 ORDER BY id DESC LIMIT ?",
		[]any{a, string(before), limit}, func(r *sql.Rows) error {
			f, _, err := scanFile(r.Scan)
			out = append(out, f)
			return wrap(err)
		})
	return out, err
}

// KeepFile notes that a file is used at a time; an earlier one than is known
// changes nothing.
func (db *DB) KeepFile(ctx context.Context, app herald.AppKey, id herald.FileID, used time.Time) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var one int64
		ok, err := t.row("SELECT 1 FROM audience_file WHERE app = ? AND id = ? AND ready = 1", []any{a, string(id)}, &one)
		if err != nil {
			return err
		}
		if !ok {
			return noFile()
		}
		_, err = t.exec("UPDATE audience_file SET used = ? WHERE app = ? AND id = ? AND used < ?", millis(used), a, string(id), millis(used))
		return err
	})
}

// DeleteFile removes a file; not_found if there is none.
func (db *DB) DeleteFile(ctx context.Context, app herald.AppKey, id herald.FileID) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		n, err := t.exec("DELETE FROM audience_file WHERE app = ? AND id = ?", a, string(id))
		if err == nil && n == 0 {
			err = noFile()
		}
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM file_chunk WHERE app = ? AND file = ?", a, string(id))
		return err
	})
}

// DropFiles removes the files of an app that were last used before a time, and
// those that were begun before another and are not whole.
func (db *DB) DropFiles(ctx context.Context, app herald.AppKey, usedBefore, begunBefore time.Time) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	var ids []herald.FileID
	if err := scan(ctx, &db.readers, "SELECT id FROM audience_file WHERE app = ? AND (used < ? OR ready = 0 AND created < ?)",
		[]any{a, millis(usedBefore), millis(begunBefore)}, func(r *sql.Rows) error {
			var id herald.FileID
			err := r.Scan(&id)
			ids = append(ids, id)
			return wrap(err)
		}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := db.DeleteFile(ctx, app, id); err != nil && herald.CodeOf(err) != herald.CodeNotFound {
			return err
		}
	}
	return nil
}

// Resolve finds the devices of distinct values of one kind, and how many of
// the values somebody has. The values go in as one JSON array: to bind a
// million of them one by one takes longer than to look them up. CROSS JOIN
// makes SQLite go through them, and not through the devices.
func (db *DB) Resolve(ctx context.Context, app herald.AppKey, kind record.FileKind, values []string) (*sets.Set, int64, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, 0, err
	}
	list, err := json.Marshal(values)
	if err != nil {
		return nil, 0, fmt.Errorf("store: reading names: %w", err)
	}
	q := "SELECT j.key, d.ord FROM json_each(?) j CROSS JOIN device d ON d.app = ? AND d.id = j.value"
	if kind == record.FileOfAliases {
		q = `SELECT j.key, d.ord FROM json_each(?) j CROSS JOIN recipient r ON r.app = ? AND r.alias = j.value
			LEFT JOIN device d ON d.app = r.app AND d.recipient = r.ord`
	}
	out, have, seen := sets.New(), int64(0), make([]bool, len(values))
	var ords []uint32
	err = scan(ctx, &db.readers, q, []any{string(list), a}, func(r *sql.Rows) error {
		var key int64
		var o sql.Null[uint32] // NULL: a recipient without a device
		if err := r.Scan(&key, &o); err != nil {
			return wrap(err)
		}
		if !seen[key] { // an alias has several devices
			have, seen[key] = have+1, true
		}
		if o.Valid {
			ords = append(ords, o.V)
		}
		return nil
	})
	out.AddMany(ords)
	return out, have, err
}
