package store

import (
	"context"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// maxOrdinals is how many devices an app can have had in all.
const maxOrdinals = 1 << 32

// head is the row app_head of one app while a commit holds it: read once,
// changed in memory, written once before the commit.
type head struct {
	record.Head
	key           herald.AppKey
	nextRecipient uint64
	dirty         bool
}

// head gives the head of an app for change.
func (t *tx) head(app int64) (*head, error) {
	if h, ok := t.heads[app]; ok {
		return h, nil
	}
	h := &head{key: t.db.apps.keyOf(app)}
	ok, err := t.rowAside("SELECT epoch, pos, next_ord, next_n, next_recipient FROM app_head WHERE app = ?", []any{app},
		&h.Epoch, &h.Pos, &h.NextOrd, &h.NextN, &h.nextRecipient)
	if err == nil && !ok {
		err = damaged(fmt.Sprintf("app_head of app %s", h.key), nil)
	}
	if err != nil {
		return nil, err
	}
	t.heads[app] = h
	return h, nil
}

func (t *tx) writeHeads() error {
	for app, h := range t.heads {
		if !h.dirty {
			continue
		}
		if _, err := t.exec("UPDATE app_head SET pos = ?, next_ord = ?, next_n = ?, next_recipient = ? WHERE app = ?",
			int64(h.Pos), int64(h.NextOrd), int64(h.NextN), int64(h.nextRecipient), app); err != nil {
			return err
		}
	}
	return nil
}

// next takes the next position of the app's log. It counts as a write, so
// that an operation which refuses after it cannot leave a hole.
func (t *tx) next(h *head) herald.Pos {
	t.writes++
	h.dirty = true
	h.Pos++
	return h.Pos
}

// logSets writes set changes at a position that was taken for them, and tells
// of them, and of aliases that have other devices now, after the commit.
func (t *tx) logSets(app int64, h *head, pos herald.Pos, changes []record.SetChange, rebound ...herald.Alias) error {
	b, err := record.AppendChanges(nil, changes)
	if err != nil {
		return err
	}
	t.news = append(t.news, news{app: h.key, sets: &record.SetLogEntry{Pos: pos, NextOrd: h.NextOrd, Changes: changes, Rebound: rebound}})
	_, err = t.exec("INSERT INTO set_log (app, pos, next_ord, changes, crc) VALUES (?, ?, ?, ?, ?)",
		app, int64(pos), int64(h.NextOrd), b, checksum(b))
	return err
}

// Head says where the app's log stands.
func (db *DB) Head(ctx context.Context, app herald.AppKey) (record.Head, error) {
	id, err := db.apps.id(app)
	if err != nil {
		return record.Head{}, err
	}
	var h record.Head
	err = db.readers.QueryRowContext(ctx, "SELECT epoch, pos, next_ord, next_n FROM app_head WHERE app = ?", id).
		Scan(&h.Epoch, &h.Pos, &h.NextOrd, &h.NextN)
	return h, wrap(err)
}
