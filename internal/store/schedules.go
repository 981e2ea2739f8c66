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

const scheduleColumns = "id, state, next, ended, version, data, crc"

func noSchedule() error {
	return notFound("schedule", "GET /v1/schedules lists the schedules of the app; one that has ended is deleted after 90 days.")
}

func scanSchedule(s *record.Schedule, scan func(...any) error) error {
	var next, ended, crc int64
	var b []byte
	if err := scan(&s.ID, &s.State, &next, &ended, &s.Version, &b, &crc); err != nil {
		return err
	}
	s.Next, s.Ended = fromMillis(next), fromMillis(ended)
	row := func() string { return "schedule " + s.ID.String() }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	if err := json.Unmarshal(b, s); err != nil {
		return damaged(row(), err)
	}
	return nil
}

// CreateSchedule writes a schedule with its first job, unless its app has as
// many as it may that have not ended.
func (db *DB) CreateSchedule(ctx context.Context, s record.Schedule, most int, i *record.Idempotency) ([]byte, error) {
	a, err := db.apps.id(s.App)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("store: writing a schedule: %w", err)
	}
	var prior []byte
	err = db.write(ctx, func(t *tx) error {
		if prior, err = t.repeated(a, i); err != nil || prior != nil {
			return err
		}
		if err := t.mayHaveSchedule(a, most); err != nil {
			return err
		}
		if err := t.keep(a, i); err != nil {
			return err
		}
		if _, err := t.execAside("INSERT INTO schedule (app, id, state, next, ended, version, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			a, int64(s.ID), string(s.State), millis(s.Next), millis(s.Ended), s.Version, b, checksum(b)); err != nil {
			return err
		}
		return t.scheduleJob(a, s.ID, s.Next)
	})
	return prior, err
}

// mayHaveSchedule refuses one more schedule that has not ended.
func (t *tx) mayHaveSchedule(app int64, most int) error {
	var live int64
	if _, err := t.rowAside("SELECT COUNT(*) FROM schedule WHERE app = ? AND ended = 0", []any{app}, &live); err != nil {
		return err
	}
	if live >= int64(most) {
		return herald.Errorf(herald.CodeLimitReached, "Delete schedules that are not needed any more, or raise limits.schedules.",
			"the app has %d schedules that have not ended", most)
	}
	return nil
}

// scheduleJob puts the job of a schedule in the place of the one it had.
func (t *tx) scheduleJob(app int64, id herald.ScheduleID, next time.Time) error {
	if _, err := t.execAside("DELETE FROM job WHERE app = ? AND msg = ?", app, int64(id)); err != nil || next.IsZero() {
		return err
	}
	_, err := t.execAside("INSERT INTO job (app, kind, msg, due, at, fence) VALUES (?, ?, ?, ?, ?, 0)",
		app, record.JobSchedule, int64(id), millis(next), millis(next))
	return err
}

// ChangeSchedule replaces a schedule and its job, if it still has the version
// that is given, with the run of an occurrence that is skipped by it.
func (db *DB) ChangeSchedule(ctx context.Context, s record.Schedule, most int, run *record.ScheduleRun) error {
	a, err := db.apps.id(s.App)
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("store: writing a schedule: %w", err)
	}
	return db.write(ctx, func(t *tx) error {
		var version, ended int64
		ok, err := t.rowAside("SELECT version, ended FROM schedule WHERE app = ? AND id = ?", []any{a, int64(s.ID)}, &version, &ended)
		switch {
		case err != nil:
			return err
		case !ok:
			return noSchedule()
		case version != s.Version:
			return herald.Errorf(herald.CodeConflict, "Repeat the call.", "the schedule was changed meanwhile")
		case ended != 0 && s.Ended.IsZero():
			if err := t.mayHaveSchedule(a, most); err != nil {
				return err
			}
		}
		if run != nil {
			if err := t.addRunOnce(a, run); err != nil {
				return err
			}
		}
		if _, err := t.execAside("UPDATE schedule SET state = ?, next = ?, ended = ?, version = version + 1, data = ?, crc = ? WHERE app = ? AND id = ?",
			string(s.State), millis(s.Next), millis(s.Ended), b, checksum(b), a, int64(s.ID)); err != nil {
			return err
		}
		return t.scheduleJob(a, s.ID, s.Next)
	})
}

// DeleteSchedule deletes a schedule with its runs. Its messages stay.
func (db *DB) DeleteSchedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		var one int64
		if ok, err := t.rowAside("SELECT 1 FROM schedule WHERE app = ? AND id = ?", []any{a, int64(id)}, &one); err != nil {
			return err
		} else if !ok {
			return noSchedule()
		}
		return t.deleteSchedule(a, id)
	})
}

func (t *tx) deleteSchedule(app int64, id herald.ScheduleID) error {
	for _, q := range []string{
		"DELETE FROM job WHERE app = ? AND msg = ?",
		"DELETE FROM schedule_run WHERE app = ? AND schedule = ?",
		"DELETE FROM schedule WHERE app = ? AND id = ?",
	} {
		if _, err := t.execAside(q, app, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// Schedule finds a schedule; not_found if there is none.
func (db *DB) Schedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID) (record.Schedule, error) {
	s := record.Schedule{App: app}
	a, err := db.apps.id(app)
	if err != nil {
		return s, err
	}
	ok, err := found(scanSchedule(&s, db.readers.QueryRowContext(ctx, "SELECT "+scheduleColumns+" FROM schedule WHERE app = ? AND id = ?", a, int64(id)).Scan))
	if err != nil {
		return s, wrap(err)
	}
	if !ok {
		return s, noSchedule()
	}
	return s, nil
}

// Schedules lists schedules in the order of creation, and counts all that the
// state selects.
func (db *DB) Schedules(ctx context.Context, app herald.AppKey, f record.ScheduleFilter) ([]record.Schedule, int64, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, 0, err
	}
	where, args := " FROM schedule WHERE app = ?", []any{a}
	if f.State != "" {
		where, args = where+" AND state = ?", append(args, string(f.State))
	}
	var total int64
	if err := db.readers.QueryRowContext(ctx, "SELECT COUNT(*)"+where, args...).Scan(&total); err != nil {
		return nil, 0, wrap(err)
	}
	var out []record.Schedule
	err = scan(ctx, &db.readers, "SELECT "+scheduleColumns+where+" AND id > ? ORDER BY id LIMIT ? OFFSET ?",
		append(args, int64(f.After), f.Limit, f.Offset), func(r *sql.Rows) error {
			s := record.Schedule{App: app}
			err := scanSchedule(&s, r.Scan)
			out = append(out, s)
			return wrap(err)
		})
	return out, total, err
}

// MaxScheduleID is the highest schedule ID of all apps; 0 if there is none.
func (db *DB) MaxScheduleID(ctx context.Context) (herald.ScheduleID, error) {
	var id int64
	err := db.readers.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM schedule").Scan(&id)
	return herald.ScheduleID(id), wrap(err)
}
