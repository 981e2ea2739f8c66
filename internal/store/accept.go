package store

import (
	"bytes"
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// scheduled reports whether a message waits for its time.
func scheduled(m *record.Message) bool {
	return m.Unreleased() || m.Waits()
}

func (t *tx) accept(app int64, a *record.Acceptance, tg target, audience []byte) (record.Accepted, error) {
	if prior, err := t.repeated(app, a.Idempotency); err != nil || prior != nil {
		return record.Accepted{Prior: prior}, err
	}
	if a.Firing != nil {
		if err := t.mayFire(app, a.Firing, a.Firing.Run.Schedule); err != nil {
			return record.Accepted{}, err
		}
		if err := t.fire(app, a.Firing, a.Firing.Run.Schedule); err != nil {
			return record.Accepted{}, err
		}
	}
	if err := t.keep(app, a.Idempotency); err != nil || a.Volatile {
		return record.Accepted{}, err
	}
	m, state := &a.Message, herald.MessageSending
	devices := m.Target
	var out record.Accepted
	at := len(t.news)
	if scheduled(m) {
		state, devices = herald.MessageScheduled, -1
		if m.State == herald.MessageAwaiting {
			state = herald.MessageAwaiting
		}
	} else {
		h, err := t.head(app)
		if err != nil {
			return out, err
		}
		if out, err = t.release(app, h, m, tg); err != nil {
			return out, err
		}
	}
	facts, err := factsOf(m.Facts)
	if err != nil {
		return out, err
	}
	err = t.add(toMessages,
		app, int64(m.ID), string(state), int64(0), millis(m.Expires()), int64(out.Pos), int64(0), int64(m.EvalPos), flag(m.ByAlias), devices, m.Unknown,
		int64(out.FirstN), string(m.Priority), m.CollapseKey, m.OrderingKey, m.TTL.Milliseconds(), millis(m.Accepted), millis(m.Due),
		string(audience), blob(m.Body), checksum(m.Body), int64(tg.form), blob(tg.bytes), checksum(tg.bytes), facts, checksum(facts))
	if err != nil {
		return out, err
	}
	if m.CollapseKey != "" {
		if _, err := t.execAside("INSERT INTO collapse (app, collapse_key, msg) VALUES (?, ?, ?)", app, m.CollapseKey, int64(m.ID)); err != nil {
			return out, err
		}
	}
	if state == herald.MessageAwaiting {
		return out, t.await(app, m)
	}
	if state == herald.MessageScheduled {
		_, err = t.execAside("INSERT INTO job (app, kind, msg, due, at, fence) VALUES (?, ?, ?, ?, ?, 0)",
			app, record.JobRelease, int64(m.ID), millis(m.Begins()), millis(m.Begins()))
		return out, err
	}
	released(m, tg, out)
	if m.Plan == nil { // else its start and its steps are read from the log
		t.news[at].message = m
	}
	return out, nil
}

// released makes of a message what is read from the record after its release.
// It may be done again, with another position, if the group is.
func released(m *record.Message, tg target, at record.Accepted) {
	m.Pos, m.FirstN, m.State, m.Content = at.Pos, at.FirstN, herald.MessageSending, herald.Content{}
	m.Accepted, m.Due = fromMillis(millis(m.Accepted)), fromMillis(millis(m.Due))
	if tg.form == formChunks {
		m.Group = record.ImageApart()
	}
}

// release gives a message its log position and, if it is direct, the delivery
// numbers and entries of its devices.
func (t *tx) release(app int64, h *head, m *record.Message, tg target) (record.Accepted, error) {
	if m.Plan != nil {
		return t.startPlan(app, h, m, tg)
	}
	out := record.Accepted{Pos: t.next(h)}
	if err := t.logRelease(app, h, out.Pos, record.ReleaseMessage, m.ID); err != nil {
		return out, err
	}
	if err := t.putRouteSteps(app, m.ID, t.db.cfg.Now(), m.Later); err != nil {
		return out, err
	}
	if faults.Planted("orphan_row") {
		if _, err := t.exec("INSERT INTO notice (app, pos, msg) VALUES (?, ?, ?)", app, int64(out.Pos), int64(m.ID)+1); err != nil {
			return out, err
		}
	}
	switch tg.form {
	case formDirect:
		out.FirstN = h.NextN
		h.NextN += uint64(len(m.Direct))
		return out, t.putEntries(app, m, out)
	case formChunks:
		if _, err := t.execAside("DELETE FROM target_draft WHERE app = ? AND msg = ?", app, int64(m.ID)); err != nil {
			return out, err
		}
	}
	return out, t.add(toGroups, app, int64(out.Pos), int64(m.ID))
}

func (t *tx) logRelease(app int64, h *head, pos herald.Pos, kind record.ReleaseKind, id herald.MessageID) error {
	t.news = append(t.news, news{app: h.key, release: pos})
	return t.add(toReleases, app, int64(pos), string(kind), int64(id), millis(t.db.cfg.Now()))
}

func (t *tx) putEntries(app int64, m *record.Message, at record.Accepted) error {
	for i, o := range m.Direct {
		if err := t.add(toEntries, app, int64(o), int64(at.Pos), int64(at.FirstN)+int64(i), int64(m.ID)); err != nil {
			return err
		}
	}
	return nil
}

// unused refuses the ID of a message that exists.
func (t *tx) unused(app int64, id herald.MessageID) error {
	var one int64
	ok, err := t.row("SELECT 1 FROM msg WHERE app = ? AND id = ?", []any{app, int64(id)}, &one)
	if err == nil && ok {
		err = herald.Errorf(herald.CodeConflict, "Make another message ID.", "the message exists already")
	}
	return err
}

const readIdempotency = "SELECT hash, answer FROM idempotency WHERE app = ? AND idem_key = ? AND expires > ?"

// repeated gives the answer to an earlier call with the same key, or nil.
func (t *tx) repeated(app int64, i *record.Idempotency) ([]byte, error) {
	if i == nil {
		return nil, nil
	}
	var hash, answer []byte
	ok, err := t.rowAside(readIdempotency, []any{app, i.Key, millis(t.db.cfg.Now())}, &hash, &answer)
	if err != nil || !ok {
		return nil, err
	}
	return compare(i, hash, answer)
}

// Answered gives the answer to an earlier call with an idempotency key.
func (db *DB) Answered(ctx context.Context, app herald.AppKey, i record.Idempotency) ([]byte, error) {
	id, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	return db.prior(ctx, id, &i)
}

// prior is repeated outside a commit.
func (db *DB) prior(ctx context.Context, app int64, i *record.Idempotency) ([]byte, error) {
	if i == nil {
		return nil, nil
	}
	var hash, answer []byte
	ok, err := found(db.readers.QueryRowContext(ctx, readIdempotency, app, i.Key, millis(db.cfg.Now())).Scan(&hash, &answer))
	if err != nil || !ok {
		return nil, wrap(err)
	}
	return compare(i, hash, answer)
}

func compare(i *record.Idempotency, hash, answer []byte) ([]byte, error) {
	if !bytes.Equal(hash, i.Hash) {
		return nil, herald.Errorf(herald.CodeIdempotencyConflict, "Use a new Idempotency-Key for a new request.",
			"the Idempotency-Key was used for another request")
	}
	return blob(answer), nil
}

// keep writes the row of a key, over one that has expired.
func (t *tx) keep(app int64, i *record.Idempotency) error {
	if i == nil {
		return nil
	}
	_, err := t.execAside(`INSERT INTO idempotency (app, idem_key, hash, answer, expires) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (app, idem_key) DO UPDATE SET hash = excluded.hash, answer = excluded.answer, expires = excluded.expires`,
		app, i.Key, blob(i.Hash), blob(i.Answer), millis(i.Until))
	return err
}
