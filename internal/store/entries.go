package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// LIMIT is given a sum because SQLite compiles a statement again for each value
// of a bare parameter there.

// Entries lists the direct messages released to a device after a position whose
// message has not ended, newest first.
//
// The message decides, through the join: it ends in one row, at once for all
// its devices. Their entries are deleted behind it (see EndMessage), so that
// the join skips few.
func (db *DB) Entries(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.Entry, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	if ctx, err = short(ctx); err != nil {
		return nil, err
	}
	var out []record.Entry
	err = scan(ctx, &db.readers, `SELECT e.pos, e.n, e.msg FROM entry e JOIN msg m ON m.app = e.app AND m.id = e.msg
		WHERE e.app = ? AND e.ord = ? AND e.pos > ? AND m.ended = 0 ORDER BY e.pos DESC, e.n DESC LIMIT ? + 0`, []any{a, int64(ord), int64(after), limit},
		func(r *sql.Rows) error {
			var e record.Entry
			err := r.Scan(&e.Pos, &e.N, &e.Msg)
			out = append(out, e)
			return wrap(err)
		})
	return out, err
}

// fewEntries is how many entries are read with their messages. Who has more
// pages through them, and would read all messages for each page.
const fewEntries = 32

// EntryMessages is Entries, of which the newest come with their messages, if
// these are to this device alone. A device that comes back mostly has a few, and
// to find each by its key again takes longer than to read it here. What is of no
// concern to who sends it is left out: audience, ordering key, time of acceptance.
func (db *DB) EntryMessages(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.EntryMessage, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	if ctx, err = short(ctx); err != nil {
		return nil, err
	}
	few := min(limit, fewEntries)
	var out []record.EntryMessage
	err = scan(ctx, &db.readers, `SELECT e.pos, e.n, e.msg, m.devices = 1 AND m.first_n = e.n, 2 * m.eval_pos + m.by_alias, m.priority, m.collapse_key,
		m.ttl, m.due, m.body, m.crc, m.target, m.target_crc FROM entry e JOIN msg m ON m.app = e.app AND m.id = e.msg
		WHERE e.app = ? AND e.ord = ? AND e.pos > ? AND m.ended = 0 ORDER BY e.pos DESC, e.n DESC LIMIT ? + 0`, []any{a, int64(ord), int64(after), few},
		func(r *sql.Rows) error {
			e, err := scanEntryMessage(r, app, ord)
			out = append(out, e)
			return wrap(err)
		})
	if err != nil || len(out) < few || few == limit {
		return out, err
	}
	last := out[few-1].Entry
	err = scan(ctx, &db.readers, `SELECT e.pos, e.n, e.msg FROM entry e JOIN msg m ON m.app = e.app AND m.id = e.msg
		WHERE e.app = ? AND e.ord = ? AND e.pos > ? AND (e.pos, e.n) < (?, ?) AND m.ended = 0 ORDER BY e.pos DESC, e.n DESC LIMIT ? + 0`,
		[]any{a, int64(ord), int64(after), int64(last.Pos), int64(last.N), limit - few},
		func(r *sql.Rows) error {
			var e record.EntryMessage
			err := r.Scan(&e.Pos, &e.N, &e.Msg)
			out = append(out, e)
			return wrap(err)
		})
	return out, err
}

func scanEntryMessage(r *sql.Rows, app herald.AppKey, ord herald.Ordinal) (record.EntryMessage, error) {
	m := &record.Message{Message: herald.Message{App: app}, State: herald.MessageSending, Target: 1, Direct: []herald.Ordinal{ord}}
	e := record.EntryMessage{Message: m}
	var alone bool
	var evaluated, ttl, due, crc, targetCRC int64
	var target sql.RawBytes
	if err := r.Scan(&e.Pos, &e.N, &m.ID, &alone, &evaluated, &m.Priority, &m.CollapseKey, &ttl, &due, &m.Body, &crc, &target, &targetCRC); err != nil {
		return e, err
	}
	e.Msg, m.Pos, m.FirstN = m.ID, e.Pos, e.N
	m.EvalPos, m.ByAlias = herald.Pos(evaluated/2), evaluated%2 == 1
	m.TTL, m.Due = time.Duration(ttl)*time.Millisecond, fromMillis(due)
	if !alone || checksum(m.Body) != crc || checksum(target) != targetCRC {
		e.Message = nil // who reads it by its ID is told what is wrong with it
	}
	return e, nil
}

// EntryDevices gives the devices of a range that have entries. It steps from one
// to the next, over what else there is of each.
func (db *DB) EntryDevices(ctx context.Context, app herald.AppKey, first, last herald.Ordinal) (*sets.Set, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	if ctx, err = short(ctx); err != nil {
		return nil, err
	}
	out := sets.New()
	err = scan(ctx, &db.readers, `WITH RECURSIVE d(ord) AS (
		SELECT min(ord) FROM entry WHERE app = ? AND ord BETWEEN ? AND ?
		UNION ALL SELECT (SELECT min(ord) FROM entry WHERE app = ? AND ord > d.ord AND ord <= ?) FROM d WHERE d.ord IS NOT NULL)
		SELECT ord FROM d WHERE ord IS NOT NULL`, []any{a, int64(first), int64(last), a, int64(last)},
		func(r *sql.Rows) error {
			var o herald.Ordinal
			err := r.Scan(&o)
			out.Add(o)
			return wrap(err)
		})
	return out, err
}
