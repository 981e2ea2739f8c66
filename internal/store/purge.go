package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/herald-push/herald"
)

// keysInSlice is how many idempotency rows one operation deletes.
const keysInSlice = 500

// Purge deletes what is past its retention. Each message goes in an operation
// of its own, its row last, so that a crash leaves whole messages.
func (db *DB) Purge(ctx context.Context, now, endedBefore time.Time, limit int) (bool, error) {
	moreKeys, err := db.purgeKeys(ctx, now)
	if err != nil {
		return false, err
	}
	if err := db.purgeCounts(ctx, now); err != nil {
		return false, err
	}
	moreBound, err := db.purgeBound(ctx, now)
	if err != nil {
		return false, err
	}
	type old struct {
		app int64
		id  herald.MessageID
	}
	var list []old
	if err := scan(ctx, &db.readers, "SELECT app, id FROM msg WHERE ended = 1 AND ends < ? ORDER BY ends LIMIT ?",
		[]any{millis(endedBefore), limit + 1}, func(r *sql.Rows) error {
			var o old
			err := r.Scan(&o.app, &o.id)
			list = append(list, o)
			return wrap(err)
		}); err != nil {
		return false, err
	}
	more := len(list) > limit
	list = list[:min(len(list), limit)]
	touched := map[int64]bool{}
	for _, o := range list {
		if err := db.write(ctx, func(t *tx) error { return t.purge(o.app, o.id) }); err != nil {
			return false, err
		}
		touched[o.app] = true
	}
	for app := range touched {
		if err := db.write(ctx, func(t *tx) error { return t.purgeDirectChunks(app) }); err != nil {
			return false, err
		}
	}
	return more || moreKeys || moreBound, nil
}

// purgeKeys deletes idempotency rows that have expired.
func (db *DB) purgeKeys(ctx context.Context, now time.Time) (bool, error) {
	type key struct {
		app int64
		key string
	}
	var keys []key
	if err := scan(ctx, &db.readers, "SELECT app, idem_key FROM idempotency WHERE expires <= ? ORDER BY expires LIMIT ?",
		[]any{millis(now), keysInSlice + 1}, func(r *sql.Rows) error {
			var k key
			err := r.Scan(&k.app, &k.key)
			keys = append(keys, k)
			return wrap(err)
		}); err != nil {
		return false, err
	}
	more := len(keys) > keysInSlice
	keys = keys[:min(len(keys), keysInSlice)]
	if len(keys) == 0 {
		return false, nil
	}
	return more, db.write(ctx, func(t *tx) error {
		for _, k := range keys {
			// It may have been used anew since it was read.
			if _, err := t.exec("DELETE FROM idempotency WHERE app = ? AND idem_key = ? AND expires <= ?", k.app, k.key, millis(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) purge(app int64, id herald.MessageID) error {
	r, err := t.endedRow(app, t.db.apps.keyOf(app), id)
	if err != nil || r == nil {
		return err
	}
	if err := t.deleteEntries(app, r, 0, len(r.ords)); err != nil {
		return err
	}
	if r.planned {
		if err := t.purgePlan(app, id); err != nil {
			return err
		}
	}
	for _, pos := range []herald.Pos{r.pos, r.endPos} {
		if pos == 0 {
			continue
		}
		for _, q := range []string{
			"DELETE FROM release_log WHERE app = ? AND pos = ?",
			"DELETE FROM group_msg WHERE app = ? AND pos = ?",
			"DELETE FROM notice WHERE app = ? AND pos = ?",
		} {
			if _, err := t.exec(q, app, int64(pos)); err != nil {
				return err
			}
		}
	}
	if err := t.purgeRoute(app, id); err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM msg_chunk WHERE app = ? AND msg = ?",
		"DELETE FROM receipt_seg WHERE app = ? AND msg = ?",
		"DELETE FROM job WHERE app = ? AND msg = ?",
		"DELETE FROM target_draft WHERE app = ? AND msg = ?",
		"DELETE FROM msg WHERE app = ? AND id = ?",
	} {
		if _, err := t.exec(q, app, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// purgeDirectChunks deletes the chunks of delivery numbers that no message
// has any more.
func (t *tx) purgeDirectChunks(app int64) error {
	lowest, err := t.firstDelivery(app)
	if err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM receipt_seg WHERE app = ? AND msg = 0 AND slab < ?", app, int64(lowest>>10)); err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM direct_chunk WHERE app = ? AND slice < ?", app, int64(lowest>>16))
	return err
}
