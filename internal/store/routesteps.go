package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// putRouteSteps writes the steps of a message's route that come after its release,
// which is at a time.
func (t *tx) putRouteSteps(app int64, id herald.MessageID, now time.Time, later []record.StepAfter) error {
	for _, s := range later {
		due := millis(now.Add(s.After))
		if _, err := t.execAside("INSERT INTO route_step (app, msg, step, due, at, fence) VALUES (?, ?, ?, ?, ?, 0)", app, int64(id), int64(s.Step), due, due); err != nil {
			return err
		}
	}
	return nil
}

// NextRouteStep is when the earliest step may be leased; zero if there is none.
func (db *DB) NextRouteStep(ctx context.Context) (time.Time, error) {
	var at int64
	err := db.readers.QueryRowContext(ctx, "SELECT COALESCE(MIN(at), 0) FROM route_step").Scan(&at)
	return fromMillis(at), wrap(err)
}

// LeaseRouteSteps takes up to limit steps that are due for a time, raising their
// fences.
func (db *DB) LeaseRouteSteps(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]record.RouteStep, error) {
	var out []record.RouteStep
	err := db.write(ctx, func(t *tx) error {
		out = nil
		err := scan(ctx, t, "SELECT id, app, msg, step, due, fence FROM route_step WHERE at <= ? ORDER BY at, id LIMIT ?", []any{millis(now), limit}, func(r *sql.Rows) error {
			var s record.RouteStep
			var app, due int64
			err := r.Scan(&s.ID, &app, &s.Msg, &s.Step, &due, &s.Fence)
			s.App, s.Due = db.apps.keyOf(app), fromMillis(due)
			s.Fence++
			out = append(out, s)
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range out {
			if _, err := t.exec("UPDATE route_step SET fence = ?, at = ? WHERE id = ?", s.Fence, millis(now.Add(lease)), s.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// PlanStep writes errands of a step that is leased, and finishes it if it is done,
// else holds it for a minute more. One whose fence has moved on answers conflict.
func (db *DB) PlanStep(ctx context.Context, s record.RouteStep, list []record.Errand, done bool) error {
	app, err := db.apps.id(s.App)
	if err != nil {
		return err
	}
	rows := make([][]any, len(list))
	for i := range list {
		if rows[i], err = errandRow(app, &list[i]); err != nil {
			return err
		}
	}
	return db.write(ctx, func(t *tx) error {
		if err := t.holdsRouteStep(s); err != nil {
			return err
		}
		for _, row := range rows {
			if _, err := t.exec(`INSERT INTO errand (app, msg, step, owner, kind, vendor, env, credential, slab, at, fence, tries, todo, todo_crc, doubt, doubt_crc)
				VALUES (`+in(16)+`)`, row...); err != nil {
				return err
			}
		}
		if !done { // it takes long, and is not to be given to somebody else
			_, err = t.exec("UPDATE route_step SET at = ? WHERE id = ?", millis(t.db.cfg.Now().Add(time.Minute)), s.ID)
			return err
		}
		_, err = t.exec("DELETE FROM route_step WHERE id = ?", s.ID)
		return err
	})
}

func errandNotHeld() error {
	return herald.Errorf(herald.CodeConflict, "Lease it again, if it is still there.", "it is finished, or is not held any more")
}

func errandRow(app int64, e *record.Errand) ([]any, error) {
	todo, err := record.AppendSet(nil, e.Left)
	if err != nil {
		return nil, fmt.Errorf("store: writing an errand: %w", err)
	}
	doubt, err := doubtOf(e)
	if err != nil {
		return nil, err
	}
	return []any{app, int64(e.Msg), int64(e.Step), string(e.Owner), e.Kind, string(e.Vendor), e.Env, e.Credential, int64(e.Slab),
		millis(e.At), e.Fence, int64(e.Tries), todo, checksum(todo), doubt, checksum(doubt)}, nil
}

// doubtOf is what an errand doubts, empty for nothing.
func doubtOf(e *record.Errand) ([]byte, error) {
	if e.Doubt == nil || e.Doubt.Empty() {
		return []byte{}, nil
	}
	b, err := record.AppendSet(nil, e.Doubt)
	if err != nil {
		return nil, fmt.Errorf("store: writing an errand: %w", err)
	}
	return b, nil
}

// SkipStep keeps that devices of a slab are left out of a step that is leased,
// and why. One whose fence has moved on answers conflict.
func (db *DB) SkipStep(ctx context.Context, s record.RouteStep, vendor herald.Vendor, slab sets.Slab, code string, devices *sets.Set) error {
	app, err := db.apps.id(s.App)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		if err := t.holdsRouteStep(s); err != nil {
			return err
		}
		e := &record.Errand{Lane: record.Lane{Vendor: vendor}, Msg: s.Msg, Step: s.Step, Owner: record.OwnerDevice, Slab: slab}
		return t.tally(app, e, record.Tally{Fate: record.FateSkipped, Code: code, Set: devices})
	})
}

// holdsRouteStep refuses a step that somebody else has leased since.
func (t *tx) holdsRouteStep(s record.RouteStep) error {
	var fence int64
	ok, err := t.row("SELECT fence FROM route_step WHERE id = ?", []any{s.ID}, &fence)
	if err == nil && (!ok || fence != s.Fence) {
		err = errandNotHeld()
	}
	return err
}

// Tried gives who of a slab has had an attempt in a step of a message, or is to
// have one.
func (db *DB) Tried(ctx context.Context, app herald.AppKey, id herald.MessageID, step int, owner record.Owner, slab sets.Slab) (*sets.Set, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := sets.New()
	for _, q := range []string{
		"SELECT bits, crc FROM attempt_chunk WHERE app = ? AND msg = ? AND step = ? AND owner = ? AND slab = ?",
		"SELECT todo, todo_crc FROM errand WHERE app = ? AND msg = ? AND step = ? AND owner = ? AND slab = ?",
	} {
		if err := scan(ctx, &db.readers, q, []any{a, int64(id), int64(step), string(owner), int64(slab)}, func(r *sql.Rows) error {
			var b []byte
			var crc int64
			if err := r.Scan(&b, &crc); err != nil {
				return wrap(err)
			}
			s, err := parseSet(b, crc, func() string { return fmt.Sprintf("attempts of message %d, step %d, slab %d", id, step, slab) })
			if err != nil {
				return err
			}
			out.Or(s)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
