package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// The devices whose aliases changed are found by the log position of the
// change: those of a list of many in bound_list, the others by the index
// device_bound.

const (
	// manyBound is how many bindings of one call are kept as a set.
	manyBound = 64
	// boundKept is how long a set is kept at least: what was evaluated before
	// it, and needs it, has long been written by then.
	boundKept = 24 * time.Hour
)

// boundMark writes which devices the plan changes, and gives what stands in
// their rows.
func (p *bindPlan) boundMark(t *tx, app int64, pos herald.Pos) (int64, error) {
	if p.out.Changed.Len() < manyBound {
		return int64(pos), nil
	}
	bits, err := record.AppendSet(nil, p.out.Changed)
	if err != nil {
		return 0, err
	}
	_, err = t.exec("INSERT INTO bound_list (app, pos, at, bits, crc) VALUES (?, ?, ?, ?, ?)", app, int64(pos), millis(t.db.cfg.Now()), bits, checksum(bits))
	return -int64(pos), err
}

// boundLists walks the sets after a position, newest first.
func (db *DB) boundLists(ctx context.Context, app herald.AppKey, a int64, after herald.Pos, limit int, each func(record.Rebinding)) error {
	return scan(ctx, &db.readers, "SELECT pos, bits, crc FROM bound_list WHERE app = ? AND pos > ? ORDER BY pos DESC LIMIT ? + 0", []any{a, int64(after), limit}, func(r *sql.Rows) error {
		var b record.Rebinding
		var bits sql.RawBytes
		var crc int64
		if err := r.Scan(&b.Pos, &bits, &crc); err != nil {
			return wrap(err)
		}
		var err error
		if b.Ords, err = parseSet(bits, crc, func() string { return fmt.Sprintf("bound_list %s, position %d", app, b.Pos) }); err == nil {
			each(b)
		}
		return err
	})
}

// BoundAfter gives the devices whose alias changed after a log position. Some of
// them may have been removed since.
func (db *DB) BoundAfter(ctx context.Context, app herald.AppKey, after herald.Pos) (*sets.Set, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var ords []uint32
	// A device that leaves the index meanwhile is in a set that is read later.
	err = scan(ctx, &db.readers, "SELECT ord FROM device WHERE app = ? AND bound_pos > ? AND bound_pos > 0", []any{a, int64(after)}, func(r *sql.Rows) error {
		var o uint32
		err := r.Scan(&o)
		ords = append(ords, o)
		return wrap(err)
	})
	if err != nil {
		return nil, err
	}
	out := sets.New()
	out.AddMany(ords)
	return out, db.boundLists(ctx, app, a, after, math.MaxInt32, func(b record.Rebinding) { out.Or(b.Ords) })
}

// Rebindings lists the last changes of aliases, newest first, at most so many,
// that came after the evaluation of a message by alias which has not ended.
func (db *DB) Rebindings(ctx context.Context, app herald.AppKey, limit int) ([]record.Rebinding, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var since sql.NullInt64
	if err := db.readers.QueryRowContext(ctx, "SELECT MIN(eval_pos) FROM msg INDEXED BY msg_by_alias WHERE app = ? AND by_alias = 1 AND ended = 0", a).Scan(&since); err != nil || !since.Valid {
		return nil, wrap(err)
	}
	out, err := db.boundOneByOne(ctx, a, since.Int64, limit)
	if err != nil {
		return nil, err
	}
	if err := db.boundLists(ctx, app, a, herald.Pos(since.Int64), limit, func(b record.Rebinding) { out = append(out, b) }); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(x, y record.Rebinding) int { return cmp.Compare(y.Pos, x.Pos) })
	// A device of a set whose row was written since is in the index, too.
	each := out[:0]
	for _, b := range out {
		if last := len(each) - 1; last >= 0 && each[last].Pos == b.Pos {
			each[last].Ords.Or(b.Ords)
			continue
		}
		each = append(each, b)
	}
	return each[:min(limit, len(each))], nil
}

// boundOneByOne is the part of Rebindings that the index knows.
func (db *DB) boundOneByOne(ctx context.Context, a, since int64, limit int) (out []record.Rebinding, err error) {
	enough := errors.New("enough")
	err = scan(ctx, &db.readers, `SELECT bound_pos, ord FROM device INDEXED BY device_bound WHERE app = ? AND bound_pos > 0 AND bound_pos > ?
		ORDER BY bound_pos DESC`, []any{a, since}, func(r *sql.Rows) error {
		var pos herald.Pos
		var ord herald.Ordinal
		if err := r.Scan(&pos, &ord); err != nil {
			return wrap(err)
		}
		if last := len(out) - 1; last >= 0 && out[last].Pos == pos {
			out[last].Ords.Add(ord)
			return nil
		}
		if len(out) == limit {
			return enough
		}
		out = append(out, record.Rebinding{Pos: pos, Ords: sets.New(ord)})
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return out, err
}

// purgeBound deletes sets that no file and no message is old enough to need.
func (db *DB) purgeBound(ctx context.Context, now time.Time) (more bool, err error) {
	type list struct{ app, pos int64 }
	var old []list
	err = scan(ctx, &db.readers, `SELECT b.app, b.pos FROM bound_list b WHERE b.at < ? AND b.pos <= COALESCE((SELECT MIN(f.pos) FROM audience_file f WHERE f.app = b.app), b.pos)
		AND b.pos <= COALESCE((SELECT MIN(m.eval_pos) FROM msg m INDEXED BY msg_by_alias WHERE m.app = b.app AND m.by_alias = 1 AND m.ended = 0), b.pos) LIMIT ? + 0`,
		[]any{millis(now.Add(-boundKept)), keysInSlice}, func(r *sql.Rows) error {
			var l list
			err := r.Scan(&l.app, &l.pos)
			old = append(old, l)
			return wrap(err)
		})
	if err != nil || old == nil {
		return false, err
	}
	return len(old) == keysInSlice, db.write(ctx, func(t *tx) error {
		for _, l := range old {
			if _, err := t.exec("DELETE FROM bound_list WHERE app = ? AND pos = ?", l.app, l.pos); err != nil {
				return err
			}
		}
		return nil
	})
}
