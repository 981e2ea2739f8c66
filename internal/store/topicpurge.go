package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// PurgeTopics deletes entries of an app that were published before a time, the
// oldest first, at most limit.
func (db *DB) PurgeTopics(ctx context.Context, app herald.AppKey, before time.Time, limit int) (deleted int, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	upto, stays := herald.Pos(0), false
	if err := scan(ctx, &db.readers, "SELECT pos, at FROM topic_log WHERE app = ? ORDER BY pos LIMIT ? + 0", []any{a, limit}, func(r *sql.Rows) error {
		var pos herald.Pos
		var at int64
		err := r.Scan(&pos, &at)
		// What is behind one that stays is looked at when that one goes.
		if stays = stays || at >= millis(before); !stays {
			upto = pos
			deleted++
		}
		return wrap(err)
	}); err != nil || deleted == 0 {
		return 0, err
	}
	return deleted, db.write(ctx, func(t *tx) error {
		for _, q := range [...]string{"DELETE FROM topic_log WHERE app = ? AND pos <= ?", "DELETE FROM topic_share WHERE app = ? AND pos <= ?"} {
			if _, err := t.exec(q, a, int64(upto)); err != nil {
				return err
			}
		}
		return nil
	})
}

// eraseTopics takes the name of a device out of what it published, in slices
// that hold up nobody. All entries are looked at: none leads from a device to
// what it published.
func (db *DB) eraseTopics(ctx context.Context, a int64, id herald.RegistrationID) error {
	for after := int64(0); ; {
		seen := 0
		var hits []int64
		if err := scan(ctx, &db.readers, "SELECT pos, sender FROM topic_log WHERE app = ? AND pos > ? ORDER BY pos LIMIT ? + 0", []any{a, after, scannedForErase}, func(r *sql.Rows) error {
			var sender herald.RegistrationID
			err := r.Scan(&after, &sender)
			seen++
			if sender == id {
				hits = append(hits, after)
			}
			return wrap(err)
		}); err != nil {
			return err
		}
		if len(hits) > 0 {
			if err := db.write(ctx, func(t *tx) error {
				return t.securely(func() error {
					for _, pos := range hits {
						if _, err := t.exec("UPDATE topic_log SET sender = '', client = '' WHERE app = ? AND pos = ?", a, pos); err != nil {
							return err
						}
					}
					return nil
				})
			}); err != nil {
				return err
			}
		}
		if seen < scannedForErase {
			return nil
		}
	}
}

// endTopicSessions ends the sessions of a device that is removed.
func (t *tx) endTopicSessions(app int64, ord herald.Ordinal) error {
	var clients []string
	rows, err := t.QueryContext(context.Background(), "SELECT client FROM topic_session WHERE app = ? AND ord = ?", app, int64(ord))
	if err != nil {
		return err
	}
	for rows.Next() {
		var client string
		if err := rows.Scan(&client); err != nil {
			return errors.Join(err, rows.Close())
		}
		clients = append(clients, client)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	b := &topicBatch{tx: t, now: millis(t.db.cfg.Now()), sessions: map[topicKey]*topicSession{}}
	for _, client := range clients {
		o := &record.TopicOp{App: t.db.apps.keyOf(app), Client: client, End: true}
		if err := b.end(app, o); err != nil {
			return err
		}
		t.news = append(t.news, news{app: o.App, topics: o.Moved})
	}
	return nil
}
