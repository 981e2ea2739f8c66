package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Bulk fills a new database with a large number of rows, for measuring what
// Herald does with them. It takes no log entries and no receipts, writes
// nothing durably before Close, and leaves an unusable file behind when it
// fails or is interrupted. Rows come in the order of their keys; the indexes
// over them are made at the end. It is used by one goroutine.
type Bulk struct {
	db      *DB
	app     int64
	key     herald.AppKey
	indexes []string // of the tables that Devices and Recipients fill
}

// OpenBulk fills a new database of SQLite, with one app.
func OpenBulk(ctx context.Context, cfg Config, app record.App) (*Bulk, error) {
	db, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b := &Bulk{db: db, key: app.Key}
	if err := b.begin(ctx, app); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

func (b *Bulk) begin(ctx context.Context, app record.App) error {
	app.Settings.Zoned = true // who writes the devices writes their sets
	if err := b.db.CreateApp(ctx, app); err != nil {
		return err
	}
	var err error
	if b.app, err = b.db.apps.id(app.Key); err != nil {
		return err
	}
	return b.db.write(ctx, func(t *tx) error {
		rows, err := t.w.conn.QueryContext(ctx, `SELECT name, sql FROM sqlite_schema
			WHERE type = 'index' AND tbl_name IN ('device', 'recipient') AND sql IS NOT NULL ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		var names []string
		for rows.Next() {
			var name, create string
			if err := rows.Scan(&name, &create); err != nil {
				return err
			}
			names, b.indexes = append(names, name), append(b.indexes, create)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, name := range names {
			if _, err := t.exec("DROP INDEX " + name); err != nil {
				return err
			}
		}
		return nil
	})
}

// BulkDevice is a device with the ordinal of its recipient, if it has one.
type BulkDevice struct {
	record.Device
	Recipient uint32
	Bound     bool
}

// Devices writes the next devices of the app, each at a log position of its
// own. Ord must be the next ordinal; of those that are Removed only the
// ordinal is taken.
func (b *Bulk) Devices(ctx context.Context, devices []BulkDevice) error {
	return b.db.write(ctx, func(t *tx) error {
		h, err := t.head(b.app)
		if err != nil {
			return err
		}
		r := rows{t: t, columns: 14, into: `device (app, ord, id, installation, recipient, bound_pos, platform, app_version,
			language, time_zone, attributes, generation, created, seen)`}
		for i := range devices {
			d := &devices[i]
			if uint64(d.Ord) != h.NextOrd {
				return fmt.Errorf("store: device %d comes where %d is the next", d.Ord, h.NextOrd)
			}
			pos := t.next(h)
			h.NextOrd++
			if d.Removed {
				continue
			}
			var recipient, bound any = nil, int64(0)
			if d.Bound {
				recipient, bound = int64(d.Recipient), int64(pos)
			}
			var installation any
			if d.Installation != nil {
				installation = d.Installation
			}
			if err := r.add(b.app, int64(d.Ord), string(d.ID), installation, recipient, bound, string(d.Platform), d.AppVersion,
				d.Language, d.TimeZone, nil, int64(d.Generation), millis(d.Created), millis(d.Seen)); err != nil {
				return err
			}
		}
		return r.flush()
	})
}

// Recipients writes the next recipients of the app, by their aliases.
func (b *Bulk) Recipients(ctx context.Context, aliases []herald.Alias, created time.Time) error {
	return b.db.write(ctx, func(t *tx) error {
		h, err := t.head(b.app)
		if err != nil {
			return err
		}
		r := rows{t: t, columns: 4, into: "recipient (app, ord, alias, created)"}
		for _, a := range aliases {
			if err := r.add(b.app, int64(h.nextRecipient), string(a), millis(created)); err != nil {
				return err
			}
			h.nextRecipient++
			h.dirty = true
		}
		return r.flush()
	})
}

// Remove notes that devices were removed, each at the next log position.
func (b *Bulk) Remove(ctx context.Context, ords []herald.Ordinal) error {
	return b.db.write(ctx, func(t *tx) error {
		h, err := t.head(b.app)
		if err != nil {
			return err
		}
		r := rows{t: t, columns: 3, into: "removed (app, pos, ord)"}
		for _, o := range ords {
			if err := r.add(b.app, int64(t.next(h)), int64(o)); err != nil {
				return err
			}
		}
		return r.flush()
	})
}

// Message writes a message with its target and its release, and chunks of its
// states.
func (b *Bulk) Message(ctx context.Context, m *record.Message, states []record.Chunk) error {
	if _, err := b.db.Accept(ctx, record.Acceptance{Message: *m}); err != nil {
		return err
	}
	return b.db.write(ctx, func(t *tx) error {
		for _, c := range states {
			bits, err := record.AppendSet(nil, c.Bits)
			if err != nil {
				return err
			}
			if err := t.putStateChunk(b.app, c, bits); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sets writes chunks of named sets.
func (b *Bulk) Sets(ctx context.Context, chunks []record.SetChunk) error {
	return b.db.FoldSets(ctx, b.key, 0, chunks)
}

// Head says where the log of the app stands.
func (b *Bulk) Head(ctx context.Context) (record.Head, error) { return b.db.Head(ctx, b.key) }

// Index makes the indexes; step is called before each.
func (b *Bulk) Index(ctx context.Context, step func(i, of int)) error {
	for i, q := range b.indexes {
		step(i, len(b.indexes))
		if err := b.db.write(ctx, func(t *tx) error { _, err := t.exec(q); return err }); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the database.
func (b *Bulk) Close() error { return b.db.Close() }

// rowsAtOnce is how many rows one statement of rows writes.
const rowsAtOnce = 64

// rows writes many rows of one table with few statements.
type rows struct {
	t       *tx
	into    string // table and columns
	columns int
	args    []any
}

func (r *rows) add(values ...any) error {
	r.args = append(r.args, values...)
	if len(r.args) < rowsAtOnce*r.columns {
		return nil
	}
	return r.flush()
}

func (r *rows) flush() error {
	n := len(r.args) / r.columns
	if n == 0 {
		return nil
	}
	one := "(" + in(r.columns) + ")"
	_, err := r.t.exec("INSERT INTO "+r.into+" VALUES "+one+strings.Repeat(", "+one, n-1), r.args...)
	r.args = r.args[:0]
	return err
}
