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

// Kinds of rows in webhook_log.
const (
	webhookReceipts = "receipts"
	webhookDevices  = "devices"
	webhookEnds     = "ends"
)

// nobody stands for the device of a row that is not about one.
const nobody = -1

// hookHead is the row webhook_head of one app while a commit holds it. It is read
// once for a group: most operations of most apps ask and have nothing to tell.
type hookHead struct{ last, hooks int64 }

// webhooked gives the head of the webhook log of an app; nil if it has no
// webhooks, so that what happens need not be written down.
func (t *tx) webhooked(app int64) (*hookHead, error) {
	h := t.hooks[app]
	if h == nil {
		h = &hookHead{}
		if _, err := t.rowAside("SELECT last, hooks FROM webhook_head WHERE app = ?", []any{app}, &h.last, &h.hooks); err != nil {
			return nil, err
		}
		if t.hooks == nil {
			t.hooks = map[int64]*hookHead{}
		}
		t.hooks[app] = h
	}
	if h.hooks == 0 {
		return nil, nil
	}
	return h, nil
}

// tellWebhooks writes down what the webhooks of an app are told, in the commit
// in which it happens. data is called if there are any.
func (t *tx) tellWebhooks(app int64, kind string, ord, events int64, data func() ([]byte, error)) error {
	hooks, err := t.webhooked(app)
	if err != nil || hooks == nil || events == 0 {
		return err
	}
	b, err := data()
	if err != nil {
		return fmt.Errorf("store: writing for webhooks: %w", err)
	}
	h, err := t.head(app)
	if err != nil {
		return err
	}
	hooks.last++
	if _, err := t.execAside("UPDATE webhook_head SET last = ?, bytes = bytes + ? WHERE app = ?", hooks.last, len(b), app); err != nil {
		return err
	}
	_, err = t.execAside("INSERT INTO webhook_log (app, n, epoch, at, kind, ord, events, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		app, hooks.last, int64(h.Epoch), millis(t.db.cfg.Now()), kind, ord, events, blob(b), checksum(b))
	return err
}

// tellReceipts tells webhooks of a batch of receipts, encoded as it is logged.
func (t *tx) tellReceipts(app int64, events []record.Event, encoded []byte) error {
	if hooks, err := t.webhooked(app); err != nil || hooks == nil {
		return err
	}
	n := int64(0)
	for _, e := range events {
		n += e.Set.Len()
	}
	return t.tellWebhooks(app, webhookReceipts, nobody, n, func() ([]byte, error) { return encoded, nil })
}

// tellDevices tells webhooks what happened to devices.
func (t *tx) tellDevices(app int64, list ...record.WebhookDevice) error {
	ord := int64(nobody)
	if len(list) == 1 {
		ord = int64(list[0].Ord)
	}
	return t.tellWebhooks(app, webhookDevices, ord, int64(len(list)), func() ([]byte, error) { return json.Marshal(list) })
}

// tellBound tells webhooks of devices with another alias.
func (t *tx) tellBound(app int64, o herald.Ordinal, alias herald.Alias) error {
	return t.tellDevices(app, boundNow(o, alias))
}

func boundNow(o herald.Ordinal, alias herald.Alias) record.WebhookDevice {
	d := record.WebhookDevice{Kind: "bound", Ord: o, Alias: alias}
	if alias == "" {
		d.Kind = "unbound"
	}
	return d
}

// tellEnds tells webhooks of messages that have ended.
func (t *tx) tellEnds(app int64, list ...record.WebhookEnd) error {
	return t.tellWebhooks(app, webhookEnds, nobody, int64(len(list)), func() ([]byte, error) { return json.Marshal(list) })
}

// WebhookLog walks the rows of an app's webhook log after one, ascending, at
// most limit. each must not call the database.
func (db *DB) WebhookLog(ctx context.Context, app herald.AppKey, after uint64, limit int, each func(record.WebhookEntry) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, &db.readers, "SELECT n, epoch, at, kind, data, crc FROM webhook_log WHERE app = ? AND n > ? ORDER BY n LIMIT ?",
		[]any{a, int64(after), limit}, func(r *sql.Rows) error {
			var e record.WebhookEntry
			var at, crc int64
			var kind string
			var b sql.RawBytes
			if err := r.Scan(&e.N, &e.Epoch, &at, &kind, &b, &crc); err != nil {
				return wrap(err)
			}
			e.At = fromMillis(at)
			row := func() string { return fmt.Sprintf("webhook_log %s, row %d", app, e.N) }
			err := verify(b, crc, row)
			if err != nil {
				return err
			}
			switch kind {
			case webhookReceipts:
				e.Events, err = record.ParseEvents(b)
			case webhookDevices:
				err = json.Unmarshal(b, &e.Devices)
			case webhookEnds:
				err = json.Unmarshal(b, &e.Ends)
			}
			if err != nil {
				return damaged(row(), err)
			}
			return each(e)
		})
}

