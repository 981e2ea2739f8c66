package store

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// LeaseJobs takes up to limit due jobs for a time, raising their fences.
func (db *DB) LeaseJobs(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]record.Job, error) {
	// Mostly nothing is due, and then nobody should wait for a commit.
	if next, err := db.NextJob(ctx); err != nil || next.IsZero() || next.After(now) {
		return nil, err
	}
	var out []record.Job
	err := db.write(ctx, func(t *tx) error {
		out = nil
		s, err := t.stmt("SELECT id, app, kind, msg, due, fence FROM job WHERE at <= ? ORDER BY at, id LIMIT ?")
		if err != nil {
			return err
		}
		rows, err := s.QueryContext(context.Background(), millis(now), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var j record.Job
			var app, due int64
			if err := rows.Scan(&j.ID, &app, &j.Kind, &j.Msg, &due, &j.Fence); err != nil {
				return err
			}
			j.App, j.Due = db.apps.keyOf(app), fromMillis(due)
			j.Fence++
			out = append(out, j)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		rows.Close()
		for _, j := range out {
			if _, err := t.exec("UPDATE job SET fence = ?, at = ? WHERE id = ?", j.Fence, millis(now.Add(lease)), j.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// NextJob is when the earliest job may be leased: when it falls due or, if it
// is leased, when its lease ends. It is zero if there is none.
func (db *DB) NextJob(ctx context.Context) (time.Time, error) {
	var at int64
	err := db.readers.QueryRowContext(ctx, "SELECT COALESCE(MIN(at), 0) FROM job").Scan(&at)
	return fromMillis(at), wrap(err)
}

// ReleaseDue gives a scheduled message its target and its release, and
// finishes the job.
func (db *DB) ReleaseDue(ctx context.Context, job record.Job, m record.Message) (record.Accepted, error) {
	app, err := db.apps.id(job.App)
	if err != nil {
		return record.Accepted{}, err
	}
	m.ID = job.Msg
	tg, err := newTarget(&m, db.cfg.Inline)
	if err != nil {
		return record.Accepted{}, err
	}
	holds := func(t *tx) error { return t.holds(app, job) }
	if tg.form == formChunks {
		if err := db.draft(ctx, app, &m, &tg, holds); err != nil {
			db.dropDraft(ctx, app, m.ID, holds)
			return record.Accepted{}, err
		}
	}
	var out record.Accepted
	err = db.write(ctx, func(t *tx) error {
		if err := holds(t); err != nil {
			return err
		}
		h, err := t.head(app)
		if err != nil {
			return err
		}
		if out, err = t.release(app, h, &m, tg); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE msg SET state = ?, pos = ?, eval_pos = ?, by_alias = ?, devices = ?, unknown = ?, first_n = ?,
			form = ?, target = ?, target_crc = ? WHERE app = ? AND id = ?`,
			string(herald.MessageSending), int64(out.Pos), int64(m.EvalPos), flag(m.ByAlias), m.Target, m.Unknown, int64(out.FirstN),
			tg.form, blob(tg.bytes), checksum(tg.bytes), app, int64(m.ID)); err != nil {
			return err
		}
		if m.Plan != nil {
			if err := t.putFacts(app, m.ID, m.Facts); err != nil {
				return err
			}
		}
		_, err = t.exec("DELETE FROM job WHERE id = ?", job.ID)
		return err
	})
	if err != nil {
		if tg.form == formChunks {
			db.dropDraft(ctx, app, m.ID, holds)
		}
		return record.Accepted{}, err
	}
	return out, nil
}

// holds refuses a job that somebody else has leased since, and one whose
// message is not scheduled any more.
func (t *tx) holds(app int64, j record.Job) error {
	var state herald.MessageState
	ok, err := t.row(`SELECT m.state FROM job j JOIN msg m ON m.app = j.app AND m.id = j.msg
		WHERE j.id = ? AND j.app = ? AND j.msg = ? AND j.fence = ?`, []any{j.ID, app, int64(j.Msg), j.Fence}, &state)
	if err != nil {
		return err
	}
	if !ok || state != herald.MessageScheduled {
		return herald.Errorf(herald.CodeConflict, "Lease the job again, if it is still there.", "the job is finished, or is not held any more")
	}
	return nil
}

// Expired lists messages of all apps whose TTL has ended and that have not
// ended themselves, with body and target, longest expired first.
func (db *DB) Expired(ctx context.Context, now time.Time, limit int) ([]*record.Message, error) {
	return db.readableMessages(ctx, "msg m WHERE m.ended = 0 AND m.ends <= ? ORDER BY m.ends LIMIT ?", millis(now), limit)
}
