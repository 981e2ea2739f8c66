package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// SetChunks walks every chunk of an app's named sets. each must not call the
// database.
func (db *DB) SetChunks(ctx context.Context, app herald.AppKey, each func(record.SetChunk) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, &db.readers, "SELECT name, slab, upto, bits, crc FROM set_chunk WHERE app = ?", []any{a}, func(r *sql.Rows) error {
		var c record.SetChunk
		var bits sql.RawBytes
		var slab, crc int64
		if err := r.Scan(&c.Set, &slab, &c.Upto, &bits, &crc); err != nil {
			return wrap(err)
		}
		if c.Whole = slab == wholeSet; !c.Whole {
			c.Slab = sets.Slab(slab)
		}
		var err error
		if c.Bits, err = parseSet(bits, crc, func() string {
			return fmt.Sprintf("set_chunk %s of set %q, slab %d", app, c.Set, slab)
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
	return scan(ctx, &db.readers, "SELECT pos, next_ord, changes, crc FROM set_log WHERE app = ? AND pos > ? ORDER BY pos", []any{a, int64(after)},
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

// wholeSet stands in column slab for all slabs of a small set.
const wholeSet = -1

func slabColumn(c record.SetChunk) int64 {
	if c.Whole {
		return wholeSet
	}
	return int64(c.Slab)
}

// What one operation of FoldSets writes at most, so that a fold of many
// chunks holds up no other caller for long.
const (
	foldedInSlice  = 256       // chunks
	foldedBytes    = 128 << 10 // bytes of them
	droppedInSlice = 2000      // log positions
)

// FoldSets replaces chunks, slice by slice, and then drops the log up to a
// position. A crash in between does no harm: the log is still there, and may
// be read again over chunks that are newer than its beginning.
func (db *DB) FoldSets(ctx context.Context, app herald.AppKey, upto herald.Pos, chunks []record.SetChunk) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	bits := make([][]byte, len(chunks))
	for i, c := range chunks {
		if bits[i], err = record.AppendSet(nil, c.Bits); err != nil {
			return fmt.Errorf("store: writing a chunk: %w", err)
		}
	}
	if err := db.foldable(ctx, app, upto); err != nil {
		return err
	}
	for from := 0; from < len(chunks); {
		to, size := from, 0
		for to < len(chunks) && to-from < foldedInSlice && size < foldedBytes {
			size += len(bits[to])
			to++
		}
		part, b := chunks[from:to], bits[from:to]
		// The log that led to them is dropped later, by a commit that is synced.
		if err := db.writeLater(ctx, func(t *tx) error { return t.putSetChunks(a, part, b) }); err != nil {
			return err
		}
		from = to
	}
	return db.dropSetLog(ctx, a, upto)
}

func (db *DB) foldable(ctx context.Context, app herald.AppKey, upto herald.Pos) error {
	h, err := db.Head(ctx, app)
	if err == nil && upto > h.Pos {
		err = herald.Errorf(herald.CodeConflict, "Fold up to a position that exists.", "the log ends at %d, before %d", h.Pos, upto)
	}
	return err
}

func (t *tx) putSetChunks(app int64, chunks []record.SetChunk, bits [][]byte) error {
	for i, c := range chunks {
		var err error
		if c.Bits.Empty() {
			_, err = t.exec("DELETE FROM set_chunk WHERE app = ? AND name = ? AND slab = ?", app, c.Set, slabColumn(c))
		} else {
			_, err = t.exec(`INSERT INTO set_chunk (app, name, slab, upto, bits, crc) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (app, name, slab) DO UPDATE SET upto = excluded.upto, bits = excluded.bits, crc = excluded.crc`,
				app, c.Set, slabColumn(c), int64(c.Upto), bits[i], checksum(bits[i]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropSetLog drops the log up to a position, some positions at a time. What
// goes first is its beginning, so that what is left is always its end.
func (db *DB) dropSetLog(ctx context.Context, app int64, upto herald.Pos) error {
	for {
		var done bool
		err := db.write(ctx, func(t *tx) error {
			var first sql.NullInt64
			if _, err := t.row("SELECT MIN(pos) FROM set_log WHERE app = ?", []any{app}, &first); err != nil {
				return err
			}
			if done = !first.Valid || first.Int64 > int64(upto); done {
				return nil
			}
			last := min(int64(upto), first.Int64+droppedInSlice-1)
			done = last == int64(upto)
			_, err := t.exec("DELETE FROM set_log WHERE app = ? AND pos <= ?", app, last)
			return err
		})
		if err != nil || done {
			return err
		}
	}
}
