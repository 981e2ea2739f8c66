package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// The forms in which a message row keeps its target.
const (
	formNone   = 0 // scheduled: the audience is not evaluated yet
	formDirect = 1 // a set in the row; the devices have entries
	formGroup  = 2 // a set in the row
	formChunks = 3 // a seal in the row; the set is in msg_chunk, slab by slab
)

const (
	maxInline     = 16 << 10 // bytes of a group target that the row itself takes
	chunksInSlice = 32       // chunks that one operation writes ahead of the row
)

// target is a target in the form in which it is written.
type target struct {
	form  int
	bytes []byte // column target
	group *sets.Set
}

// newTarget encodes the target of a message, outside the commit. The bytes of
// a target in chunks are known once its chunks are written.
func newTarget(m *record.Message, inline int) (target, error) {
	if !m.IsDirect() {
		image, ok := m.Group.Whole()
		if !ok {
			return target{}, herald.Errorf(herald.CodeInternal, "Report this as a defect of Herald.",
				"store: message %d comes without the image of its audience", m.ID)
		}
		// A list takes at most a kilobyte; what is as large as a bitmap is not
		// encoded to learn its size.
		if image.BinarySize() > inline+1<<10 {
			return target{form: formChunks, group: image}, nil
		}
		b, err := record.AppendSet(nil, image)
		if err != nil {
			return target{}, fmt.Errorf("store: writing a target: %w", err)
		}
		if len(b) <= inline {
			return target{form: formGroup, bytes: b}, nil
		}
		return target{form: formChunks, group: image}, nil
	}
	for i := 1; i < len(m.Direct); i++ {
		if m.Direct[i-1] >= m.Direct[i] {
			return target{}, herald.Errorf(herald.CodeInternal, "Report this as a defect of Herald.",
				"store: the devices of message %d are not in ascending order", m.ID)
		}
	}
	b, err := record.AppendSet(nil, sets.New(m.Direct...))
	if err != nil {
		return target{}, fmt.Errorf("store: writing a target: %w", err)
	}
	return target{form: formDirect, bytes: b}, nil
}

// seal sums up the chunks of a target in slab order, so that a chunk that is
// missing or exchanged is noticed like a flipped bit.
type seal struct {
	n   uint32
	crc uint32
}

func (s *seal) add(bits []byte) {
	s.n++
	s.crc = crc32.Update(s.crc, castagnoli, bits)
}

func (s *seal) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, s.n), s.crc)
}

