package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Purgeable lists the messages of all apps that the next Purge deletes, but for
// those that are damaged.
func (db *DB) Purgeable(ctx context.Context, endedBefore time.Time, limit int) ([]*record.Message, error) {
	return db.readableMessages(ctx, "msg m WHERE m.ended = 1 AND m.ends < ? ORDER BY m.ends LIMIT ?", millis(endedBefore), limit)
}

// KeepCounts keeps what became of a message until a time. Doing it again
// changes what is kept.
func (db *DB) KeepCounts(ctx context.Context, c record.Counted, until time.Time) error {
	app, err := db.apps.id(c.Message.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: writing counts: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO msg_count (app, msg, until, data, crc) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (app, msg) DO UPDATE SET until = excluded.until, data = excluded.data, crc = excluded.crc`,
			app, int64(c.Message.ID), millis(until), b, checksum(b))
		return err
	})
}

// Counted finds what is kept of a message that was purged.
func (db *DB) Counted(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Counted, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out *record.Counted
	err = scan(ctx, &db.readers, "SELECT data, crc FROM msg_count WHERE app = ? AND msg = ?", []any{a, int64(id)}, func(r *sql.Rows) error {
		var b sql.RawBytes
		var crc int64
		if err := r.Scan(&b, &crc); err != nil {
			return wrap(err)
		}
		row := func() string { return fmt.Sprintf("msg_count %s %d", app, id) }
		if err := verify(b, crc, row); err != nil {
			return err
		}
		out = &record.Counted{}
		if err := json.Unmarshal(b, out); err != nil {
			return damaged(row(), err)
		}
		return nil
	})
	if err == nil && out == nil {
		err = noMessage()
	}
	return out, err
}

// purgeCounts deletes counts whose time is over.
func (db *DB) purgeCounts(ctx context.Context, now time.Time) error {
	type key struct{ app, msg int64 }
	var keys []key
	if err := scan(ctx, &db.readers, "SELECT app, msg FROM msg_count WHERE until <= ? ORDER BY until LIMIT ?", []any{millis(now), keysInSlice}, func(r *sql.Rows) error {
		var k key
		err := r.Scan(&k.app, &k.msg)
		keys = append(keys, k)
		return wrap(err)
	}); err != nil || len(keys) == 0 {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		for _, k := range keys {
			if _, err := t.exec("DELETE FROM msg_count WHERE app = ? AND msg = ? AND until <= ?", k.app, k.msg, millis(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// FirstDelivery is the lowest delivery number that a direct message has, and
// what comes next if there is none: states of lower ones concern nobody.
func (db *DB) FirstDelivery(ctx context.Context, app herald.AppKey) (n uint64, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	return n, db.write(ctx, func(t *tx) error {
		n, err = t.firstDelivery(a)
		return err
	})
}

// firstDelivery is FirstDelivery in a commit. Numbers grow with positions, so
// that the first direct message that is left has the lowest.
func (t *tx) firstDelivery(app int64) (lowest uint64, err error) {
	ok, err := t.row(`SELECT m.first_n FROM release_log r JOIN msg m ON m.app = r.app AND m.id = r.msg
		WHERE r.app = ? AND m.form = ? AND m.pos = r.pos ORDER BY r.pos LIMIT 1`, []any{app, formDirect}, &lowest)
	if err != nil || ok {
		return lowest, err
	}
	h, err := t.head(app)
	if err != nil {
		return 0, err
	}
	return h.NextN, nil
}
