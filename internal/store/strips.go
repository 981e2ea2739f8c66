package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// stripsAtOnce is how many strips one operation writes, some eight kilobytes
// each: others wait for no more.
const stripsAtOnce = 16

// Bundles lists the bundles of an app. One that is damaged is left out: what its
// strips say is in the chunks.
func (db *DB) Bundles(ctx context.Context, app herald.AppKey) (out []record.Bundle, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	err = scan(ctx, &db.readers, "SELECT slab, n, msgs, crc FROM strip_bundle WHERE app = ? ORDER BY slab, n", []any{a}, func(r *sql.Rows) error {
		var slab, n, crc int64
		var b sql.RawBytes
		if err := r.Scan(&slab, &n, &b, &crc); err != nil {
			return wrap(err)
		}
		row := func() string { return fmt.Sprintf("strip_bundle %s, slab %d, %d", app, slab, n) }
		if err := verify(b, crc, row); err != nil {
			return db.spareStrip(err)
		}
		of, err := record.ParseBundle(b)
		if err != nil {
			return db.spareStrip(damaged(row(), err))
		}
		of.Slab, of.N = sets.Slab(slab), uint64(n)
		out = append(out, of)
		return nil
	})
	return out, err
}

// PutBundle writes the strips of a bundle, by their blocks within the slab, and
// then the bundle, which is found from then on. If it was there, with the same
// messages, nobody sees more than both say meanwhile. If it was not, it is there
// without messages until the strips are: so they are found again after a crash.
func (db *DB) PutBundle(ctx context.Context, app herald.AppKey, of record.Bundle, strips [record.StripsInSlab]*sets.Set) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	if err := db.writeLater(ctx, func(t *tx) error { return t.beginBundle(a, of) }); err != nil {
		return err
	}
	first := record.BlockOf(sets.FirstOf(of.Slab))
	for at := 0; at < len(strips); at += stripsAtOnce {
		faults.Point("bundling")
		part := make([][]byte, stripsAtOnce)
		for i := range part {
			if part[i], err = record.AppendSet(nil, strips[at+i]); err != nil {
				return fmt.Errorf("store: writing a strip: %w", err)
			}
		}
		err := db.writeLater(ctx, func(t *tx) error {
			for i, b := range part {
				if err := t.putStrip(a, first+uint64(at+i), of.N, b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return db.writeLater(ctx, func(t *tx) error { return t.putBundle(a, of) })
}

func (t *tx) putStrip(app int64, block, n uint64, b []byte) error {
	_, err := t.exec(`INSERT INTO strip (app, block, n, bits, crc) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (app, block, n) DO UPDATE SET bits = excluded.bits, crc = excluded.crc`,
		app, int64(block), int64(n), b, checksum(b))
	return err
}

// beginBundle writes a bundle without messages, unless it is there.
func (t *tx) beginBundle(app int64, of record.Bundle) error {
	var n int64
	there, err := t.row("SELECT n FROM strip_bundle WHERE app = ? AND slab = ? AND n = ?", []any{app, int64(of.Slab), int64(of.N)}, &n)
	if err != nil || there {
		return err
	}
	return t.putBundle(app, record.Bundle{Slab: of.Slab, N: of.N})
}

func (t *tx) putBundle(app int64, of record.Bundle) error {
	b := record.AppendBundle(nil, of)
	_, err := t.exec(`INSERT INTO strip_bundle (app, slab, n, msgs, crc) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (app, slab, n) DO UPDATE SET msgs = excluded.msgs, crc = excluded.crc`,
		app, int64(of.Slab), int64(of.N), b, checksum(b))
	return err
}

// DropBundle deletes the strips of a bundle, and then the bundle: so that they are
// found again after a crash.
func (db *DB) DropBundle(ctx context.Context, app herald.AppKey, slab sets.Slab, n uint64) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	first := record.BlockOf(sets.FirstOf(slab))
	for at := uint64(0); at < record.StripsInSlab && err == nil; at += stripsAtOnce {
		err = db.writeLater(ctx, func(t *tx) error {
			_, err := t.exec("DELETE FROM strip WHERE app = ? AND block >= ? AND block < ? AND n = ?",
				a, int64(first+at), int64(first+at+stripsAtOnce), int64(n))
			return err
		})
	}
	if err != nil {
		return err
	}
	return db.writeLater(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM strip_bundle WHERE app = ? AND slab = ? AND n = ?", a, int64(slab), int64(n))
		return err
	})
}

// StripsOf gives what the strips of a device have of it: for each bundle that has
// one, the messages that wait for it. A strip that is damaged is left out. each
// must not call the database.
func (db *DB) StripsOf(ctx context.Context, app herald.AppKey, o herald.Ordinal, each func(n, messages uint64)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	block := record.BlockOf(o)
	return scan(ctx, &db.readers, "SELECT n, bits, crc FROM strip WHERE app = ? AND block = ? ORDER BY n", []any{a, int64(block)}, func(r *sql.Rows) error {
		var n, crc int64
		var b sql.RawBytes
		if err := r.Scan(&n, &b, &crc); err != nil {
			return wrap(err)
		}
		row := func() string { return stripRow(app, block, uint64(n)) }
		if err := verify(b, crc, row); err != nil {
			return db.spareStrip(err)
		}
		word, err := record.SetWord(b, o)
		if err != nil {
			return db.spareStrip(damaged(row(), err))
		}
		each(uint64(n), word)
		return nil
	})
}

// ChangeStrips notes which messages of bundles have become stale, and takes bits
// out of strips, some in each commit. It is as durable as what is written next. A
// strip that is not there, or damaged, stays so.
func (db *DB) ChangeStrips(ctx context.Context, app herald.AppKey, stale []record.Bundle, done []record.Strip) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	for len(stale) > 0 {
		part := stale[:min(len(stale), addedAtOnce)]
		stale = stale[len(part):]
		err := db.writeLater(ctx, func(t *tx) error {
			for _, of := range part {
				if err := t.putBundle(a, of); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for len(done) > 0 {
		part := done[:min(len(done), stripsAtOnce)]
		done = done[len(part):]
		err := db.writeLater(ctx, func(t *tx) error {
			for _, s := range part {
				if err := t.takeFromStrip(db, a, app, s); err != nil {
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

func (t *tx) takeFromStrip(db *DB, a int64, app herald.AppKey, s record.Strip) error {
	var b []byte
	var crc int64
	ok, err := t.rowAside("SELECT bits, crc FROM strip WHERE app = ? AND block = ? AND n = ?", []any{a, int64(s.Block), int64(s.N)}, &b, &crc)
	if err != nil || !ok {
		return err
	}
	bits, err := parseSet(b, crc, func() string { return stripRow(app, s.Block, s.N) })
	if err != nil {
		return db.spareStrip(err)
	}
	if sets.Common(bits, s.Bits) == 0 {
		return nil
	}
	bits.AndNot(s.Bits)
	if b, err = record.AppendSet(nil, bits); err != nil {
		return fmt.Errorf("store: writing a strip: %w", err)
	}
	return t.putStrip(a, s.Block, s.N, b)
}

// spareStrip is spareDamaged for what is kept elsewhere, too.
func (db *DB) spareStrip(err error) error {
	if !errors.Is(err, record.ErrDamaged) {
		return err
	}
	if _, said := db.damage.LoadOrStore(err.Error(), true); !said {
		db.cfg.Log.Warn("store: a row cannot be read; nothing is lost, because chunks have the same, but look at the disk", "error", err)
	}
	return nil
}

func stripRow(app herald.AppKey, block, n uint64) string {
	return fmt.Sprintf("strip %s, block %d, bundle %d", app, block, n)
}
