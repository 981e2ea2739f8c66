package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// AppendReceipts writes events as the next batch of an app's receipt log.
func (db *DB) AppendReceipts(ctx context.Context, app herald.AppKey, events []record.Event) (uint64, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	b, err := record.AppendEvents(nil, events)
	if err != nil {
		return 0, fmt.Errorf("store: writing receipts: %w", err)
	}
	var n int64
	err = db.write(ctx, func(t *tx) error {
		if _, err := t.row("SELECT last FROM receipt_head WHERE app = ?", []any{a}, &n); err != nil {
			return err
		}
		n++
		if _, err := t.exec("UPDATE receipt_head SET last = ? WHERE app = ?", n, a); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO receipt_log (app, n, batch, crc) VALUES (?, ?, ?, ?)", a, n, b, checksum(b)); err != nil {
			return err
		}
		return t.tellReceipts(a, events, b)
	})
	if err != nil {
		return 0, err
	}
	return uint64(n), nil
}

// ReceiptLog walks the batches that are not folded yet, ascending. each must
// not call the database.
func (db *DB) ReceiptLog(ctx context.Context, app herald.AppKey, each func(record.Batch) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return scan(ctx, &db.readers, "SELECT n, batch, crc FROM receipt_log WHERE app = ? ORDER BY n", []any{a}, func(r *sql.Rows) error {
		var batch record.Batch
		var b sql.RawBytes
		var crc int64
		if err := r.Scan(&batch.N, &b, &crc); err != nil {
			return wrap(err)
		}
		row := func() string { return fmt.Sprintf("receipt_log %s, batch %d", app, batch.N) }
		if err := verify(b, crc, row); err != nil {
			return err
		}
		var err error
		if batch.Events, err = record.ParseEvents(b); err != nil {
			return damaged(row(), err)
		}
		return each(batch)
	})
}

// foldedAtOnce is how many bytes of chunks are replaced in one commit.
const foldedAtOnce = 64 << 10

// FoldReceipts replaces chunks, appends segments and drops the log up to a
// batch. If there are many chunks, most of them are replaced ahead, some in each
// commit, so that nobody waits for all of them: what the log has too may be in a
// chunk early.
func (db *DB) FoldReceipts(ctx context.Context, f record.Fold) error {
	a, err := db.apps.id(f.App)
	if err != nil {
		return err
	}
	chunks, bits := f.Chunks, make([][]byte, len(f.Chunks))
	for i, c := range chunks {
		if bits[i], err = record.AppendSet(nil, c.Bits); err != nil {
			return fmt.Errorf("store: writing a chunk: %w", err)
		}
	}
	for {
		n, size := 0, 0
		for ; n < len(chunks) && size < foldedAtOnce; n++ {
			size += len(bits[n])
		}
		some := fold{app: a, upto: f.Upto, chunks: chunks[:n], bits: bits[:n]}
		if n == len(chunks) {
			return db.write(ctx, func(t *tx) error { return t.fold(some, f.Segments) })
		}
		if err := db.writeLater(ctx, func(t *tx) error { return t.foldChunks(some) }); err != nil {
			return err
		}
		chunks, bits = chunks[n:], bits[n:]
	}
}

// fold is what one commit of a fold writes.
type fold struct {
	app    int64
	upto   uint64
	chunks []record.Chunk
	bits   [][]byte // of these, as they are written
}

// foldChunks replaces chunks, unless their log was folded already.
func (t *tx) foldChunks(f fold) error {
	var last, upto uint64
	if _, err := t.row("SELECT last, upto FROM receipt_head WHERE app = ?", []any{f.app}, &last, &upto); err != nil {
		return err
	}
	if f.upto <= upto || f.upto > last {
		return herald.Errorf(herald.CodeConflict, "Read the receipt log again and fold what is there.",
			"the log is folded up to %d and ends at %d; %d is not between", upto, last, f.upto)
	}
	for i, c := range f.chunks {
		if err := t.putStateChunk(f.app, c, f.bits[i]); err != nil {
			return err
		}
	}
	return nil
}

