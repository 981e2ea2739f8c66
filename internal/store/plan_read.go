package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func planRow(app herald.AppKey, id herald.MessageID) func() string {
	return func() string { return fmt.Sprintf("plan %s %d", app, id) }
}

func parsePlan(app herald.AppKey, id herald.MessageID, b []byte, crc int64) (p record.Plan, err error) {
	row := planRow(app, id)
	if err := verify(b, crc, row); err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, damaged(row(), err)
	}
	p.App, p.Msg = app, id
	return p, nil
}

// PlanOf gives how a message is released in steps; not_found if it is not.
func (db *DB) PlanOf(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Plan, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var data []byte
	var crc int64
	ok, err := found(db.readers.QueryRowContext(ctx, "SELECT data, crc FROM plan WHERE app = ? AND msg = ?", a, int64(id)).Scan(&data, &crc))
	if err != nil {
		return nil, wrap(err)
	}
	if !ok {
		return nil, notFound("plan", "Only messages that are released in steps have one.")
	}
	p, err := parsePlan(app, id, data, crc)
	return &p, err
}

// partsOf reads the parts of a plan that has them in one piece; nil if they are
// in chunks.
func (db *DB) partsOf(ctx context.Context, app herald.AppKey, a int64, id herald.MessageID) (list []*sets.Set, err error) {
	err = scan(ctx, &db.readers, "SELECT parts, parts_crc FROM plan WHERE app = ? AND msg = ?", []any{a, int64(id)}, func(r *sql.Rows) error {
		var b []byte
		var crc int64
		if err := r.Scan(&b, &crc); err != nil {
			return wrap(err)
		}
		row := planRow(app, id)
		if err := verify(b, crc, row); err != nil || len(b) == 0 {
			return err
		}
		if list, err = record.ParseSets(b); err != nil {
			return damaged(row(), err)
		}
		return nil
	})
	return list, err
}

// PlanSlab gives the devices of each part of a plan that are in one slab, and
// those that are left out (see record.LeftOut).
func (db *DB) PlanSlab(ctx context.Context, app herald.AppKey, id herald.MessageID, slab sets.Slab) (map[int]*sets.Set, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	list, err := db.partsOf(ctx, app, a, id)
	if err != nil {
		return nil, err
	}
	out := map[int]*sets.Set{}
	for i, s := range list {
		if part := s.Slab(slab); !part.Empty() {
			out[i] = part
		}
	}
	// Those who are left out are in chunks also where parts are in one piece.
	return out, db.planChunks(ctx, app, id, "SELECT slab, part, bits, crc FROM plan_chunk WHERE app = ? AND msg = ? AND slab = ?", []any{a, int64(id), int64(slab)},
		func(_ sets.Slab, part int, s *sets.Set) { out[part] = s })
}

// planPage is how many slabs of a part are read at once.
const planPage = 8

// PlanPart walks the devices of a part, slab by slab from the slab of an ordinal
// on, as long as each wants more.
func (db *DB) PlanPart(ctx context.Context, app herald.AppKey, id herald.MessageID, part int, from herald.Ordinal, each func(*sets.Set) (more bool)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	list, err := db.partsOf(ctx, app, a, id)
	if err != nil {
		return err
	}
	if list != nil {
		if part < len(list) {
			for slab, s := range list[part].Slabs() {
				if slab >= sets.SlabOf(from) && !each(s) {
					break
				}
			}
		}
		return nil
	}
	for next := int64(sets.SlabOf(from)); ; {
		var page []*sets.Set
		err := db.planChunks(ctx, app, id, "SELECT slab, part, bits, crc FROM plan_chunk WHERE app = ? AND msg = ? AND slab >= ? AND part = ? ORDER BY slab LIMIT ? + 0",
			[]any{a, int64(id), next, int64(part), planPage}, func(slab sets.Slab, _ int, s *sets.Set) {
				page, next = append(page, s), int64(slab)+1
			})
		if err != nil {
			return err
		}
		for _, s := range page {
			if !each(s) {
				return nil
			}
		}
		if len(page) < planPage {
			return nil
		}
	}
}

func (db *DB) planChunks(ctx context.Context, app herald.AppKey, id herald.MessageID, q string, args []any, each func(sets.Slab, int, *sets.Set)) error {
	return scan(ctx, &db.readers, q, args, func(r *sql.Rows) error {
		var slab, part, crc int64
		var b sql.RawBytes
		if err := r.Scan(&slab, &part, &b, &crc); err != nil {
			return wrap(err)
		}
		s, err := parseSet(b, crc, func() string { return fmt.Sprintf("plan_chunk %s %d, part %d, slab %d", app, id, part, slab) })
		if err != nil {
			return err
		}
		each(sets.Slab(slab), int(part), s)
		return nil
	})
}

// PlanSteps lists the releases that a plan has made, in log order.
func (db *DB) PlanSteps(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.PlanStep, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	return readSteps(ctx, &db.readers, "app = ? AND msg = ?", a, int64(id))
}

func readSteps(ctx context.Context, from queryer, where string, args ...any) (out []record.PlanStep, err error) {
	err = scan(ctx, from, "SELECT pos, part, first_ord, last_ord, at, live FROM plan_step WHERE "+where+" ORDER BY pos, part", args, func(r *sql.Rows) error {
		var pos, live herald.Pos
		var x record.PlanRange
		var at int64
		if err := r.Scan(&pos, &x.Part, &x.First, &x.Last, &at, &live); err != nil {
			return wrap(err)
		}
		if n := len(out); n == 0 || out[n-1].Pos != pos {
			out = append(out, record.PlanStep{Pos: pos, At: fromMillis(at), Live: live})
		}
		last := &out[len(out)-1]
		last.Ranges = append(last.Ranges, x)
		return nil
	})
	return out, err
}

// readRanges gives the steps among releases their devices.
func (db *DB) readRanges(ctx context.Context, tx *snapshot, app int64, list []record.Release) error {
	for i := range list {
		r := &list[i]
		column, ok := map[record.ReleaseKind]string{record.ReleasePlan: "pos", record.ReleaseStep: "pos", record.ReleaseLive: "live"}[r.Kind]
		if !ok || r.Msg == nil {
			continue
		}
		steps, err := readSteps(ctx, tx, "app = ? AND msg = ? AND "+column+" = ?", app, int64(r.Msg.ID), int64(r.Pos))
		if err != nil {
			return err
		}
		for _, s := range steps {
			r.Ranges, r.Step = s.Ranges, s.Pos
		}
	}
	return nil
}
