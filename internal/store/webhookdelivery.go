package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const deliveryColumns = "seq, id, waiting, data, crc"

func scanDelivery(d *record.WebhookDelivery, scan func(...any) error) error {
	var b []byte
	var crc int64
	if err := scan(&d.Seq, &d.ID, &d.Open, &b, &crc); err != nil {
		return err
	}
	row := func() string { return fmt.Sprintf("webhook_delivery %s, %d", d.Hook, d.Seq) }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	if err := json.Unmarshal(b, d); err != nil {
		return damaged(row(), err)
	}
	return nil
}

// AddDeliveries writes deliveries of one webhook in one commit, and gives them
// with their numbers. With a fence, the webhook must still be held with it.
func (db *DB) AddDeliveries(ctx context.Context, list []record.WebhookDelivery, fence int64) ([]record.WebhookDelivery, error) {
	if len(list) == 0 {
		return nil, nil
	}
	app, hook := list[0].App, list[0].Hook
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	data := make([][]byte, len(list))
	for i := range list {
		if data[i], err = json.Marshal(list[i]); err != nil {
			return nil, fmt.Errorf("store: writing a delivery: %w", err)
		}
	}
	out := slices.Clone(list)
	err = db.write(ctx, func(t *tx) error {
		w, _, _, err := t.webhook(a, app, hook)
		if err != nil {
			return err
		}
		if fence != 0 && w.Fence != fence {
			return notHeld()
		}
		var last int64
		if _, err := t.rowAside("SELECT COALESCE(MAX(seq), 0) FROM webhook_delivery WHERE app = ? AND hook = ?", []any{a, hook}, &last); err != nil {
			return err
		}
		for i := range out {
			d := &out[i]
			d.Seq = last + 1 + int64(i)
			if _, err := t.execAside("INSERT INTO webhook_delivery (app, hook, seq, id, waiting, at, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				a, hook, d.Seq, d.ID, flag(d.Open), millis(d.At), data[i], checksum(data[i])); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// MarkDeliveries writes what came of attempts, and changes the webhook with it,
// which must still be held with a fence. change may be called twice.
func (db *DB) MarkDeliveries(ctx context.Context, app herald.AppKey, hook string, list []record.WebhookDelivery, fence int64, change func(*record.Webhook)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	data := make([][]byte, len(list))
	for i := range list {
		if data[i], err = json.Marshal(list[i]); err != nil {
			return fmt.Errorf("store: writing a delivery: %w", err)
		}
	}
	return db.write(ctx, func(t *tx) error {
		w, _, _, err := t.webhook(a, app, hook)
		if err != nil {
			return err
		}
		if w.Fence != fence {
			return notHeld()
		}
		change(&w)
		if err := t.putWebhook(a, &w); err != nil {
			return err
		}
		for i, d := range list {
			if _, err := t.execAside("UPDATE webhook_delivery SET waiting = ?, data = ?, crc = ? WHERE app = ? AND hook = ? AND seq = ?",
				flag(d.Open), data[i], checksum(data[i]), a, hook, d.Seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// OpenDeliveries lists the deliveries of a webhook that are to be attempted,
// oldest first.
func (db *DB) OpenDeliveries(ctx context.Context, app herald.AppKey, hook string, limit int) ([]record.WebhookDelivery, error) {
	return db.deliveries(ctx, app, hook, "waiting = 1 AND app = ? AND hook = ? ORDER BY seq LIMIT ?", limit)
}

// Delivery finds a delivery of a webhook by its webhook ID: the newest one, if
// it was replayed.
func (db *DB) Delivery(ctx context.Context, app herald.AppKey, hook, id string) (record.WebhookDelivery, error) {
	list, err := db.deliveries(ctx, app, hook, "app = ? AND hook = ? AND id = ? ORDER BY seq DESC LIMIT 1", id)
	if err == nil && len(list) == 0 {
		err = notFound("delivery", "GET /v1/webhooks/{id}/deliveries lists those that are kept.")
	}
	if err != nil {
		return record.WebhookDelivery{App: app, Hook: hook}, err
	}
	return list[0], nil
}

// Deliveries lists the deliveries of a webhook before a number (0: the newest),
// newest first, at most limit.
func (db *DB) Deliveries(ctx context.Context, app herald.AppKey, hook string, before int64, limit int) ([]record.WebhookDelivery, error) {
	where, args := "app = ? AND hook = ?", []any(nil)
	if before > 0 {
		where, args = where+" AND seq < ?", append(args, before)
	}
	return db.deliveries(ctx, app, hook, where+" ORDER BY seq DESC LIMIT ?", append(args, limit)...)
}

// deliveries lists those that a condition chooses, whose first values are the
// app and the webhook.
func (db *DB) deliveries(ctx context.Context, app herald.AppKey, hook, where string, more ...any) ([]record.WebhookDelivery, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.WebhookDelivery
	err = scan(ctx, &db.readers, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE "+where, append([]any{a, hook}, more...), func(r *sql.Rows) error {
		d := record.WebhookDelivery{App: app, Hook: hook}
		if err := scanDelivery(&d, r.Scan); err != nil {
			return wrap(err)
		}
		out = append(out, d)
		return nil
	})
	return out, err
}

// purgeDeliveries deletes deliveries that are old, or more than keep, and what
// was told of messages long ago. Those that are open stay.
func (db *DB) purgeDeliveries(ctx context.Context, before time.Time, keep int) error {
	type hook struct {
		app, last int64
		id        string
	}
	var hooks []hook
	if err := scan(ctx, &db.readers, "SELECT app, hook, MAX(seq) FROM webhook_delivery GROUP BY app, hook", nil, func(r *sql.Rows) error {
		var h hook
		err := r.Scan(&h.app, &h.id, &h.last)
		hooks = append(hooks, h)
		return wrap(err)
	}); err != nil {
		return err
	}
	for _, h := range hooks {
		// The newest one stays, so that numbers are not used again.
		if err := db.write(ctx, func(t *tx) error {
			_, err := t.execAside("DELETE FROM webhook_delivery WHERE app = ? AND hook = ? AND waiting = 0 AND seq < ? AND (at < ? OR seq <= ?)",
				h.app, h.id, h.last, millis(before), h.last-int64(keep))
			return err
		}); err != nil {
			return err
		}
	}
	var n int64
	if err := db.readers.QueryRowContext(ctx, "SELECT COUNT(*) FROM webhook_done").Scan(&n); err != nil || n == 0 {
		return wrap(err)
	}
	return db.write(ctx, func(t *tx) error {
		// A message can become done for as long as it may be received late.
		_, err := t.execAside("DELETE FROM webhook_done WHERE at < ?", millis(before.Add(-herald.TraceRetention)))
		return err
	})
}
