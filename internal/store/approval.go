package store

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// await has a message that was written wait to be approved: until then it
// expires as if that were its TTL.
func (t *tx) await(app int64, m *record.Message) error {
	if _, err := t.exec("UPDATE msg SET ends = ? WHERE app = ? AND id = ?", millis(m.Accepted.Add(herald.ApprovalTTL)), app, int64(m.ID)); err != nil {
		return err
	}
	return t.tellEnds(app, record.WebhookEnd{Msg: m.ID, State: herald.MessageAwaiting})
}

// approvedState is what webhooks are told of a message that was approved; it is
// scheduled then.
const approvedState herald.MessageState = "approved"

// Decide ends the wait of a message that is to be approved.
func (db *DB) Decide(ctx context.Context, app herald.AppKey, id herald.MessageID, d record.Decision) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	facts, err := factsOf(d.Facts)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		r, err := t.endedRow(a, app, id)
		switch {
		case err != nil:
			return err
		case r == nil:
			return noMessage()
		case r.ended || r.state != herald.MessageAwaiting:
			return herald.Errorf(herald.CodeConflict, "There is nothing to decide.", "the message does not wait to be approved: it is %s", r.state)
		}
		if _, err := t.exec("UPDATE msg SET facts = ?, facts_crc = ? WHERE app = ? AND id = ?", facts, checksum(facts), a, int64(id)); err != nil {
			return err
		}
		if !d.Approved {
			return t.end(a, r, herald.MessageRejected, 0, d.At)
		}
		if _, err := t.exec("UPDATE msg SET state = ?, due = ?, ends = ? WHERE app = ? AND id = ?",
			string(herald.MessageScheduled), millis(d.Due), millis(d.Expires), a, int64(id)); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO job (app, kind, msg, due, at, fence) VALUES (?, ?, ?, ?, ?, 0)",
			a, record.JobRelease, int64(id), millis(d.Begins()), millis(d.Begins())); err != nil {
			return err
		}
		return t.tellEnds(a, record.WebhookEnd{Msg: id, State: approvedState})
	})
}
