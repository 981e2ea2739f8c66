package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// msgColumns are what scanMessage reads; targetColumns what comes with a
// target.
const (
	msgColumns = `m.app, m.id, m.state, m.ended, m.ends, m.pos, m.end_pos, m.eval_pos, m.by_alias, m.devices, m.unknown, m.first_n, m.priority,
	m.collapse_key, m.ordering_key, m.ttl, m.accepted, m.due, m.audience, m.body, m.crc, m.form, m.facts, m.facts_crc`
	targetColumns = `, m.target, m.target_crc`
)

// row of msg, as read.
type msgRow struct {
	app       int64
	m         *record.Message
	form      int
	target    []byte
	targetCRC int64
}

// scanMessage reads msgColumns and, if withTarget, targetColumns. The content
// stays encoded, in Body.
func (db *DB) scanMessage(scan func(...any) error, withTarget bool) (msgRow, error) {
	m := &record.Message{}
	r := msgRow{m: m}
	var ended, ends, byAlias, ttl, accepted, due, crc, factsCRC int64
	var audience, facts []byte
	dest := []any{&r.app, &m.ID, &m.State, &ended, &ends, &m.Pos, &m.EndPos, &m.EvalPos, &byAlias, &m.Target, &m.Unknown, &m.FirstN, &m.Priority,
		&m.CollapseKey, &m.OrderingKey, &ttl, &accepted, &due, &audience, &m.Body, &crc, &r.form, &facts, &factsCRC}
	if withTarget {
		dest = append(dest, &r.target, &r.targetCRC)
	}
	if err := scan(dest...); err != nil {
		return r, err
	}
	m.App = db.apps.keyOf(r.app)
	if err := verify(m.Body, crc, func() string { return fmt.Sprintf("msg %s %d (body)", m.App, m.ID) }); err != nil {
		return r, err
	}
	if err := parseFacts(m, facts, factsCRC); err != nil {
		return r, err
	}
	if err := parseAudience(audience, &m.Audience); err != nil {
		return r, damaged(fmt.Sprintf("msg %s %d (audience)", m.App, m.ID), err)
	}
	m.TTL = time.Duration(ttl) * time.Millisecond
	m.Accepted, m.Due, m.ByAlias = fromMillis(accepted), fromMillis(due), byAlias == 1
	if ended == 1 {
		m.Ended = fromMillis(ends)
	}
	if !withTarget && (r.form == formGroup || r.form == formChunks) {
		m.Group = record.ImageApart()
	}
	return r, nil
}

// One device, or all, is the audience of most messages, and reading it as any
// other JSON takes longer than the row.
const (
	oneDevice    = `{"registration_ids":["`
	oneDeviceEnd = `"]}`
)

func parseAudience(b []byte, a *herald.Audience) error {
	if string(b) == `"all"` {
		*a = herald.Audience{All: true}
		return nil
	}
	if len(b) == len(oneDevice)+herald.RegistrationIDLen+len(oneDeviceEnd) && bytes.HasPrefix(b, []byte(oneDevice)) && bytes.HasSuffix(b, []byte(oneDeviceEnd)) {
		if id := herald.RegistrationID(b[len(oneDevice) : len(oneDevice)+herald.RegistrationIDLen]); id.Valid() {
			*a = herald.Audience{RegistrationIDs: []herald.RegistrationID{id}}
			return nil
		}
	}
	return json.Unmarshal(b, a)
}

// messages reads messages with their targets.
func (db *DB) messages(ctx context.Context, from queryer, where string, args ...any) ([]*record.Message, error) {
	return db.messagesBut(ctx, from, func(err error) error { return err }, where, args...)
}

