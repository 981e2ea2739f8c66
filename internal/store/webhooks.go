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

func noWebhook() error {
	return notFound("webhook", "GET /v1/webhooks lists the webhooks of the app.")
}

func notHeld() error {
	return herald.Errorf(herald.CodeConflict, "Lease the webhook again.", "the webhook was changed, or is not held any more")
}

// Webhooks lists the webhooks of an app, or (empty) of all apps, by ID.
func (db *DB) Webhooks(ctx context.Context, app herald.AppKey) ([]record.Webhook, error) {
	where, args := "", []any(nil)
	if app != "" {
		a, err := db.apps.id(app)
		if err != nil {
			return nil, err
		}
		where, args = " WHERE w.app = ?", []any{a}
	}
	var out []record.Webhook
	err := scan(ctx, &db.readers, `SELECT w.app, w.id, w.data, w.crc, w.fence, h.last,
		(SELECT COUNT(*) FROM webhook_delivery d WHERE d.waiting = 1 AND d.app = w.app AND d.hook = w.id)
		FROM webhook w JOIN webhook_head h ON h.app = w.app`+where+" ORDER BY w.app, w.id", args, func(r *sql.Rows) error {
		var w record.Webhook
		var a, crc int64
		var b sql.RawBytes
		if err := r.Scan(&a, &w.ID, &b, &crc, &w.Fence, &w.LogEnd, &w.Waiting); err != nil {
			return wrap(err)
		}
		w.App = db.apps.keyOf(a)
		if err := parseWebhook(&w, b, crc); err != nil {
			return err
		}
		out = append(out, w)
		return nil
	})
	return out, err
}

func parseWebhook(w *record.Webhook, b []byte, crc int64) error {
	row := func() string { return "webhook " + w.ID }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	if err := json.Unmarshal(b, w); err != nil {
		return damaged(row(), err)
	}
	return nil
}

// CreateWebhook writes a webhook, unless its app has as many as it may. It is
// told of what happens from then on.
func (db *DB) CreateWebhook(ctx context.Context, w record.Webhook, most int) error {
	a, err := db.apps.id(w.App)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var last, hooks int64
		ok, err := t.rowAside("SELECT last, hooks FROM webhook_head WHERE app = ?", []any{a}, &last, &hooks)
		if err != nil {
			return err
		}
		if hooks >= int64(most) {
			return herald.Errorf(herald.CodeLimitReached, "Delete a webhook that is not used any more, or let one receive more kinds of events.", "an app has at most %d webhooks", most)
		}
		delete(t.hooks, a)
		w := w
		w.Sent = record.WebhookPos{N: uint64(last)}
		b, err := json.Marshal(w)
		if err != nil {
			return fmt.Errorf("store: writing a webhook: %w", err)
		}
		if !ok {
			_, err = t.execAside("INSERT INTO webhook_head (app, last, done, hooks, bytes) VALUES (?, 0, 0, 1, 0)", a)
		} else {
			_, err = t.execAside("UPDATE webhook_head SET hooks = hooks + 1 WHERE app = ?", a)
		}
		if err == nil {
			_, err = t.execAside("INSERT INTO webhook (app, id, data, crc, fence, owner, leased) VALUES (?, ?, ?, ?, 0, '', 0)", a, w.ID, b, checksum(b))
		}
		return err
	})
}

// webhook reads a webhook inside a commit.
func (t *tx) webhook(app int64, key herald.AppKey, id string) (w record.Webhook, owner string, leased int64, err error) {
	var b []byte
	var crc int64
	ok, err := t.rowAside("SELECT data, crc, fence, owner, leased FROM webhook WHERE app = ? AND id = ?", []any{app, id}, &b, &crc, &w.Fence, &owner, &leased)
	w.App, w.ID = key, id
	switch {
	case err != nil:
		return w, "", 0, err
	case !ok:
		return w, "", 0, noWebhook()
	}
	return w, owner, leased, parseWebhook(&w, b, crc)
}

func (t *tx) putWebhook(app int64, w *record.Webhook) error {
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("store: writing a webhook: %w", err)
	}
	_, err = t.execAside("UPDATE webhook SET data = ?, crc = ?, fence = ? WHERE app = ? AND id = ?", b, checksum(b), w.Fence, app, w.ID)
	return err
}

// UpdateWebhook changes a webhook. Whoever holds a lease of it loses that. change
// may be called twice.
func (db *DB) UpdateWebhook(ctx context.Context, app herald.AppKey, id string, change func(*record.Webhook) error) (out record.Webhook, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return out, err
	}
	err = db.write(ctx, func(t *tx) error {
		if out, _, _, err = t.webhook(a, app, id); err != nil {
			return err
		}
		if err := change(&out); err != nil {
			return err
		}
		out.Fence++
		return t.putWebhook(a, &out)
	})
	return out, err
}