// WebhookLogAt is the last row of an app's webhook log that was written before
// a time.
func (db *DB) WebhookLogAt(ctx context.Context, app herald.AppKey, at time.Time) (uint64, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	var n, first int64
	err = db.readers.QueryRowContext(ctx, "SELECT COALESCE(MAX(n), 0) FROM webhook_log WHERE app = ? AND at < ?", a, millis(at)).Scan(&n)
	if err == nil && n == 0 { // all that there is, or nothing
		err = db.readers.QueryRowContext(ctx, `SELECT COALESCE((SELECT MIN(n) FROM webhook_log WHERE app = ?) - 1,
			(SELECT last FROM webhook_head WHERE app = ?), 0)`, a, a).Scan(&first)
		n = first
	}
	return uint64(n), wrap(err)
}

// DeviceNames finds the names of devices; those that were removed are absent.
func (db *DB) DeviceNames(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]record.DeviceName, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := make(map[herald.Ordinal]record.DeviceName, len(ords))
	for len(ords) > 0 {
		part := ords[:min(len(ords), inSlice)]
		ords = ords[len(part):]
		args := make([]any, 0, len(part)+1)
		args = append(args, a)
		for _, o := range part {
			args = append(args, int64(o))
		}
		if err := scan(ctx, &db.readers, `SELECT d.ord, d.id, COALESCE(r.alias, ''), d.platform FROM device d
			LEFT JOIN recipient r ON r.app = d.app AND r.ord = d.recipient WHERE d.app = ? AND d.ord IN (`+in(len(part))+")", args, func(r *sql.Rows) error {
			var o herald.Ordinal
			var d record.DeviceName
			err := r.Scan(&o, &d.ID, &d.Alias, &d.Platform)
			out[o] = d
			return wrap(err)
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WebhookDone is the row of the webhook log of an app up to which messages that
// are done were looked for, and its last row.
func (db *DB) WebhookDone(ctx context.Context, app herald.AppKey) (done, last uint64, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, 0, err
	}
	err = db.readers.QueryRowContext(ctx, "SELECT done, last FROM webhook_head WHERE app = ?", a).Scan(&done, &last)
	if _, err := found(err); err != nil {
		return 0, 0, wrap(err)
	}
	return done, last, nil
}

// TellDone notes that messages that are done were looked for up to a row, and
// tells webhooks of those among some that they were not told of.
func (db *DB) TellDone(ctx context.Context, app herald.AppKey, upto uint64, msgs []herald.MessageID) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		now := millis(t.db.cfg.Now())
		var ends []record.WebhookEnd
		for _, id := range msgs {
			var one int64
			told, err := t.rowAside("SELECT 1 FROM webhook_done WHERE app = ? AND msg = ?", []any{a, int64(id)}, &one)
			if err != nil {
				return err
			}
			if !told {
				if _, err := t.execAside("INSERT INTO webhook_done (app, msg, at) VALUES (?, ?, ?)", a, int64(id), now); err != nil {
					return err
				}
				ends = append(ends, record.WebhookEnd{Msg: id, State: herald.MessageDone})
			}
		}
		if err := t.tellEnds(a, ends...); err != nil {
			return err
		}
		_, err := t.execAside("UPDATE webhook_head SET done = ? WHERE app = ? AND done < ?", int64(upto), a, int64(upto))
		return err
	})
}

// eraseWebhookLog deletes what webhooks were or are to be told of a device that
// was erased. That it was removed stays until they were told, which is what the
// app asked for, and then until the log is purged.
func (t *tx) eraseWebhookLog(app int64, o herald.Ordinal) error {
	hooks, err := t.webhooked(app)
	if err != nil || hooks == nil {
		return err
	}
	var last, size int64
	if _, err := t.rowAside("SELECT COALESCE(MAX(n), 0) FROM webhook_log WHERE app = ? AND ord = ?", []any{app, int64(o)}, &last); err != nil {
		return err
	}
	if _, err := t.rowAside("SELECT COALESCE(SUM(LENGTH(data)), 0) FROM webhook_log WHERE app = ? AND ord = ? AND n < ?", []any{app, int64(o), last}, &size); err != nil {
		return err
	}
	if _, err := t.execAside("UPDATE webhook_head SET bytes = bytes - ? WHERE app = ?", size, app); err != nil {
		return err
	}
	_, err = t.execAside("DELETE FROM webhook_log WHERE app = ? AND ord = ? AND n < ?", app, int64(o), last)
	return err
}
