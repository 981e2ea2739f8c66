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

// AddDelivery writes a delivery, and gives it with its number. With a fence, the
// webhook must still be held with it.
func (db *DB) AddDelivery(ctx context.Context, d record.WebhookDelivery, fence int64) (record.WebhookDelivery, error) {
	a, err := db.apps.id(d.App)
	if err != nil {
		return d, err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return d, fmt.Errorf("store: writing a delivery: %w", err)
	}
	err = db.write(ctx, func(t *tx) error {
		w, _, _, err := t.webhook(a, d.App, d.Hook)
		if err != nil {
			return err
		}
		if fence != 0 && w.Fence != fence {
			return notHeld()
		}
		if _, err := t.rowAside("SELECT COALESCE(MAX(seq), 0) FROM webhook_delivery WHERE app = ? AND hook = ?", []any{a, d.Hook}, &d.Seq); err != nil {
			return err
		}
		d.Seq++
		_, err = t.execAside("INSERT INTO webhook_delivery (app, hook, seq, id, waiting, at, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			a, d.Hook, d.Seq, d.ID, flag(d.Open), millis(d.At), b, checksum(b))
		return err
	})
	return d, err
}

// MarkDelivery writes what came of an attempt, and changes the webhook with it,
// which must still be held with a fence. change may be called twice.
func (db *DB) MarkDelivery(ctx context.Context, d record.WebhookDelivery, fence int64, change func(*record.Webhook)) error {
	a, err := db.apps.id(d.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("store: writing a delivery: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		w, _, _, err := t.webhook(a, d.App, d.Hook)
		if err != nil {
			return err
		}
		if w.Fence != fence {
			return notHeld()
		}
		change(&w)
		if err := t.putWebhook(a, &w); err != nil || d.Seq == 0 {
			return err
		}
		_, err = t.execAside("UPDATE webhook_delivery SET waiting = ?, data = ?, crc = ? WHERE app = ? AND hook = ? AND seq = ?",
			flag(d.Open), b, checksum(b), a, d.Hook, d.Seq)
		return err
	})
}

// OpenDelivery finds the oldest delivery of a webhook that is to be attempted;
// not_found if there is none.
func (db *DB) OpenDelivery(ctx context.Context, app herald.AppKey, hook string) (record.WebhookDelivery, error) {
	return db.delivery(ctx, app, hook, "waiting = 1 AND app = ? AND hook = ? ORDER BY seq LIMIT 1")
}

// Delivery finds a delivery of a webhook by its webhook ID: the newest one, if
// it was replayed.
func (db *DB) Delivery(ctx context.Context, app herald.AppKey, hook, id string) (record.WebhookDelivery, error) {
	return db.delivery(ctx, app, hook, "app = ? AND hook = ? AND id = ? ORDER BY seq DESC LIMIT 1", id)
}

func (db *DB) delivery(ctx context.Context, app herald.AppKey, hook, where string, more ...any) (record.WebhookDelivery, error) {
	d := record.WebhookDelivery{App: app, Hook: hook}
	a, err := db.apps.id(app)
	if err != nil {
		return d, err
	}
	err = scanDelivery(&d, db.readers.QueryRowContext(ctx, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE "+where, append([]any{a, hook}, more...)...).Scan)
	if ok, err := found(err); err != nil {
		return d, wrap(err)
	} else if !ok {
		return d, notFound("delivery", "GET /v1/webhooks/{id}/deliveries lists those that are kept.")
	}
	return d, nil
}

// Deliveries lists the deliveries of a webhook before a number (0: the newest),
// newest first, at most limit.
func (db *DB) Deliveries(ctx context.Context, app herald.AppKey, hook string, before int64, limit int) ([]record.WebhookDelivery, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	where, args := "app = ? AND hook = ?", []any{a, hook}
	if before > 0 {
		where, args = where+" AND seq < ?", append(args, before)
	}
	var out []record.WebhookDelivery
	err = scan(ctx, &db.readers, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE "+where+" ORDER BY seq DESC LIMIT ?", append(args, limit), func(r *sql.Rows) error {
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
