package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

const app herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

// openFile opens a database of SQLite, on which the store itself is tested.
func openFile(ctx context.Context, path string) (*DB, error) {
	return Open(ctx, Config{Driver: driver.New(driver.Config{Path: path})})
}

// newDB opens a database with one app in a new folder.
func newDB(t testing.TB) *DB {
	t.Helper()
	db := openDB(t, t.TempDir())
	if err := db.CreateApp(t.Context(), record.App{Key: app, SecretHash: []byte("h"), Created: time.UnixMilli(1)}); err != nil {
		t.Fatal(err)
	}
	return db
}

func openDB(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := openFile(t.Context(), filepath.Join(dir, "herald.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func message(id herald.MessageID, ords ...herald.Ordinal) record.Acceptance {
	now := time.UnixMilli(1_800_000_000_000).UTC()
	return record.Acceptance{Message: record.Message{
		Message: herald.Message{ID: id, App: app, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
			TTL: time.Hour, Accepted: now, Due: now},
		Body:   []byte(`{"notification":{"title":"Hello","body":"The body of a message of ordinary length."}}`),
		Direct: ords, Target: int64(len(ords)),
	}}
}

// dense is a target that is kept in chunks.
func dense(slabs int) *sets.Set {
	s := sets.New()
	for o := 0; o < slabs<<16; o += 3 {
		s.Add(herald.Ordinal(o))
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want herald.Code) {
	t.Helper()
	if herald.CodeOf(err) != want {
		t.Fatalf("got %v (code %q), want code %q", err, herald.CodeOf(err), want)
	}
}