// messagesBut is messages without those whose error spare takes for its own.
func (db *DB) messagesBut(ctx context.Context, from queryer, spare func(error) error, where string, args ...any) ([]*record.Message, error) {
	var rows []msgRow
	err := scan(ctx, from, "SELECT "+msgColumns+targetColumns+" FROM "+where, args, func(r *sql.Rows) error {
		row, err := db.scanMessage(r.Scan, true)
		if err != nil {
			return wrap(spare(err))
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*record.Message, 0, len(rows))
	for _, r := range rows {
		if err := readTarget(r.m, r.form, r.target, r.targetCRC); err != nil {
			if err := spare(err); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, r.m)
	}
	return out, nil
}

// spareDamaged logs, once, that a row is damaged, and leaves it out: one
// message that cannot be read must not hold up all the others.
func (db *DB) spareDamaged(err error) error {
	if !errors.Is(err, record.ErrDamaged) {
		return err
	}
	if _, said := db.damage.LoadOrStore(err.Error(), true); !said {
		db.cfg.Log.Error("store: a row cannot be read and is left out; restore the data folder from a backup", "error", err)
	}
	return nil
}

// readableMessages is messages without those that are damaged. It is one
// statement, so that all of it is of one moment.
func (db *DB) readableMessages(ctx context.Context, where string, args ...any) ([]*record.Message, error) {
	return db.messagesBut(ctx, &db.readers, db.spareDamaged, where, args...)
}

// Message finds a message with body and target.
func (db *DB) Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	r, err := db.scanMessage(db.readers.QueryRowContext(ctx, "SELECT "+msgColumns+targetColumns+" FROM msg m WHERE m.app = ? AND m.id = ?", a, int64(id)).Scan, true)
	if ok, err := found(err); err != nil {
		return nil, wrap(err)
	} else if !ok {
		return nil, noMessage()
	}
	return r.m, readTarget(r.m, r.form, r.target, r.targetCRC)
}

// MessagesByID finds messages with bodies and targets; those that there are
// not are left out.
func (db *DB) MessagesByID(ctx context.Context, app herald.AppKey, ids []herald.MessageID) ([]*record.Message, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	if ctx, err = short(ctx); err != nil {
		return nil, err
	}
	var out []*record.Message
	for part := range slices.Chunk(ids, inSlice) {
		list, err := db.readableMessages(ctx, "msg m WHERE m.app = ? AND m.id IN ("+in(padded(len(part)))+")", idArgs(part, a)...)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// padded gives the length to which a list of IDs is filled up: few lengths make
// few statements.
func padded(n int) int {
	to := 1
	for to < n {
		to *= 4
	}
	return to
}

// idArgs gives arguments, and after them IDs, of which the last is repeated.
func idArgs(ids []herald.MessageID, first ...any) []any {
	args := first
	for i := range padded(len(ids)) {
		args = append(args, int64(ids[min(i, len(ids)-1)]))
	}
	return args
}

func noMessage() error {
	return notFound("message", "Check the message ID; messages are deleted some time after they ended.")
}

// Messages lists messages without targets, newest first.
func (db *DB) Messages(ctx context.Context, app herald.AppKey, f record.MessageFilter) ([]*record.Message, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	where, args := "m.app = ?", []any{a}
	if f.Before != 0 {
		where += " AND m.id < ?"
		args = append(args, int64(f.Before))
	}
	if f.State != "" {
		where += " AND m.state = ?"
		args = append(args, string(f.State))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = herald.DefaultPageSize
	}
	var out []*record.Message
	err = scan(ctx, &db.readers, "SELECT "+msgColumns+" FROM msg m WHERE "+where+" ORDER BY m.id DESC LIMIT ?", append(args, limit),
		func(r *sql.Rows) error {
			row, err := db.scanMessage(r.Scan, false)
			out = append(out, row.m)
			return wrap(err)
		})
	return out, err
}

// Releases lists the releases after a log position, ascending, with their
// messages. Of one whose message is damaged Msg is nil.
func (db *DB) Releases(ctx context.Context, app herald.AppKey, after herald.Pos, limit int) ([]record.Release, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Release
	err = db.readers.view(ctx, func(tx *snapshot) error {
		var ids []herald.MessageID
		err := scan(ctx, tx, "SELECT pos, kind, msg, at FROM release_log WHERE app = ? AND pos > ? ORDER BY pos LIMIT ? + 0",
			[]any{a, int64(after), limit}, func(r *sql.Rows) error {
				var rel record.Release
				var id herald.MessageID
				var at int64
				err := r.Scan(&rel.Pos, &rel.Kind, &id, &at)
				rel.At = fromMillis(at)
				out, ids = append(out, rel), append(ids, id)
				return wrap(err)
			})
		if err != nil {
			return err
		}
		known := map[herald.MessageID]*record.Message{}
		for i, id := range ids {
			if known[id] == nil {
				list, err := db.messages(ctx, tx, "msg m WHERE m.app = ? AND m.id = ?", a, int64(id))
				if err == nil && len(list) == 0 {
					err = damaged(fmt.Sprintf("release_log %s, position %d (its message is gone)", app, out[i].Pos), nil)
				}
				if err := db.spareDamaged(err); err != nil {
					return err
				}
				if len(list) == 0 {
					continue
				}
				known[id] = list[0]
			}
			out[i].Msg = known[id]
		}
		return db.readRanges(ctx, tx, a, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// LastRelease is the highest position of the log that has a release; 0 if none
// has.
func (db *DB) LastRelease(ctx context.Context, app herald.AppKey) (pos herald.Pos, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	return pos, wrap(db.readers.QueryRowContext(ctx, "SELECT COALESCE(MAX(pos), 0) FROM release_log WHERE app = ?", a).Scan(&pos))
}

// ByCollapseKey lists the messages that have a collapse key and have not
// ended, oldest first.
func (db *DB) ByCollapseKey(ctx context.Context, app herald.AppKey, key string) ([]herald.MessageID, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []herald.MessageID
	err = scan(ctx, &db.readers, "SELECT msg FROM collapse WHERE app = ? AND collapse_key = ? ORDER BY msg", []any{a, key},
		func(r *sql.Rows) error {
			var id herald.MessageID
			err := r.Scan(&id)
			out = append(out, id)
			return wrap(err)
		})
	return out, err
}

// MaxMessageID is the highest message ID of all apps.
func (db *DB) MaxMessageID(ctx context.Context) (herald.MessageID, error) {
	var highest herald.MessageID
	for _, app := range db.apps.all() {
		var id herald.MessageID
		if err := db.readers.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM msg WHERE app = ?", app).Scan(&id); err != nil {
			return 0, wrap(err)
		}
		highest = max(highest, id)
	}
	return highest, nil
}

// LiveGroups lists the group messages that were released and may still become
// received, with their targets, oldest release first.
func (db *DB) LiveGroups(ctx context.Context, app herald.AppKey) ([]*record.Message, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	late := millis(db.cfg.Now().Add(-herald.LateReceipts))
	return db.readableMessages(ctx, `group_msg g JOIN msg m ON m.app = g.app AND m.id = g.msg
		WHERE g.app = ? AND (m.ended = 0 OR m.ends > ?) ORDER BY g.pos`, a, late)
}

// Withdrawn lists the messages that were withdrawn after a time, with their
// targets, in the order of their notices.
func (db *DB) Withdrawn(ctx context.Context, app herald.AppKey, since time.Time) ([]*record.Message, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	return db.readableMessages(ctx, `notice n JOIN msg m ON m.app = n.app AND m.id = n.msg
		WHERE n.app = ? AND m.ends > ? ORDER BY n.pos`, a, millis(since))
}
