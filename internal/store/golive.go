package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// holdEntries notes the devices of a direct message that is held. Nothing of it
// waits for them on connections yet; only a change of aliases asks for it.
func (t *tx) holdEntries(app int64, m *record.Message, ords []herald.Ordinal) error {
	if !m.ByAlias {
		return nil
	}
	for _, o := range ords {
		n, err := deliveryOf(m, o)
		if err != nil {
			return err
		}
		if _, err := t.execAside("INSERT INTO entry_held (app, ord, msg, n) VALUES (?, ?, ?, ?)", app, int64(o), int64(m.ID), n); err != nil {
			return err
		}
	}
	return nil
}

// GoLive takes steps of a message that is held to connections, each at a place in
// the log of its own, in one commit. Those that are there already are left out,
// and so are all once the message has ended. A step of the route that is not held
// any more answers conflict.
func (db *DB) GoLive(ctx context.Context, s record.RouteStep, m *record.Message, list []record.LiveRelease) error {
	app, err := db.apps.id(s.App)
	if err != nil {
		return err
	}
	err = db.write(ctx, func(t *tx) error {
		if err := t.holdsRouteStep(s); err != nil {
			return err
		}
		var ended int64
		ok, err := t.row("SELECT ended FROM msg WHERE app = ? AND id = ?", []any{app, int64(m.ID)}, &ended)
		if err != nil || !ok || ended == 1 {
			return err
		}
		for i := range list {
			if err := t.goLive(app, m, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		faults.Point("went_live")
	}
	return err
}

func (t *tx) goLive(app int64, m *record.Message, r *record.LiveRelease) error {
	var one int64
	ok, err := t.row("SELECT 1 FROM plan_step WHERE app = ? AND msg = ? AND pos = ? AND live = 0 LIMIT 1", []any{app, int64(m.ID), int64(r.Step)}, &one)
	if err != nil || !ok {
		return err
	}
	h, err := t.head(app)
	if err != nil {
		return err
	}
	pos := t.next(h)
	if err := t.logRelease(app, h, pos, record.ReleaseLive, m.ID); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE plan_step SET live = ? WHERE app = ? AND msg = ? AND pos = ?", int64(pos), app, int64(m.ID), int64(r.Step)); err != nil {
		return err
	}
	for slab, some := range r.Left.Slabs() {
		if err := t.leaveOut(app, m.ID, slab, some); err != nil {
			return err
		}
	}
	if m.ByAlias {
		for _, o := range r.Ords {
			if _, err := t.exec("DELETE FROM entry_held WHERE app = ? AND ord = ? AND msg = ?", app, int64(o), int64(m.ID)); err != nil {
				return err
			}
		}
	}
	return t.putStepEntries(app, m, pos, r.Ords)
}

// leaveOut adds devices of a slab to those that a message is not released to
// connections for.
func (t *tx) leaveOut(app int64, id herald.MessageID, slab sets.Slab, some *sets.Set) error {
	key := []any{app, int64(id), int64(slab), int64(record.LeftOut)}
	var b []byte
	var crc int64
	ok, err := t.row("SELECT bits, crc FROM plan_chunk WHERE app = ? AND msg = ? AND slab = ? AND part = ?", key, &b, &crc)
	if err != nil {
		return err
	}
	if ok {
		old, err := parseSet(b, crc, func() string { return fmt.Sprintf("plan_chunk %d %d, slab %d (left out)", app, id, slab) })
		if err := t.db.spareDamaged(err); err != nil {
			return err
		}
		if old != nil {
			some = sets.Union(old, some)
		}
		if _, err := t.exec("DELETE FROM plan_chunk WHERE app = ? AND msg = ? AND slab = ? AND part = ?", key...); err != nil {
			return err
		}
	}
	if b, err = record.AppendSet(nil, some); err != nil {
		return fmt.Errorf("store: writing a plan: %w", err)
	}
	_, err = t.exec("INSERT INTO plan_chunk (app, msg, slab, part, bits, crc) VALUES (?, ?, ?, ?, ?, ?)", append(key, b, checksum(b))...)
	return err
}

// StepsBefore tells what is left of the steps of a message's route that stand
// before one and are due when it is: those that are to be planned, and whether
// there is somebody for whom a vendor was not asked once.
func (db *DB) StepsBefore(ctx context.Context, s record.RouteStep) (planning []int, asking bool, err error) {
	a, err := db.apps.id(s.App)
	if err != nil {
		return nil, false, err
	}
	// Two queries, the earlier one first: see StepsLeft.
	err = scan(ctx, &db.readers, "SELECT DISTINCT step FROM route_step WHERE app = ? AND msg = ? AND step < ? AND due <= ?",
		[]any{a, int64(s.Msg), int64(s.Step), millis(s.Due)}, func(r *sql.Rows) error {
			var step int
			err := r.Scan(&step)
			planning = append(planning, step)
			return wrap(err)
		})
	if err != nil {
		return nil, false, err
	}
	var n int64
	err = db.readers.QueryRowContext(ctx, "SELECT COUNT(*) FROM errand WHERE app = ? AND msg = ? AND step < ? AND tries = 0",
		a, int64(s.Msg), int64(s.Step)).Scan(&n)
	return planning, n > 0, wrap(err)
}

// PutOffStep gives back a step that is leased until a time. One whose fence has
// moved on answers conflict.
func (db *DB) PutOffStep(ctx context.Context, s record.RouteStep, until time.Time) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.holdsRouteStep(s); err != nil {
			return err
		}
		_, err := t.exec("UPDATE route_step SET at = ? WHERE id = ?", millis(until), s.ID)
		return err
	})
}
