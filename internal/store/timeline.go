package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// MessagesFor lists, newest first, the messages before an ID (0 for the newest)
// that were released and may be for a device: the direct ones that it is in
// the target of, and group messages, but for those of which it can be seen that
// the device is not in their target. may tells of a group message whether that
// has to be looked for at all; nil stands for always. It looks at no more
// than so many, and gives the ID of the last one that it has looked at; 0 if
// there are no more.
//
// Nothing leads from a device to the messages that have ended (entries lead
// only to what waits), so that this is a scan, in pages that bound it. Of most
// messages it reads neither body nor target.
func (db *DB) MessagesFor(ctx context.Context, app herald.AppKey, ord herald.Ordinal, before herald.MessageID, look int, may func(herald.MessageID) bool) (list []*record.Message, last herald.MessageID, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, 0, err
	}
	found, last, err := db.glance(ctx, app, a, ord, before, look, may)
	if err != nil {
		return nil, last, err
	}
	if found, err = db.targeted(ctx, app, a, ord, found); err != nil {
		return nil, last, err
	}
	for part := range slices.Chunk(found, inSlice) {
		some, err := db.readFor(ctx, a, ord, part)
		if err != nil {
			return nil, last, err
		}
		list = append(list, some...)
	}
	return list, last, nil
}

// glanced is what was read of a message that may be for a device.
type glanced struct {
	id     herald.MessageID
	form   int
	direct []herald.Ordinal
}

// glance looks at some messages for those that may be for a device.
func (db *DB) glance(ctx context.Context, app herald.AppKey, a int64, ord herald.Ordinal, before herald.MessageID, look int, may func(herald.MessageID) bool) (found []glanced, last herald.MessageID, err error) {
	where, args := "m.app = ?", []any{formDirect, formDirect, a}
	if before != 0 {
		where += " AND m.id < ?"
		args = append(args, int64(before))
	}
	seen := 0
	err = scan(ctx, &db.readers, "SELECT m.id, m.pos, m.form, "+directTarget+" FROM msg m WHERE "+where+" ORDER BY m.id DESC LIMIT ?", append(args, look),
		func(r *sql.Rows) error {
			var g glanced
			var pos, crc int64
			var target sql.RawBytes
			if err := r.Scan(&g.id, &pos, &g.form, &target, &crc); err != nil {
				return wrap(err)
			}
			seen, last = seen+1, g.id
			switch {
			case pos == 0:
			case g.form == formGroup || g.form == formChunks:
				if may == nil || may(g.id) {
					found = append(found, g)
				}
			default:
				m := &record.Message{Message: herald.Message{ID: g.id, App: app}}
				if err := readTarget(m, g.form, target, crc); err != nil {
					return db.spareDamaged(err)
				}
				if _, ok := slices.BinarySearch(m.Direct, ord); ok {
					g.direct = m.Direct
					found = append(found, g)
				}
			}
			return nil
		})
	if seen < look {
		last = 0
	}
	return found, last, err
}

// directTarget reads the target of a direct message and its checksum, and leaves
// those of others unread, which may be long. It has two parameters, formDirect.
const directTarget = "CASE WHEN m.form = ? THEN m.target END, CASE WHEN m.form = ? THEN m.target_crc ELSE 0 END"

// targeted leaves out messages in whose chunks it can be seen that a device is
// not in their target. What is damaged stays: who asks for its states says so.
func (db *DB) targeted(ctx context.Context, app herald.AppKey, a int64, ord herald.Ordinal, found []glanced) ([]glanced, error) {
	var ids []herald.MessageID
	for _, g := range found {
		if g.form == formChunks {
			ids = append(ids, g.id)
		}
	}
	in := make(map[herald.MessageID]bool, len(ids))
	err := db.walkTargets(ctx, a, sets.SlabOf(ord), ids, func(id herald.MessageID, bits []byte, crc int64) {
		has, err := false, verify(bits, crc, func() string { return fmt.Sprintf("chunk %s, message %d, target", app, id) })
		if err == nil {
			has, err = record.SetHas(bits, ord)
		}
		in[id] = has || err != nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(g glanced) bool { return g.form == formChunks && !in[g.id] }), nil
}

// walkTargets walks the chunks that some targets have in one slab.
func (db *DB) walkTargets(ctx context.Context, a int64, slab sets.Slab, ids []herald.MessageID, each func(id herald.MessageID, bits []byte, crc int64)) error {
	for part := range slices.Chunk(ids, inSlice) {
		args := idArgs(part, a, int64(slab), string(record.TargetState))
		err := scan(ctx, &db.readers, "SELECT msg, bits, crc FROM msg_chunk WHERE app = ? AND slab = ? AND state = ? AND msg IN ("+in(padded(len(part)))+")", args, func(r *sql.Rows) error {
			var id herald.MessageID
			var bits sql.RawBytes
			var crc int64
			if err := r.Scan(&id, &bits, &crc); err != nil {
				return wrap(err)
			}
			each(id, bits, crc)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readFor reads messages in full, without those whose target is in their row and
// does not have a device.
func (db *DB) readFor(ctx context.Context, a int64, ord herald.Ordinal, found []glanced) ([]*record.Message, error) {
	ids := make([]herald.MessageID, len(found))
	for i, g := range found {
		ids[i] = g.id
	}
	read := make(map[herald.MessageID]*record.Message, len(ids))
	args := append([]any{formGroup}, idArgs(ids, a)...)
	err := scan(ctx, &db.readers, "SELECT "+msgColumns+", CASE WHEN m.form = ? THEN m.target END FROM msg m WHERE m.app = ? AND m.id IN ("+in(padded(len(ids)))+")", args, func(r *sql.Rows) error {
		var target sql.RawBytes
		row, err := db.scanMessage(func(dest ...any) error { return r.Scan(append(dest, &target)...) }, false)
		if err != nil {
			return wrap(db.spareDamaged(err))
		}
		if row.form == formGroup {
			// Who asks for the states of one that is damaged says so.
			if has, err := record.SetHas(target, ord); err == nil && !has {
				return nil
			}
		}
		read[row.m.ID] = row.m
		return nil
	})
	if err != nil {
		return nil, err
	}
	var list []*record.Message
	for _, g := range found {
		if m := read[g.id]; m != nil { // else it was purged meanwhile
			m.Direct = g.direct
			list = append(list, m)
		}
	}
	return list, nil
}
