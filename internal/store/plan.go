package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// startPlan is release for a message that is released in steps: it gets its
// place in the log and its delivery numbers, and nobody gets the message yet. The
// only step of one that is whole has the same place.
func (t *tx) startPlan(app int64, h *head, m *record.Message, tg target) (record.Accepted, error) {
	out := record.Accepted{Pos: t.next(h)}
	if err := t.logRelease(app, h, out.Pos, record.ReleasePlan, m.ID); err != nil {
		return out, err
	}
	var parts []byte // else they are in plan_chunk
	switch tg.form {
	case formDirect:
		out.FirstN = h.NextN
		h.NextN += uint64(len(m.Direct))
	case formChunks:
		if _, err := t.execAside("DELETE FROM target_draft WHERE app = ? AND msg = ?", app, int64(m.ID)); err != nil {
			return out, err
		}
	}
	if tg.form != formChunks {
		var err error
		if parts, err = record.AppendSets(nil, m.Plan.Sets); err != nil {
			return out, fmt.Errorf("store: writing a plan: %w", err)
		}
	}
	data, err := json.Marshal(&m.Plan.Plan)
	if err != nil {
		return out, fmt.Errorf("store: writing a plan: %w", err)
	}
	if _, err := t.execAside("INSERT INTO plan (app, msg, data, crc, parts, parts_crc) VALUES (?, ?, ?, ?, ?, ?)",
		app, int64(m.ID), data, checksum(data), blob(parts), checksum(parts)); err != nil {
		return out, err
	}
	if m.Plan.Whole {
		whole := *m // as it is once it has its delivery numbers
		whole.FirstN = out.FirstN
		if err := t.noteStep(app, &whole, out.Pos, m.Plan.Ranges, m.Direct, true); err != nil {
			return out, err
		}
	}
	if err := t.putStepJob(app, m.ID, &m.Plan.Plan); err != nil || tg.form == formDirect {
		return out, err
	}
	return out, t.add(toGroups, app, int64(out.Pos), int64(m.ID))
}

// putStepJob writes the job of the next step of a plan, if there is to be one.
func (t *tx) putStepJob(app int64, id herald.MessageID, p *record.Plan) error {
	if p.Next.IsZero() {
		return nil
	}
	_, err := t.execAside("INSERT INTO job (app, kind, msg, due, at, fence) VALUES (?, ?, ?, ?, ?, 0)",
		app, record.JobStep, int64(id), millis(p.Next), millis(p.Next))
	return err
}