// fold is the last commit of a fold.
func (t *tx) fold(f fold, segments []record.Segment) error {
	if err := t.foldChunks(f); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE receipt_head SET upto = ? WHERE app = ?", int64(f.upto), f.app); err != nil {
		return err
	}
	for _, s := range segments {
		if _, err := t.exec("INSERT INTO receipt_seg (app, msg, slab, from_n, batch, crc) VALUES (?, ?, ?, ?, ?, ?)",
			f.app, int64(s.Msg), int64(s.Index), int64(s.From), blob(s.Batch), checksum(s.Batch)); err != nil {
			return err
		}
	}
	_, err := t.exec("DELETE FROM receipt_log WHERE app = ? AND n <= ?", f.app, int64(f.upto))
	return err
}

// putStateChunk replaces a chunk; an empty one is deleted.
func (t *tx) putStateChunk(app int64, c record.Chunk, bits []byte) error {
	var err error
	switch {
	case c.Msg == 0 && c.Bits.Empty():
		_, err = t.exec("DELETE FROM direct_chunk WHERE app = ? AND state = ? AND slice = ?", app, string(c.State), int64(c.Index))
	case c.Msg == 0:
		_, err = t.exec(`INSERT INTO direct_chunk (app, state, slice, bits, crc) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (app, state, slice) DO UPDATE SET bits = excluded.bits, crc = excluded.crc`,
			app, string(c.State), int64(c.Index), bits, checksum(bits))
	case c.Bits.Empty():
		_, err = t.exec("DELETE FROM msg_chunk WHERE app = ? AND msg = ? AND state = ? AND slab = ?", app, int64(c.Msg), string(c.State), int64(c.Index))
	default:
		_, err = t.exec(`INSERT INTO msg_chunk (app, msg, state, slab, bits, crc) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (app, msg, slab, state) DO UPDATE SET bits = excluded.bits, crc = excluded.crc`,
			app, int64(c.Msg), string(c.State), int64(c.Index), bits, checksum(bits))
	}
	return err
}

// addedAtOnce is how many chunks are added to in one operation.
const addedAtOnce = 256

