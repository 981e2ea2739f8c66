package store

import (
	"context"
	"database/sql"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TestMigrateCells has a database of the first schema, with a dense message and
// states, come forward: nothing of them changes.
func TestMigrateCells(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db := openDB(t, dir)
	must(t, db.CreateApp(ctx, record.App{Key: app}))
	a := message(2)
	a.Group = record.WholeImage(dense(20))
	_, err := db.Accept(ctx, a)
	must(t, err)
	_, err = db.AppendReceipts(ctx, app, []record.Event{{Msg: 2, State: herald.StateSent, Set: sets.New(1)}})
	must(t, err)
	states := []record.Chunk{
		{Msg: 2, State: herald.StateReceived, Index: 0, Bits: sets.New(1)},
		{Msg: 2, State: herald.StateSent, Index: 0, Bits: sets.New(1, 2)},
		{Msg: 2, State: herald.StateSent, Index: 19, Bits: sets.New(19<<16 + 7)},
	}
	must(t, db.FoldReceipts(ctx, record.Fold{App: app, Upto: 1, Chunks: states}))
	must(t, db.Close())
	back(t, filepath.Join(dir, "herald.db"))

	db = openDB(t, dir)
	wantTarget(t, db, 2, dense(20))
	var got []record.Chunk
	must(t, db.StateChunks(ctx, app, 2, func(c record.Chunk) error { got = append(got, c); return nil }))
	if len(got) != len(states) {
		t.Fatalf("%d chunks of states, want %d", len(got), len(states))
	}
	for i, c := range got {
		if w := states[i]; c.State != w.State || c.Index != w.Index || !sets.Equal(c.Bits, w.Bits) {
			t.Errorf("chunk %d is %+v, want %+v", i, c, w)
		}
	}
	// What is written now replaces what was there.
	_, err = db.AppendReceipts(ctx, app, []record.Event{{Msg: 2, State: herald.StateSent, Set: sets.New(3)}})
	must(t, err)
	must(t, db.FoldReceipts(ctx, record.Fold{App: app, Upto: 2, Chunks: []record.Chunk{{Msg: 2, State: herald.StateSent, Bits: sets.New(1, 2, 3)}}}))
	wantCount(t, db, 23, "SELECT COUNT(*) FROM msg_chunk")
}

// back gives msg_chunk the key that it had in the first schema, and takes away
// what later ones have brought.
func back(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	fresh, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "first.db"))
	must(t, err)
	defer fresh.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, fresh, os.DirFS("sqlite/driver/migrations"))
	must(t, err)
	_, err = p.UpTo(ctx, 1)
	must(t, err)
	first, now := tables(t, fresh), tables(t, db)
	_, err = db.ExecContext(ctx, "ALTER TABLE msg_chunk RENAME TO old; "+first["msg_chunk"]+
		"; INSERT INTO msg_chunk (app, msg, state, slab, bits, crc) SELECT app, msg, state, slab, bits, crc FROM old; DROP TABLE old;"+
		"DROP INDEX device_bound; DROP INDEX msg_by_alias; ALTER TABLE app DROP COLUMN old_hash; ALTER TABLE app DROP COLUMN old_until;"+
		"ALTER TABLE api_key DROP COLUMN old_hash; ALTER TABLE api_key DROP COLUMN old_until; ALTER TABLE api_key DROP COLUMN expires; ALTER TABLE api_key DROP COLUMN networks;"+
		"ALTER TABLE msg DROP COLUMN facts; ALTER TABLE msg DROP COLUMN facts_crc;"+
		" DELETE FROM goose_db_version WHERE version_id > 1")
	must(t, err)
	for name := range now {
		if first[name] == "" {
			_, err := db.ExecContext(ctx, "DROP TABLE "+name)
			must(t, err)
		}
	}
}

func tables(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	must(t, err)
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, text string
		must(t, rows.Scan(&name, &text))
		out[name] = text
	}
	must(t, rows.Err())
	return out
}

// TestCombine: checksums put together are those of the bytes put together.
func TestCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		one, two := make([]byte, r.IntN(300)), make([]byte, r.IntN(9000))
		for _, b := range [][]byte{one, two} {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		want := crc32.Update(crc32.Checksum(one, castagnoli), castagnoli, two)
		if got := new(shift).combine(crc32.Checksum(one, castagnoli), crc32.Checksum(two, castagnoli), int64(len(two))); got != want {
			t.Fatalf("%d and %d bytes: %08x, want %08x", len(one), len(two), got, want)
		}
	}
}
