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

// mayFire refuses a firing whose job somebody else has leased since, whose
// schedule was changed, or which was done before. It writes nothing.
func (t *tx) mayFire(app int64, f *record.Firing, id herald.ScheduleID) error {
	var one int64
	q, args := "SELECT 1 FROM schedule WHERE app = ? AND id = ?", []any{app, int64(id)}
	if f.Job.ID != 0 {
		q, args = `SELECT 1 FROM job j JOIN schedule s ON s.app = j.app AND s.id = j.msg WHERE j.app = ? AND j.msg = ? AND j.id = ? AND j.fence = ?`,
			append(args, f.Job.ID, f.Job.Fence)
	}
	switch ok, err := t.rowAside(q, args, &one); {
	case err != nil:
		return err
	case !ok && f.Job.ID == 0:
		return noSchedule()
	case !ok:
		return herald.Errorf(herald.CodeConflict, "Lease the job again, if it is still there.", "the job is finished, or is not held any more")
	case f.Run == nil:
		return nil
	}
	ok, err := t.hasRun(app, f.Run)
	if err == nil && ok {
		err = herald.Errorf(herald.CodeConflict, "Look at the runs of the schedule.", "this occurrence has run already")
	}
	return err
}

// fire writes the run of an occurrence, and moves its schedule on.
func (t *tx) fire(app int64, f *record.Firing, id herald.ScheduleID) error {
	if f.Run != nil {
		if err := t.addRun(app, f.Run); err != nil {
			return err
		}
	}
	if f.Job.ID == 0 {
		return nil
	}
	if f.Next.IsZero() {
		if _, err := t.execAside("UPDATE schedule SET state = ?, next = 0, ended = ?, version = version + 1 WHERE app = ? AND id = ?",
			string(herald.ScheduleEnded), millis(f.Since), app, int64(id)); err != nil {
			return err
		}
	} else if _, err := t.execAside("UPDATE schedule SET next = ?, version = version + 1 WHERE app = ? AND id = ?", millis(f.Next), app, int64(id)); err != nil {
		return err
	}
	return t.scheduleJob(app, id, f.Next)
}

func (t *tx) hasRun(app int64, r *record.ScheduleRun) (bool, error) {
	var one int64
	return t.rowAside("SELECT 1 FROM schedule_run WHERE app = ? AND schedule = ? AND occurrence = ? AND asked = ?",
		[]any{app, int64(r.Schedule), millis(r.Occurrence), flag(r.Manual)}, &one)
}

// addRunOnce is addRun for an occurrence that may have a run already, which stays.
func (t *tx) addRunOnce(app int64, r *record.ScheduleRun) error {
	if ok, err := t.hasRun(app, r); err != nil || ok {
		return err
	}
	return t.addRun(app, r)
}

func (t *tx) addRun(app int64, r *record.ScheduleRun) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store: writing a run: %w", err)
	}
	_, err = t.execAside("INSERT INTO schedule_run (app, schedule, occurrence, asked, data, crc) VALUES (?, ?, ?, ?, ?, ?)",
		app, int64(r.Schedule), millis(r.Occurrence), flag(r.Manual), b, checksum(b))
	return err
}

// Fire deals with an occurrence that makes no message; see record.Firing.
func (db *DB) Fire(ctx context.Context, id herald.ScheduleID, f record.Firing) error {
	a, err := db.apps.id(f.App)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		if err := t.mayFire(a, &f, id); err != nil {
			return err
		}
		return t.fire(a, &f, id)
	})
}

const runColumns = "occurrence, asked, data, crc"

func scanRun(r *record.ScheduleRun, scan func(...any) error) error {
	var at, asked, crc int64
	var b []byte
	if err := scan(&at, &asked, &b, &crc); err != nil {
		return err
	}
	r.Occurrence, r.Manual = fromMillis(at), asked != 0
	row := func() string { return fmt.Sprintf("schedule_run %s, %d", r.Schedule, at) }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	if err := json.Unmarshal(b, r); err != nil {
		return damaged(row(), err)
	}
	return nil
}

// ScheduleRun finds the run of an occurrence; nil if there is none.
func (db *DB) ScheduleRun(ctx context.Context, app herald.AppKey, id herald.ScheduleID, occurrence time.Time) (*record.ScheduleRun, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	r := &record.ScheduleRun{Schedule: id}
	ok, err := found(scanRun(r, db.readers.QueryRowContext(ctx, "SELECT "+runColumns+" FROM schedule_run WHERE app = ? AND schedule = ? AND occurrence = ? AND asked = 0",
		a, int64(id), millis(occurrence)).Scan))
	if !ok {
		return nil, wrap(err)
	}
	return r, nil
}

// ScheduleRuns lists the runs of a schedule after a place, newest first.
func (db *DB) ScheduleRuns(ctx context.Context, app herald.AppKey, id herald.ScheduleID, after record.RunCursor, limit int) ([]record.ScheduleRun, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	where, args := "app = ? AND schedule = ?", []any{a, int64(id)}
	if !after.Occurrence.IsZero() {
		at := millis(after.Occurrence)
		where, args = where+" AND (occurrence < ? OR occurrence = ? AND asked < ?)", append(args, at, at, flag(after.Manual))
	}
	var out []record.ScheduleRun
	err = scan(ctx, &db.readers, "SELECT "+runColumns+" FROM schedule_run WHERE "+where+" ORDER BY occurrence DESC, asked DESC LIMIT ?",
		append(args, limit), func(rows *sql.Rows) error {
			r := record.ScheduleRun{Schedule: id}
			err := scanRun(&r, rows.Scan)
			out = append(out, r)
			return wrap(err)
		})
	return out, err
}

// PurgeSchedules deletes schedules that ended before a time, and runs of
// occurrences before it, at most limit of each. It reports whether more is left.
func (db *DB) PurgeSchedules(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	type row struct{ app, schedule, occurrence, asked int64 }
	var old, runs []row
	if err := scan(ctx, &db.readers, "SELECT app, id FROM schedule WHERE ended > 0 AND ended < ? ORDER BY ended LIMIT ?", []any{millis(before), limit}, func(r *sql.Rows) error {
		var o row
		err := r.Scan(&o.app, &o.schedule)
		old = append(old, o)
		return wrap(err)
	}); err != nil {
		return false, err
	}
	if err := scan(ctx, &db.readers, "SELECT app, schedule, occurrence, asked FROM schedule_run WHERE occurrence < ? ORDER BY occurrence LIMIT ?", []any{millis(before), limit}, func(r *sql.Rows) error {
		var o row
		err := r.Scan(&o.app, &o.schedule, &o.occurrence, &o.asked)
		runs = append(runs, o)
		return wrap(err)
	}); err != nil || len(old)+len(runs) == 0 {
		return false, err
	}
	return len(old) == limit || len(runs) == limit, db.write(ctx, func(t *tx) error {
		for _, o := range old {
			var one int64 // it may have been given another trigger since it was read
			if ok, err := t.rowAside("SELECT 1 FROM schedule WHERE app = ? AND id = ? AND ended > 0 AND ended < ?", []any{o.app, o.schedule, millis(before)}, &one); err != nil {
				return err
			} else if !ok {
				continue
			}
			if err := t.deleteSchedule(o.app, herald.ScheduleID(o.schedule)); err != nil {
				return err
			}
		}
		for _, o := range runs {
			if _, err := t.execAside("DELETE FROM schedule_run WHERE app = ? AND schedule = ? AND occurrence = ? AND asked = ?", o.app, o.schedule, o.occurrence, o.asked); err != nil {
				return err
			}
		}
		return nil
	})
}