// AddToChunks joins bits to the chunks that group messages have, some in each
// operation, so that nobody waits for all of them.
func (db *DB) AddToChunks(ctx context.Context, app herald.AppKey, chunks []record.Chunk) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	chunks = slices.SortedFunc(slices.Values(chunks), func(x, y record.Chunk) int { // as they lie
		return cmp.Or(cmp.Compare(x.Msg, y.Msg), cmp.Compare(x.Index, y.Index), cmp.Compare(x.State, y.State))
	})
	for part := range slices.Chunk(chunks, addedAtOnce) {
		err := db.write(ctx, func(t *tx) error {
			for _, c := range part {
				if err := t.addToChunk(db, a, app, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) addToChunk(db *DB, a int64, app herald.AppKey, c record.Chunk) error {
	var b []byte
	var crc int64
	ok, err := t.rowAside("SELECT bits, crc FROM msg_chunk WHERE app = ? AND msg = ? AND slab = ? AND state = ?",
		[]any{a, int64(c.Msg), int64(c.Index), string(c.State)}, &b, &crc)
	if err != nil {
		return err
	}
	if ok {
		was, err := parseSet(b, crc, func() string { return chunkRow(app, c) })
		if err != nil {
			return db.spareDamaged(err)
		}
		was.Or(c.Bits)
		c.Bits = was
	}
	bits, err := record.AppendSet(nil, c.Bits)
	if err != nil {
		return fmt.Errorf("store: writing a chunk: %w", err)
	}
	return t.putStateChunk(a, c, bits)
}

// StateChunks walks the chunks of one message, by slab, or (0) of all direct
// messages of the app. The target's own chunks are not among them. each must
// not call the database.
func (db *DB) StateChunks(ctx context.Context, app herald.AppKey, msg herald.MessageID, each func(record.Chunk) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	if msg == 0 {
		return db.directChunks(ctx, app, a, each)
	}
	return db.chunks(ctx, app, nil, "SELECT msg, state, slab, bits, crc FROM msg_chunk WHERE app = ? AND msg = ? AND state <> ? ORDER BY slab, state",
		[]any{a, int64(msg), string(record.TargetState)}, each)
}

// Cells walks what some group messages have in one slab, message by message:
// their chunks, and those of targets that are kept in chunks. With waiting it
// leaves out what does not decide who still waits, and states that are damaged.
// each must not call the database.
func (db *DB) Cells(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, waiting bool, each func(record.Chunk) error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	end, spare := ")"+byCell, func(_ herald.DeliveryState, err error) error { return err }
	if waiting {
		end, spare = whoWaits, db.spareState
	}
	for part := range slices.Chunk(ids, inSlice) {
		if err := db.chunks(ctx, app, spare, ofCells+in(padded(len(part)))+end, idArgs(part, a, int64(slab)), each); err != nil {
			return err
		}
	}
	return nil
}

// The query for cells; whoWaits leaves out what does not decide that, whoWasSent
// all that is not of that, whoIsDone the target as well.
const (
	ofCells    = "SELECT msg, state, slab, bits, crc FROM msg_chunk WHERE app = ? AND slab = ? AND msg IN ("
	whoWaits   = ") AND state NOT IN ('sent', 'displayed', 'clicked', 'told')" + byCell
	whoWasSent = ") AND state IN ('sent', 'told')" + byCell
	whoIsDone  = ") AND state NOT IN ('sent', 'displayed', 'clicked', 'told', 'target')" + byCell
	byCell     = " ORDER BY msg, state"
)

// spareState makes nothing of a damaged state, but not of a damaged target.
func (db *DB) spareState(s herald.DeliveryState, err error) error {
	if s == record.TargetState {
		return err
	}
	return db.spareDamaged(err)
}

// Held walks the chunks of Cells, and says of each whether it has
// one device. each must not call the database.
func (db *DB) Held(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, o herald.Ordinal, of record.CellPart, each func(id herald.MessageID, s herald.DeliveryState, has bool)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	end := map[record.CellPart]string{record.AllStates: ")" + byCell, record.WhoWaits: whoWaits, record.WhoWasSent: whoWasSent, record.WhoIsDone: whoIsDone}[of]
	for part := range slices.Chunk(ids, inSlice) {
		err := scan(ctx, &db.readers, ofCells+in(padded(len(part)))+end, idArgs(part, a, int64(slab)), func(r *sql.Rows) error {
			var c record.Chunk
			var b sql.RawBytes
			var crc int64
			if err := r.Scan(&c.Msg, &c.State, &c.Index, &b, &crc); err != nil {
				return wrap(err)
			}
			row := func() string { return chunkRow(app, c) }
			err := verify(b, crc, row)
			var has bool
			if err == nil {
				if has, err = record.SetHas(b, o); err != nil {
					err = damaged(row(), err)
				}
			}
			if err == nil {
				each(c.Msg, c.State, has)
				return nil
			}
			if (of == record.WhoWaits || of == record.WhoIsDone) && c.State != record.TargetState {
				each(c.Msg, record.DamagedState, false)
				return db.spareDamaged(err)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func chunkRow(app herald.AppKey, c record.Chunk) string {
	return fmt.Sprintf("chunk %s, message %d, state %s, %d", app, c.Msg, c.State, c.Index)
}

// chunks walks what a query gives, but for chunks whose error spare takes for
// its own.
func (db *DB) chunks(ctx context.Context, app herald.AppKey, spare func(herald.DeliveryState, error) error, q string, args []any, each func(record.Chunk) error) error {
	return scan(ctx, &db.readers, q, args, func(r *sql.Rows) error {
		var c record.Chunk
		var b sql.RawBytes
		var crc int64
		if err := r.Scan(&c.Msg, &c.State, &c.Index, &b, &crc); err != nil {
			return wrap(err)
		}
		var err error
		if c.Bits, err = parseSet(b, crc, func() string { return chunkRow(app, c) }); err != nil {
			if spare == nil {
				return err
			}
			return spare(c.State, err)
		}
		return each(c)
	})
}

// Segments lists a piece of history, ascending.
func (db *DB) Segments(ctx context.Context, app herald.AppKey, msg herald.MessageID, index uint64) ([]record.Segment, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Segment
	err = scan(ctx, &db.readers, "SELECT from_n, batch, crc FROM receipt_seg WHERE app = ? AND msg = ? AND slab = ? ORDER BY from_n",
		[]any{a, int64(msg), int64(index)}, func(r *sql.Rows) error {
			s := record.Segment{Msg: msg, Index: index}
			var crc int64
			if err := r.Scan(&s.From, &s.Batch, &crc); err != nil {
				return wrap(err)
			}
			out = append(out, s)
			return verify(s.Batch, crc, func() string {
				return fmt.Sprintf("receipt_seg %s, message %d, part %d, from %d", app, msg, index, s.From)
			})
		})
	return out, err
}
