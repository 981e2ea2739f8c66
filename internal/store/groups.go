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

func noGroup() error {
	return notFound("group", "herald group list shows the groups of a server.")
}

// AppGroups lists every group of apps, by key.
func (db *DB) AppGroups(ctx context.Context) ([]record.AppGroup, error) {
	var out []record.AppGroup
	err := scan(ctx, &db.readers, "SELECT grp, data, crc FROM app_group ORDER BY grp", nil, func(r *sql.Rows) error {
		var g record.AppGroup
		var b []byte
		var crc int64
		if err := r.Scan(&g.Key, &b, &crc); err != nil {
			return wrap(err)
		}
		if err := parseRow(b, crc, &g, func() string { return "app_group " + string(g.Key) }); err != nil {
			return err
		}
		out = append(out, g)
		return nil
	})
	return out, err
}

// parseRow reads a row that is JSON with a checksum beside it.
func parseRow(b []byte, crc int64, into any, row func() string) error {
	if err := verify(b, crc, row); err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return damaged(row(), err)
	}
	return nil
}

// PutAppGroup writes a group: a new one, or one that has changed.
func (db *DB) PutAppGroup(ctx context.Context, g record.AppGroup) error {
	b, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("store: writing a group of apps: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO app_group (grp, data, crc) VALUES (?, ?, ?)
			ON CONFLICT (grp) DO UPDATE SET data = excluded.data, crc = excluded.crc`, string(g.Key), b, checksum(b))
		return err
	})
}

// DeleteAppGroup removes a group, and what is kept of its messages.
func (db *DB) DeleteAppGroup(ctx context.Context, key herald.GroupKey) error {
	return db.write(ctx, func(t *tx) error {
		var one int64
		ok, err := t.row("SELECT 1 FROM app_group WHERE grp = ?", []any{string(key)}, &one)
		if err != nil {
			return err
		}
		if !ok {
			return noGroup()
		}
		if _, err := t.exec("DELETE FROM app_group_msg WHERE grp = ?", string(key)); err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM app_group WHERE grp = ?", string(key))
		return err
	})
}

const groupMessageColumns = "grp, id, idem_key, expires, data, crc"

func scanGroupMessage(dest func(...any) error) (m record.GroupMessage, err error) {
	var b []byte
	var crc, expires int64
	if err := dest(&m.Group, &m.ID, &m.IdemKey, &expires, &b, &crc); err != nil {
		return m, err
	}
	m.Expires = fromMillis(expires)
	return m, parseRow(b, crc, &m, func() string { return fmt.Sprintf("app_group_msg %s %d", m.Group, m.ID) })
}

// BeginGroupMessage writes a message to a group before it is sent. A row of the
// same group and idempotency key that is not older than a time is given in its
// place, and nothing is written. What has expired is deleted.
func (db *DB) BeginGroupMessage(ctx context.Context, m record.GroupMessage, since time.Time) (prior *record.GroupMessage, err error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("store: writing a message to a group: %w", err)
	}
	err = db.write(ctx, func(t *tx) error {
		prior = nil
		if m.IdemKey != "" {
			s, err := t.stmt("SELECT " + groupMessageColumns + " FROM app_group_msg WHERE grp = ? AND idem_key = ? ORDER BY id DESC LIMIT 1")
			if err != nil {
				return err
			}
			old, err := scanGroupMessage(s.QueryRowContext(context.Background(), string(m.Group), m.IdemKey).Scan)
			ok, err := found(err)
			if err != nil {
				return err
			}
			if ok && !old.Created.Before(since) {
				prior = &old
				return nil
			}
		}
		if _, err := t.exec("DELETE FROM app_group_msg WHERE grp = ? AND expires < ?", string(m.Group), millis(m.Created)); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO app_group_msg ("+groupMessageColumns+") VALUES (?, ?, ?, ?, ?, ?)",
			string(m.Group), int64(m.ID), m.IdemKey, millis(m.Expires), b, checksum(b))
		return err
	})
	return prior, err
}

// EndGroupMessage writes what came of a message to a group.
func (db *DB) EndGroupMessage(ctx context.Context, m record.GroupMessage) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("store: writing a message to a group: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE app_group_msg SET data = ?, crc = ? WHERE grp = ? AND id = ?", b, checksum(b), string(m.Group), int64(m.ID))
		return err
	})
}

// GroupMessage finds a message to a group; not_found if there is none.
func (db *DB) GroupMessage(ctx context.Context, group herald.GroupKey, id herald.MessageID) (record.GroupMessage, error) {
	m, err := scanGroupMessage(db.readers.QueryRowContext(ctx, "SELECT "+groupMessageColumns+" FROM app_group_msg WHERE grp = ? AND id = ?", string(group), int64(id)).Scan)
	if ok, err := found(err); err != nil {
		return m, wrap(err)
	} else if !ok {
		return m, notFound("message of this group", "Check the ID; what was sent is kept for 90 days after its TTL.")
	}
	return m, nil
}

// GroupMessages lists the messages of a group before an ID (0 for the newest),
// newest first.
func (db *DB) GroupMessages(ctx context.Context, group herald.GroupKey, before herald.MessageID, limit int) ([]record.GroupMessage, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	var out []record.GroupMessage
	err := scan(ctx, &db.readers, "SELECT "+groupMessageColumns+" FROM app_group_msg WHERE grp = ? AND id < ? ORDER BY id DESC LIMIT ?",
		[]any{string(group), int64(before), limit}, func(r *sql.Rows) error {
			m, err := scanGroupMessage(r.Scan)
			out = append(out, m)
			return wrap(err)
		})
	return out, err
}