// draftParts writes the parts of a large target ahead of the message row, as
// draft does with the target itself.
func (db *DB) draftParts(ctx context.Context, app int64, m *record.Message, guard func(*tx) error) error {
	type chunk struct {
		part int
		slab sets.Slab
		bits []byte
	}
	var slice []chunk
	flush := func() error {
		now := slice
		slice = nil
		return db.writeLater(ctx, func(t *tx) error {
			if err := guard(t); err != nil {
				return err
			}
			for _, c := range now {
				if _, err := t.exec("INSERT INTO plan_chunk (app, msg, slab, part, bits, crc) VALUES (?, ?, ?, ?, ?, ?)",
					app, int64(m.ID), int64(c.slab), int64(c.part), c.bits, checksum(c.bits)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i, s := range m.Plan.Sets {
		for slab, part := range s.Slabs() {
			b, err := record.AppendSet(nil, part)
			if err != nil {
				return fmt.Errorf("store: writing a plan: %w", err)
			}
			if slice = append(slice, chunk{i, slab, b}); len(slice) == chunksInSlice {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if len(slice) == 0 {
		return nil
	}
	return flush()
}

// StepPlans makes steps of plans, in their order and in one commit: of each the
// release of some devices, what its plan is after it, and when it goes on. Steps
// whose job is not held any more are left out; a job whose message has ended is
// finished.
func (db *DB) StepPlans(ctx context.Context, list []*record.Step) error {
	datas := make([][]byte, len(list))
	apps := make([]int64, len(list))
	for i, s := range list {
		var err error
		if apps[i], err = db.apps.id(s.Job.App); err != nil {
			return err
		}
		if datas[i], err = json.Marshal(s.Plan); err != nil {
			return fmt.Errorf("store: writing a plan: %w", err)
		}
	}
	err := db.do(ctx, &op{rows: len(list), done: make(chan struct{}), run: func(t *tx) error {
		for i, s := range list {
			if err := t.stepPlan(apps[i], s, datas[i]); err != nil && herald.CodeOf(err) != herald.CodeConflict {
				return err
			}
		}
		return nil
	}})
	if err == nil {
		faults.Point("stepped")
	}
	return err
}

func (t *tx) stepPlan(app int64, s *record.Step, data []byte) error {
	over, err := t.holdsStep(app, s.Job)
	if err != nil {
		return err // before anything is written
	}
	if over {
		_, err := t.exec("DELETE FROM job WHERE id = ?", s.Job.ID)
		return err
	}
	if len(s.Ranges) > 0 && !faults.Planted("skips_step") {
		if err := t.releaseStep(app, s); err != nil {
			return err
		}
	}
	if _, err := t.exec("UPDATE plan SET data = ?, crc = ? WHERE app = ? AND msg = ?", data, checksum(data), app, int64(s.Msg.ID)); err != nil {
		return err
	}
	if s.Plan.Next.IsZero() {
		_, err = t.exec("DELETE FROM job WHERE id = ?", s.Job.ID)
	} else {
		_, err = t.exec("UPDATE job SET due = ?, at = ? WHERE id = ?", millis(s.Plan.Next), millis(s.Plan.Next), s.Job.ID)
	}
	return err
}

func (t *tx) holdsStep(app int64, j record.Job) (over bool, err error) {
	var ended int64
	ok, err := t.row(`SELECT m.ended FROM job j JOIN msg m ON m.app = j.app AND m.id = j.msg
		WHERE j.id = ? AND j.app = ? AND j.msg = ? AND j.fence = ?`, []any{j.ID, app, int64(j.Msg), j.Fence}, &ended)
	if err == nil && !ok {
		err = herald.Errorf(herald.CodeConflict, "Lease the job again, if it is still there.", "the job is finished, or is not held any more")
	}
	return ended == 1, err
}

func (t *tx) releaseStep(app int64, s *record.Step) error {
	m := s.Msg
	h, err := t.head(app)
	if err != nil {
		return err
	}
	pos := t.next(h)
	if err := t.logRelease(app, h, pos, record.ReleaseStep, m.ID); err != nil {
		return err
	}
	return t.noteStep(app, m, pos, s.Ranges, s.Ords, s.Plan.Held)
}

// noteStep writes what follows from a step: the steps of the route, which devices
// it is for and, of a direct message, their entries.
func (t *tx) noteStep(app int64, m *record.Message, pos herald.Pos, ranges []record.PlanRange, ords []herald.Ordinal, held bool) error {
	now := t.db.cfg.Now()
	if err := t.putRouteSteps(app, m.ID, now, m.Later); err != nil {
		return err
	}
	for _, r := range ranges {
		if _, err := t.execAside("INSERT INTO plan_step (app, msg, pos, part, first_ord, last_ord, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			app, int64(m.ID), int64(pos), int64(r.Part), int64(r.First), int64(r.Last), millis(now)); err != nil {
			return err
		}
	}
	if held {
		return t.holdEntries(app, m, ords)
	}
	return t.putStepEntries(app, m, pos, ords)
}

// putStepEntries writes the entries of some devices of a direct message.
func (t *tx) putStepEntries(app int64, m *record.Message, pos herald.Pos, ords []herald.Ordinal) error {
	for _, o := range ords {
		n, err := deliveryOf(m, o)
		if err != nil {
			return err
		}
		if err := t.add(toEntries, app, int64(o), int64(pos), n, int64(m.ID)); err != nil {
			return err
		}
	}
	return nil
}

func deliveryOf(m *record.Message, o herald.Ordinal) (int64, error) {
	i, ok := slices.BinarySearch(m.Direct, o)
	if !ok {
		return 0, fmt.Errorf("store: device %d is not in the target of message %d", o, m.ID)
	}
	return int64(m.FirstN) + int64(i), nil
}

// ChangePlan pauses, resumes or stops a plan, and gives it as it is then. A stop
// takes a log position, which is returned; 0 otherwise. A message without a
// plan, or with nothing left to release, answers conflict.
func (db *DB) ChangePlan(ctx context.Context, app herald.AppKey, id herald.MessageID, c record.PlanChange) (p record.Plan, pos herald.Pos, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return p, 0, err
	}
	err = db.write(ctx, func(t *tx) error {
		pos = 0
		var state herald.MessageState
		var ended, crc int64
		ok, err := t.row("SELECT state, ended FROM msg WHERE app = ? AND id = ?", []any{a, int64(id)}, &state, &ended)
		switch {
		case err != nil:
			return err
		case !ok:
			return noMessage()
		case ended == 1:
			return herald.Errorf(herald.CodeConflict, "Nothing is left to do.", "the message is %s already", state)
		}
		var data []byte
		if ok, err = t.row("SELECT data, crc FROM plan WHERE app = ? AND msg = ?", []any{a, int64(id)}, &data, &crc); err != nil {
			return err
		}
		if !ok {
			return noPlan(state)
		}
		if p, err = parsePlan(app, id, data, crc); err != nil {
			return err
		}
		changed, err := p.Change(c, t.db.cfg.Now())
		if err != nil || !changed {
			return err
		}
		if c == record.PlanStop {
			h, err := t.head(a)
			if err != nil {
				return err
			}
			pos = t.next(h)
			p.StopPos = pos
			if err := t.logRelease(a, h, pos, record.ReleaseStop, id); err != nil {
				return err
			}
		}
		return t.putPlan(a, &p)
	})
	return p, pos, err
}

// putPlan writes a plan that was changed, and its job anew.
func (t *tx) putPlan(app int64, p *record.Plan) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store: writing a plan: %w", err)
	}
	if _, err := t.exec("UPDATE plan SET data = ?, crc = ? WHERE app = ? AND msg = ?", data, checksum(data), app, int64(p.Msg)); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM job WHERE app = ? AND msg = ?", app, int64(p.Msg)); err != nil {
		return err
	}
	return t.putStepJob(app, p.Msg, p)
}

func noPlan(state herald.MessageState) error {
	if state == herald.MessageScheduled {
		return herald.Errorf(herald.CodeConflict, "Call again when it has begun, or withdraw it with DELETE /v1/messages/{id}.", "the message is scheduled, and its release has not begun")
	}
	return herald.Errorf(herald.CodeConflict, "Send it with spread or send_at_local to be able to stop it on the way; DELETE /v1/messages/{id} withdraws a message.",
		"the message was released to everybody at once")
}

// purgePlan deletes all that belongs to the plan of a message.
func (t *tx) purgePlan(app int64, id herald.MessageID) error {
	key := []any{app, int64(id)}
	var data []byte
	var crc int64
	ok, err := t.row("SELECT data, crc FROM plan WHERE app = ? AND msg = ?", key, &data, &crc)
	if err != nil {
		return err
	}
	if ok {
		if p, err := parsePlan("", id, data, crc); err == nil && p.StopPos != 0 {
			if _, err := t.exec("DELETE FROM release_log WHERE app = ? AND pos = ?", app, int64(p.StopPos)); err != nil {
				return err
			}
		}
	}
	for _, q := range []string{
		"DELETE FROM release_log WHERE app = ? AND pos IN (SELECT pos FROM plan_step WHERE msg = ? AND app = release_log.app)",
		"DELETE FROM release_log WHERE app = ? AND pos IN (SELECT live FROM plan_step WHERE msg = ? AND app = release_log.app)",
		"DELETE FROM plan_step WHERE app = ? AND msg = ?",
		"DELETE FROM plan_chunk WHERE app = ? AND msg = ?",
		"DELETE FROM plan WHERE app = ? AND msg = ?",
	} {
		if _, err := t.exec(q, key...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putFacts(app int64, id herald.MessageID, f *record.Facts) error {
	b, err := factsOf(f)
	if err != nil {
		return err
	}
	_, err = t.exec("UPDATE msg SET facts = ?, facts_crc = ? WHERE app = ? AND id = ?", b, checksum(b), app, int64(id))
	return err
}

// stillPlanned keeps of the facts of a message that is emptied that it is
// released in steps.
func (t *tx) stillPlanned(app int64, id herald.MessageID) error {
	var data []byte
	var crc int64
	ok, err := t.row("SELECT data, crc FROM plan WHERE app = ? AND msg = ?", []any{app, int64(id)}, &data, &crc)
	if err != nil || !ok {
		return err
	}
	p, err := parsePlan("", id, data, crc)
	if err := t.db.spareDamaged(err); err != nil {
		return err
	}
	return t.putFacts(app, id, &record.Facts{Planned: true, Held: p.Held})
}
