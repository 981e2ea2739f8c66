package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// SetChunks walks every chunk of an app's named sets. each must not call the
// database.
func (db *DB) SetChunks(ctx context.Context, app herald.AppKey, each func(record.SetChunk) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, db.readers, "SELECT name, slab, upto, bits, crc FROM set_chunk WHERE app = ?", []any{a}, func(r *sql.Rows) error {
		var c record.SetChunk
		var bits sql.RawBytes
		var crc int64
		if err := r.Scan(&c.Set, &c.Slab, &c.Upto, &bits, &crc); err != nil {
			return wrap(err)
		}
		var err error
		if c.Bits, err = parseSet(bits, crc, func() string {
			return fmt.Sprintf("set_chunk %s of set %q, slab %d", app, c.Set, c.Slab)
		}); err != nil {
			return err
		}
		return each(c)
	})
}

// SetLog walks the set changes after a position, ascending. each must not
// call the database.
func (db *DB) SetLog(ctx context.Context, app herald.AppKey, after herald.Pos, each func(record.SetLogEntry) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, db.readers, "SELECT pos, next_ord, changes, crc FROM set_log WHERE app = ? AND pos > ? ORDER BY pos", []any{a, int64(after)},
		func(r *sql.Rows) error {
			var e record.SetLogEntry
			var b sql.RawBytes
			var crc int64
			if err := r.Scan(&e.Pos, &e.NextOrd, &b, &crc); err != nil {
				return wrap(err)
			}
			row := func() string { return fmt.Sprintf("set_log %s, position %d", app, e.Pos) }
			if err := verify(b, crc, row); err != nil {
				return err
			}
			var err error
			if e.Changes, err = record.ParseChanges(b); err != nil {
				return damaged(row(), err)
			}
			return each(e)
		})
}

// FoldSets replaces chunks and drops the log up to a position.
func (db *DB) FoldSets(ctx context.Context, app herald.AppKey, upto herald.Pos, chunks []record.SetChunk) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	bits := make([][]byte, len(chunks))
	for i, c := range chunks {
		if bits[i], err = record.AppendSet(nil, c.Bits); err != nil {
			return fmt.Errorf("sqlite: writing a chunk: %w", err)
		}
	}
	return db.write(ctx, func(t *tx) error {
		h, err := t.head(a)
		if err != nil {
			return err
		}
		if upto > h.Pos {
			return herald.Errorf(herald.CodeConflict, "Fold up to a position that exists.", "the log ends at %d, before %d", h.Pos, upto)
		}
		for i, c := range chunks {
			if c.Bits.Empty() {
				_, err = t.exec("DELETE FROM set_chunk WHERE app = ? AND name = ? AND slab = ?", a, c.Set, int64(c.Slab))
			} else {
				_, err = t.exec(`INSERT INTO set_chunk (app, name, slab, upto, bits, crc) VALUES (?, ?, ?, ?, ?, ?)
					ON CONFLICT (app, name, slab) DO UPDATE SET upto = excluded.upto, bits = excluded.bits, crc = excluded.crc`,
					a, c.Set, int64(c.Slab), int64(c.Upto), bits[i], checksum(bits[i]))
			}
			if err != nil {
				return err
			}
		}
		_, err = t.exec("DELETE FROM set_log WHERE app = ? AND pos <= ?", a, int64(upto))
		return err
	})
}
