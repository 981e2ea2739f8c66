package store

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// entriesInSlice is how many entries one operation deletes, so that the end
// of a message to a thousand devices does not hold up other callers.
const entriesInSlice = 100

// endedRow is what ending and purging need to know of a message.
type endedRow struct {
	id          herald.MessageID
	state       herald.MessageState
	ended       bool
	pos, endPos herald.Pos
	firstN      uint64
	collapseKey string
	planned     bool             // see record.Message.Planned
	ords        []herald.Ordinal // of a direct one
}

func (t *tx) endedRow(app int64, key herald.AppKey, id herald.MessageID) (*endedRow, error) {
	r := endedRow{id: id}
	var ended, crc int64
	var form int
	var b, facts []byte
	ok, err := t.row("SELECT state, ended, pos, end_pos, first_n, collapse_key, form, target, target_crc, facts FROM msg WHERE app = ? AND id = ?",
		[]any{app, int64(id)}, &r.state, &ended, &r.pos, &r.endPos, &r.firstN, &r.collapseKey, &form, &b, &crc, &facts)
	if err != nil || !ok {
		return nil, err
	}
	r.ended, r.planned = ended == 1, planned(facts)
	if form == formDirect {
		s, err := parseSet(b, crc, func() string { return fmt.Sprintf("msg %s %d (target)", key, id) })
		if err != nil {
			return nil, err
		}
		r.ords = s.Ordinals()
	}
	return &r, nil
}

// EndMessage moves a message to an end state.
func (db *DB) EndMessage(ctx context.Context, app herald.AppKey, id herald.MessageID, state herald.MessageState, now time.Time) (herald.Pos, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	switch state {
	case herald.MessageWithdrawn, herald.MessageReplaced, herald.MessageExpired:
	default:
		return 0, herald.Errorf(herald.CodeInternal, "Report this as a defect of Herald.", "store: %q does not end a message", state)
	}
	var pos herald.Pos
	var r *endedRow
	err = db.write(ctx, func(t *tx) error {
		pos = 0
		var err error
		if r, err = t.endedRow(a, app, id); err != nil {
			return err
		}
		switch {
		case r == nil:
			return noMessage()
		case r.ended:
			return herald.Errorf(herald.CodeConflict, "Nothing is left to do.", "the message is %s already", r.state)
		}
		if state == herald.MessageWithdrawn {
			h, err := t.head(a)
			if err != nil {
				return err
			}
			pos = t.next(h)
			if err := t.logRelease(a, h, pos, record.ReleaseWithdraw, id); err != nil {
				return err
			}
			if _, err := t.exec("INSERT INTO notice (app, pos, msg) VALUES (?, ?, ?)", a, int64(pos), int64(id)); err != nil {
				return err
			}
		}
		return t.end(a, r, state, pos, now)
	})
	if err != nil {
		return 0, err
	}
	db.dropEntries(ctx, a, r)
	return pos, nil
}

func (t *tx) end(app int64, r *endedRow, state herald.MessageState, pos herald.Pos, now time.Time) error {
	if _, err := t.exec("UPDATE msg SET state = ?, ended = 1, ends = ?, end_pos = ? WHERE app = ? AND id = ?",
		string(state), millis(now), int64(pos), app, int64(r.id)); err != nil {
		return err
	}
	if r.collapseKey != "" {
		if _, err := t.exec("DELETE FROM collapse WHERE app = ? AND collapse_key = ? AND msg = ?", app, r.collapseKey, int64(r.id)); err != nil {
			return err
		}
	}
	if r.state == herald.MessageScheduled || r.planned {
		if _, err := t.exec("DELETE FROM job WHERE app = ? AND msg = ?", app, int64(r.id)); err != nil {
			return err
		}
	}
	if err := t.tellEnds(app, record.WebhookEnd{Msg: r.id, State: state}); err != nil {
		return err
	}
	return t.deleteEntries(app, r, 0, min(len(r.ords), entriesInSlice))
}

// deleteEntries deletes the entries of some of a message's devices, by key.
func (t *tx) deleteEntries(app int64, r *endedRow, from, to int) error {
	for i := from; i < to; i++ {
		if r.planned { // each has the position of its own step
			if _, err := t.exec("DELETE FROM entry WHERE app = ? AND ord = ? AND msg = ?", app, int64(r.ords[i]), int64(r.id)); err != nil {
				return err
			}
			if _, err := t.exec("DELETE FROM entry_held WHERE app = ? AND ord = ? AND msg = ?", app, int64(r.ords[i]), int64(r.id)); err != nil {
				return err
			}
			continue
		}
		if _, err := t.exec("DELETE FROM entry WHERE app = ? AND ord = ? AND pos = ? AND n = ?",
			app, int64(r.ords[i]), int64(r.pos), int64(r.firstN)+int64(i)); err != nil {
			return err
		}
	}
	return nil
}

// dropEntries deletes the entries that the ending commit has left. Nobody
// sees them any more, so that a failure only leaves them to Purge.
func (db *DB) dropEntries(ctx context.Context, app int64, r *endedRow) {
	ctx = context.WithoutCancel(ctx)
	for from := entriesInSlice; from < len(r.ords); from += entriesInSlice {
		to := min(from+entriesInSlice, len(r.ords))
		if err := db.write(ctx, func(t *tx) error { return t.deleteEntries(app, r, from, to) }); err != nil {
			db.cfg.Log.Warn("store: entries of an ended message stay until it is purged", "message", r.id, "error", err)
			return
		}
	}
}
