package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// ErrandLanes lists the lanes that have errands that are due, and tells when the
// earliest of the others is; zero if there is none.
func (db *DB) ErrandLanes(ctx context.Context, now time.Time) (lanes []record.Lane, next time.Time, err error) {
	err = scan(ctx, &db.readers, "SELECT app, vendor, env, credential, MIN(at) FROM errand GROUP BY app, vendor, env, credential", nil, func(r *sql.Rows) error {
		var l record.Lane
		var app, at int64
		if err := r.Scan(&app, &l.Vendor, &l.Env, &l.Credential, &at); err != nil {
			return wrap(err)
		}
		l.App = db.apps.keyOf(app)
		if first := fromMillis(at); !first.After(now) {
			lanes = append(lanes, l)
		} else if next.IsZero() || first.Before(next) {
			next = first
		}
		return nil
	})
	return lanes, next, err
}

const errandColumns = "id, msg, step, owner, kind, slab, at, fence, tries, todo, todo_crc, doubt, doubt_crc"

// LeaseErrands takes up to limit errands of a lane that are due for a time,
// raising their fences. One whose sets are damaged is left out, and logged.
func (db *DB) LeaseErrands(ctx context.Context, l record.Lane, now time.Time, lease time.Duration, limit int) ([]record.Errand, error) {
	app, err := db.apps.id(l.App)
	if err != nil {
		return nil, err
	}
	var out []record.Errand
	err = db.write(ctx, func(t *tx) error {
		out = nil
		held := []record.Errand(nil)
		err := scan(ctx, t, "SELECT "+errandColumns+" FROM errand WHERE app = ? AND vendor = ? AND env = ? AND credential = ? AND at <= ? ORDER BY at, id LIMIT ? + 0",
			[]any{app, string(l.Vendor), l.Env, l.Credential, millis(now), limit}, func(r *sql.Rows) error {
				e, err := scanErrand(l, r)
				if e.ID == 0 {
					return err
				}
				e.Fence++
				e.At = now.Add(lease)
				held = append(held, e)
				if err == nil {
					out = append(out, e)
				} else {
					db.cfg.Log.Error("store: an errand is damaged, and nobody gets what it was for", "app", l.App, "message", e.Msg, "error", err)
				}
				return nil
			})
		if err != nil {
			return err
		}
		for _, e := range held {
			if _, err := t.exec("UPDATE errand SET fence = ?, at = ? WHERE id = ?", e.Fence, millis(e.At), e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// scanErrand reads an errand; its ID is 0 if the row could not be read at all.
func scanErrand(l record.Lane, r *sql.Rows) (record.Errand, error) {
	e := record.Errand{Lane: l}
	var at, todoCRC, doubtCRC int64
	var todo, doubt []byte
	if err := r.Scan(&e.ID, &e.Msg, &e.Step, &e.Owner, &e.Kind, &e.Slab, &at, &e.Fence, &e.Tries, &todo, &todoCRC, &doubt, &doubtCRC); err != nil {
		return record.Errand{}, err
	}
	e.At = fromMillis(at)
	row := func() string { return fmt.Sprintf("errand %d", e.ID) }
	var err error
	if e.Left, err = parseSet(todo, todoCRC, row); err != nil || len(doubt) == 0 {
		return e, err
	}
	e.Doubt, err = parseSet(doubt, doubtCRC, row)
	return e, err
}

// SaveErrand keeps what came of a part of an errand and what is left of it, which
// is deleted if that is nobody. One whose fence has moved on answers conflict.
func (db *DB) SaveErrand(ctx context.Context, s record.ErrandSave) error {
	e := s.Errand
	app, err := db.apps.id(e.App)
	if err != nil {
		return err
	}
	todo, err := record.AppendSet(nil, e.Left)
	if err != nil {
		return fmt.Errorf("store: writing an errand: %w", err)
	}
	doubt, err := doubtOf(e)
	if err != nil {
		return err
	}
	datas := make([][]byte, len(s.Attempts))
	for i := range s.Attempts {
		if datas[i], err = json.Marshal(&s.Attempts[i]); err != nil {
			return fmt.Errorf("store: writing an attempt: %w", err)
		}
	}
	return db.write(ctx, func(t *tx) error {
		var fence int64
		ok, err := t.row("SELECT fence FROM errand WHERE id = ?", []any{e.ID}, &fence)
		if err != nil {
			return err
		}
		if !ok || fence != e.Fence {
			return errandNotHeld()
		}
		for _, x := range s.Tallies {
			if err := t.tally(app, e, x); err != nil {
				return err
			}
		}
		for i := range s.Attempts {
			if err := t.putAttempt(app, &s.Attempts[i], datas[i]); err != nil {
				return err
			}
		}
		if e.Left.Empty() {
			_, err = t.exec("DELETE FROM errand WHERE id = ?", e.ID)
			return err
		}
		_, err = t.exec("UPDATE errand SET at = ?, tries = ?, todo = ?, todo_crc = ?, doubt = ?, doubt_crc = ? WHERE id = ?",
			millis(e.At), int64(e.Tries), todo, checksum(todo), doubt, checksum(doubt), e.ID)
		return err
	})
}

// maxCode bounds what a vendor calls a failure.
const maxCode = 100

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// tally adds owners to those with the same outcome.
func (t *tx) tally(app int64, e *record.Errand, x record.Tally) error {
	if x.Set.Empty() {
		return nil
	}
	key := []any{app, int64(e.Msg), int64(e.Step), string(e.Owner), int64(e.Slab), string(e.Vendor), string(x.Fate), cut(x.Code, maxCode)}
	const where = " WHERE app = ? AND msg = ? AND step = ? AND owner = ? AND slab = ? AND vendor = ? AND fate = ? AND code = ?"
	var b []byte
	var crc int64
	ok, err := t.row("SELECT bits, crc FROM attempt_chunk"+where, key, &b, &crc)
	if err != nil {
		return err
	}
	all := x.Set
	if ok {
		// What is damaged is replaced: the new outcomes are worth more than none.
		if old, err := parseSet(b, crc, func() string { return "attempt_chunk" }); err == nil {
			old.Or(x.Set)
			all = old
		}
		if _, err := t.exec("DELETE FROM attempt_chunk"+where, key...); err != nil {
			return err
		}
	}
	bits, err := record.AppendSet(nil, all)
	if err != nil {
		return fmt.Errorf("store: writing attempts: %w", err)
	}
	_, err = t.exec("INSERT INTO attempt_chunk (app, msg, step, owner, slab, vendor, fate, code, at, bits, crc) VALUES ("+in(11)+")",
		append(key, millis(t.db.cfg.Now()), bits, checksum(bits))...)
	return err
}

const attemptKey = " WHERE app = ? AND msg = ? AND step = ? AND owner = ? AND ord = ? AND vendor = ?"

func (t *tx) putAttempt(app int64, a *record.Attempt, data []byte) error {
	key := []any{app, int64(a.Msg), int64(a.Step), string(a.Owner), int64(a.Ord), string(a.Vendor)}
	if _, err := t.exec("DELETE FROM attempt"+attemptKey, key...); err != nil {
		return err
	}
	// Of a message in parts the vendor reports each; the first one stands for it.
	reference, _, _ := strings.Cut(a.Reference, ",")
	_, err := t.exec("INSERT INTO attempt (app, msg, step, owner, ord, vendor, reference, data, crc) VALUES ("+in(9)+")",
		append(key, cut(reference, 250), data, checksum(data))...)
	return err
}

// purgeRoute deletes what is kept of the route of a message.
func (t *tx) purgeRoute(app int64, id herald.MessageID) error {
	for _, table := range []string{"route_step", "errand", "attempt_chunk", "attempt"} {
		if _, err := t.exec("DELETE FROM "+table+" WHERE app = ? AND msg = ?", app, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// eraseAttempts deletes what is kept of asking vendors about an owner: references,
// and conversations with addresses. Who was reached stays counted.
func (t *tx) eraseAttempts(app int64, owner record.Owner, ord int64) error {
	_, err := t.exec("DELETE FROM attempt WHERE app = ? AND owner = ? AND ord = ?", app, string(owner), ord)
	return err
}
