package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const retainedColumns = "topic, sender, client, at, expires, body, crc"

// retainedInSlice is how many entries one purge deletes.
const retainedInSlice = 500

// PutRetained does all of some operations in one commit. Those that are refused,
// because an app has as many entries as most, say so in Err and do not disturb
// the others. With an error none was done.
func (db *DB) PutRetained(ctx context.Context, ops []*record.RetainedOp, most int) error {
	return db.do(ctx, &op{rows: len(ops), done: make(chan struct{}), run: func(t *tx) error {
		counts := map[int64]int64{}
		for _, o := range ops {
			o.Err = nil
			err := t.putRetained(o, counts, most)
			if logical(err) { // before it wrote anything
				o.Err, err = err, nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	}})
}

// putRetained does one operation. Counts are the entries of apps, as far as they
// were needed.
func (t *tx) putRetained(o *record.RetainedOp, counts map[int64]int64, most int) error {
	app, err := t.db.apps.id(o.App)
	if err != nil {
		return err
	}
	e := o.Entry
	var one int64
	there, err := t.rowAside("SELECT 1 FROM retained WHERE app = ? AND topic = ?", []any{app, string(e.Topic)}, &one)
	if err != nil {
		return err
	}
	if e.Empty() {
		if there {
			if n, known := counts[app]; known {
				counts[app] = n - 1
			}
			_, err = t.execAside("DELETE FROM retained WHERE app = ? AND topic = ?", app, string(e.Topic))
		}
		return err
	}
	if !there {
		if err := t.countRetained(app, counts, most); err != nil {
			return err
		}
		counts[app]++
	}
	body := record.AppendTopicBody(nil, e)
	_, err = t.execAside("INSERT INTO retained (app, "+retainedColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, topic) DO UPDATE SET sender = excluded.sender, client = excluded.client, at = excluded.at,
		expires = excluded.expires, body = excluded.body, crc = excluded.crc`,
		app, string(e.Topic), string(e.From), e.Client, millis(e.Time), millis(e.Expires), body, checksum(body))
	return err
}

// countRetained checks that an app may have one more entry.
func (t *tx) countRetained(app int64, counts map[int64]int64, most int) error {
	if _, known := counts[app]; !known {
		var n int64
		if _, err := t.rowAside("SELECT COUNT(*) FROM retained WHERE app = ?", []any{app}, &n); err != nil {
			return err
		}
		counts[app] = n
	}
	if counts[app] >= int64(most) {
		return herald.Errorf(herald.CodeLimitReached, "Delete retained publications that are not needed any more, or give them an expiry.",
			"an app keeps at most %d retained publications", most)
	}
	return nil
}

// Retained lists the entries of an app whose topics are not before one, and come
// after another, in byte order, at most limit.
func (db *DB) Retained(ctx context.Context, app herald.AppKey, from, after herald.Topic, limit int) ([]record.TopicEntry, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.TopicEntry
	err = scan(ctx, &db.readers, "SELECT "+retainedColumns+" FROM retained WHERE app = ? AND topic >= ? AND topic > ? ORDER BY topic LIMIT ?",
		[]any{a, string(from), string(after), limit}, func(r *sql.Rows) error {
			e, err := scanRetained(app, r)
			out = append(out, e)
			return err
		})
	return out, err
}

func scanRetained(app herald.AppKey, r *sql.Rows) (record.TopicEntry, error) {
	e := record.TopicEntry{Retain: true}
	var b []byte
	var at, expires, crc int64
	if err := r.Scan(&e.Topic, &e.From, &e.Client, &at, &expires, &b, &crc); err != nil {
		return e, wrap(err)
	}
	row := func() string { return fmt.Sprintf("retained %s %q", app, e.Topic) }
	if err := verify(b, crc, row); err != nil {
		return e, err
	}
	e.Time = fromMillis(at)
	if expires != 0 {
		e.Expires = fromMillis(expires)
	}
	if err := record.ParseTopicBody(b, &e); err != nil {
		return e, damaged(row(), err)
	}
	return e, nil
}

// PurgeRetained deletes some entries that have expired, and reports whether
// there may be more.
func (db *DB) PurgeRetained(ctx context.Context, now time.Time) (bool, error) {
	type key struct {
		app   int64
		topic string
	}
	var keys []key
	if err := scan(ctx, &db.readers, "SELECT app, topic FROM retained WHERE expires > 0 AND expires <= ? ORDER BY expires LIMIT ?",
		[]any{millis(now), retainedInSlice}, func(r *sql.Rows) error {
			var k key
			err := r.Scan(&k.app, &k.topic)
			keys = append(keys, k)
			return wrap(err)
		}); err != nil || len(keys) == 0 {
		return false, err
	}
	return len(keys) == retainedInSlice, db.write(ctx, func(t *tx) error {
		for _, k := range keys {
			// Another one may have come in its place.
			if _, err := t.execAside("DELETE FROM retained WHERE app = ? AND topic = ? AND expires > 0 AND expires <= ?", k.app, k.topic, millis(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// eraseRetained takes out of what is kept which device published it.
func (t *tx) eraseRetained(app int64, id herald.RegistrationID) error {
	_, err := t.execAside("UPDATE retained SET sender = '', client = '' WHERE app = ? AND sender = ?", app, string(id))
	return err
}