// draft writes the chunks of a target ahead of the message row: a slice of
// them per commit, so that other callers are never held up by a whole one.
// guard is asked in each commit whether the message may still be written. The
// row target_draft says that the chunks have no message yet.
func (db *DB) draft(ctx context.Context, app int64, m *record.Message, tg *target, guard func(*tx) error) error {
	id := m.ID
	var s seal
	var slabs []sets.Slab
	var bits [][]byte // SQLite copies them, so that each slice takes the same
	first := true
	flush := func() error {
		// A slice means nothing before the row of the message is durable.
		err := db.writeLater(ctx, func(t *tx) error {
			if err := guard(t); err != nil {
				return err
			}
			if first {
				// What an earlier owner of the job left is in the way.
				if err := t.deleteDraft(app, id); err != nil {
					return err
				}
				if _, err := t.exec("INSERT INTO target_draft (app, msg) VALUES (?, ?)", app, int64(id)); err != nil {
					return err
				}
			}
			for i := range slabs {
				if _, err := t.exec("INSERT INTO msg_chunk (app, msg, state, slab, bits, crc) VALUES (?, ?, ?, ?, ?, ?)",
					app, int64(id), string(record.TargetState), int64(slabs[i]), bits[i], checksum(bits[i])); err != nil {
					return err
				}
			}
			return nil
		})
		first, slabs = false, slabs[:0]
		return err
	}
	for slab, part := range tg.group.Slabs() {
		if len(bits) == len(slabs) {
			bits = append(bits, nil)
		}
		b, err := record.AppendSet(bits[len(slabs)][:0], part)
		if err != nil {
			return fmt.Errorf("store: writing a target: %w", err)
		}
		s.add(b)
		bits[len(slabs)] = b
		slabs = append(slabs, slab)
		if len(slabs) == chunksInSlice {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(slabs) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	tg.bytes = s.bytes()
	if m.Plan != nil {
		return db.draftParts(ctx, app, m, guard)
	}
	return nil
}

func (t *tx) deleteDraft(app int64, id herald.MessageID) error {
	if _, err := t.exec("DELETE FROM msg_chunk WHERE app = ? AND msg = ? AND state = ?", app, int64(id), string(record.TargetState)); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM plan_chunk WHERE app = ? AND msg = ?", app, int64(id)); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM target_draft WHERE app = ? AND msg = ?", app, int64(id))
	return err
}

// dropDraft removes the chunks of a message that did not come to be. If it
// fails they are removed when the database is opened the next time.
func (db *DB) dropDraft(ctx context.Context, app int64, id herald.MessageID, guard func(*tx) error) {
	err := db.write(context.WithoutCancel(ctx), func(t *tx) error {
		var one int64
		if ok, err := t.row("SELECT 1 FROM target_draft WHERE app = ? AND msg = ?", []any{app, int64(id)}, &one); err != nil || !ok {
			return err
		}
		if err := guard(t); err != nil {
			return err
		}
		return t.deleteDraft(app, id)
	})
	if err != nil && herald.CodeOf(err) != herald.CodeConflict {
		db.cfg.Log.Warn("store: chunks of a message that was not accepted stay until the next start", "message", id, "error", err)
	}
}

// removeDrafts removes the chunks that a crash has left without a message.
func (db *DB) removeDrafts(ctx context.Context) error {
	type draft struct{ app, msg int64 }
	var drafts []draft
	if err := scan(ctx, &db.readers, "SELECT app, msg FROM target_draft", nil, func(r *sql.Rows) error {
		var d draft
		err := r.Scan(&d.app, &d.msg)
		drafts = append(drafts, d)
		return wrap(err)
	}); err != nil {
		return err
	}
	for _, d := range drafts {
		if err := db.write(ctx, func(t *tx) error { return t.deleteDraft(d.app, herald.MessageID(d.msg)) }); err != nil {
			return err
		}
	}
	return nil
}

// readTarget puts the target into a message that was read with its form. One
// that is kept in chunks stays there.
func readTarget(m *record.Message, form int, b []byte, crc int64) error {
	row := func() string { return fmt.Sprintf("msg %s %d (target)", m.App, m.ID) }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	switch form {
	case formNone:
		return nil
	case formChunks:
		m.Group = record.ImageApart()
		return nil
	}
	s, err := record.ParseSet(b)
	if err != nil {
		return damaged(row(), err)
	}
	if form == formGroup {
		m.Group = record.WholeImage(s)
	} else if !s.Empty() {
		m.Direct = s.Ordinals()
	}
	return nil
}

// TargetSlabs lists the slabs in which a target that is kept in chunks has
// devices. The chunks are held against the seal by their checksums alone, so
// that none of them is read.
func (db *DB) TargetSlabs(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]sets.Slab, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []sets.Slab
	var want []byte
	var s seal
	var by shift
	err = db.readers.view(ctx, func(tx *snapshot) error {
		var known bool
		err := scan(ctx, tx, "SELECT target FROM msg WHERE app = ? AND id = ? AND form = ?", []any{a, int64(id), formChunks}, func(r *sql.Rows) error {
			known = true
			return wrap(r.Scan(&want))
		})
		if err != nil {
			return err
		}
		if !known {
			return noMessage()
		}
		return scan(ctx, tx, "SELECT slab, length(bits), crc FROM msg_chunk WHERE app = ? AND msg = ? AND state = ? ORDER BY slab",
			[]any{a, int64(id), string(record.TargetState)}, func(r *sql.Rows) error {
				var slab sets.Slab
				var n, crc int64
				err := r.Scan(&slab, &n, &crc)
				out = append(out, slab)
				s.n, s.crc = s.n+1, by.combine(s.crc, uint32(crc), n)
				return wrap(err)
			})
	})
	if err != nil {
		return nil, err
	}
	if string(s.bytes()) != string(want) {
		return nil, damaged(fmt.Sprintf("the target of message %d of app %s (chunks are missing or exchanged)", id, app), nil)
	}
	return out, nil
}

// shift is what n zero bytes behind a piece of bytes do to its CRC-32C, by linear
// algebra over GF(2): a matrix. Most chunks have one length, so that one is
// kept.
type shift struct {
	n int64
	m [32]uint32
}

// combine gives the CRC-32C of two pieces of bytes from those of each, of which
// the second has n bytes.
func (s *shift) combine(first, second uint32, n int64) uint32 {
	if n == 0 {
		return first ^ second
	}
	if n != s.n {
		s.set(n)
	}
	return times(&s.m, first) ^ second
}

func (s *shift) set(n int64) {
	var power, next [32]uint32
	next[0] = crc32.Castagnoli // one zero bit
	for i := 1; i < 32; i++ {
		next[i] = 1 << (i - 1)
	}
	for range 3 { // a byte
		power = next
		square(&next, &power)
	}
	for i := range s.m {
		s.m[i] = 1 << i
	}
	for s.n = n; n > 0; n >>= 1 {
		if n&1 != 0 {
			for i := range s.m {
				s.m[i] = times(&next, s.m[i])
			}
		}
		power = next
		square(&next, &power)
	}
}

func times(m *[32]uint32, v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func square(to, m *[32]uint32) {
	for i := range m {
		to[i] = times(m, m[i])
	}
}