// LeaseWebhook gives a webhook to an owner for a time, unless another one has
// it (conflict), and raises its fence.
func (db *DB) LeaseWebhook(ctx context.Context, app herald.AppKey, id, owner string, now time.Time, lease time.Duration) (out record.Webhook, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return out, err
	}
	err = db.write(ctx, func(t *tx) error {
		w, had, leased, err := t.webhook(a, app, id)
		if err != nil {
			return err
		}
		if had != owner && leased > millis(now) {
			return herald.Errorf(herald.CodeConflict, "Wait until its lease ends.", "another node has the webhook")
		}
		w.Fence++
		out = w
		_, err = t.execAside("UPDATE webhook SET fence = ?, owner = ?, leased = ? WHERE app = ? AND id = ?", w.Fence, owner, millis(now.Add(lease)), a, id)
		return err
	})
	return out, err
}

// DeleteWebhook deletes a webhook with its deliveries.
func (db *DB) DeleteWebhook(ctx context.Context, app herald.AppKey, id string) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var one int64
		ok, err := t.rowAside("SELECT 1 FROM webhook WHERE app = ? AND id = ?", []any{a, id}, &one)
		if err != nil {
			return err
		}
		if !ok {
			return noWebhook()
		}
		for _, q := range []string{"DELETE FROM webhook WHERE app = ? AND id = ?", "DELETE FROM webhook_delivery WHERE app = ? AND hook = ?"} {
			if _, err := t.execAside(q, a, id); err != nil {
				return err
			}
		}
		delete(t.hooks, a)
		_, err = t.execAside("UPDATE webhook_head SET hooks = hooks - 1 WHERE app = ?", a)
		return err
	})
}

// loggedInSlice is how many rows of a log one operation deletes.
const loggedInSlice = 500

// PurgeWebhooks deletes rows of the webhook log that are older than a time, or
// more than so many bytes, oldest first; what deliveries there were before it,
// or more than keep of one webhook; and what was told longer ago. What a webhook
// had not been sent counts as dropped there.
func (db *DB) PurgeWebhooks(ctx context.Context, before time.Time, most int64, keep int) error {
	type log struct{ app, bytes, hooks int64 }
	var logs []log
	if err := scan(ctx, &db.readers, "SELECT app, bytes, hooks FROM webhook_head ORDER BY app", nil, func(r *sql.Rows) error {
		var l log
		err := r.Scan(&l.app, &l.bytes, &l.hooks)
		logs = append(logs, l)
		return wrap(err)
	}); err != nil {
		return err
	}
	for _, l := range logs {
		room := most
		if l.hooks == 0 {
			room = 0
		}
		for more := true; more; {
			var err error
			if more, err = db.purgeWebhookLog(ctx, l.app, before, room); err != nil {
				return err
			}
		}
	}
	return db.purgeDeliveries(ctx, before, keep)
}

// purgeWebhookLog deletes some rows, and tells whether there may be more.
func (db *DB) purgeWebhookLog(ctx context.Context, app int64, before time.Time, room int64) (more bool, err error) {
	err = db.write(ctx, func(t *tx) error {
		more = false
		var bytes, upto, size int64
		if _, err := t.rowAside("SELECT bytes FROM webhook_head WHERE app = ?", []any{app}, &bytes); err != nil {
			return err
		}
		over, n := bytes-room, 0
		if err := scan(context.Background(), t, "SELECT n, at, LENGTH(data) FROM webhook_log WHERE app = ? ORDER BY n LIMIT ?", []any{app, loggedInSlice}, func(r *sql.Rows) error {
			var row, at, length int64
			if err := r.Scan(&row, &at, &length); err != nil {
				return err
			}
			if n >= 0 && (at < millis(before) || size < over) {
				upto, size, n = row, size+length, n+1
			} else {
				n = -1 // what follows stays
			}
			return nil
		}); err != nil || upto == 0 {
			return err
		}
		more = n == loggedInSlice
		if err := t.dropForWebhooks(app, upto); err != nil {
			return err
		}
		if _, err := t.execAside("DELETE FROM webhook_log WHERE app = ? AND n <= ?", app, upto); err != nil {
			return err
		}
		_, err := t.execAside("UPDATE webhook_head SET bytes = bytes - ? WHERE app = ?", size, app)
		return err
	})
	return more, err
}

// dropForWebhooks counts what the webhooks of an app will never be sent.
func (t *tx) dropForWebhooks(app, upto int64) error {
	var ids []string
	if err := scan(context.Background(), t, "SELECT id FROM webhook WHERE app = ?", []any{app}, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return err
	}
	for _, id := range ids {
		w, _, _, err := t.webhook(app, t.db.apps.keyOf(app), id)
		if err != nil {
			return err
		}
		if w.Sent.N >= uint64(upto) {
			continue
		}
		var lost int64
		if _, err := t.rowAside("SELECT COALESCE(SUM(events), 0) FROM webhook_log WHERE app = ? AND n > ? AND n <= ?", []any{app, int64(w.Sent.N), upto}, &lost); err != nil {
			return err
		}
		w.Dropped += max(0, lost-w.Sent.I)
		w.Sent = record.WebhookPos{N: uint64(upto)}
		w.Fence++
		if err := t.putWebhook(app, &w); err != nil {
			return err
		}
	}
	return nil
}
