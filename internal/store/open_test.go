package store

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

// ioError gives the error that SQLite has when a read or write fails: a file
// that is not a database is the one that needs no broken disk.
func ioError(t *testing.T) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "no.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600))
	_, err := openFile(context.Background(), path)
	if err == nil || driver.New(driver.Config{}).Kind(err) != dialect.Broken {
		t.Fatalf("opening a file that is no database gave %v", err)
	}
	return err
}

func TestOpenRefuses(t *testing.T) {
	t.Run("no database", func(t *testing.T) { ioError(t) })
	t.Run("folder in the way", func(t *testing.T) {
		if _, err := openFile(t.Context(), t.TempDir()); err == nil {
			t.Error("a folder was opened as a database")
		}
	})
	t.Run("file in the way of the folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o600))
		if _, err := openFile(t.Context(), filepath.Join(file, "herald.db")); err == nil {
			t.Error("a file was taken for a folder")
		}
	})
	t.Run("newer schema", func(t *testing.T) {
		dir := t.TempDir()
		db := openDB(t, dir)
		must(t, db.write(t.Context(), func(tx *tx) error {
			_, err := tx.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
			return err
		}))
		must(t, db.Close())
		_, err := openFile(t.Context(), filepath.Join(dir, "herald.db"))
		if err == nil || !strings.Contains(err.Error(), "schema 99") || !strings.Contains(err.Error(), "newer release") {
			t.Errorf("a database of a newer release: %v", err)
		}
	})
}

func TestOpenPaths(t *testing.T) {
	for _, name := range []string{"plain", "with space", "a?b#c%20d&e=f", "推送"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "?#%") {
			continue
		}
		path := filepath.Join(t.TempDir(), name, "herald.db")
		db, err := openFile(t.Context(), path)
		must(t, err)
		must(t, db.Probe(t.Context()))
		must(t, db.Close())
		info, err := os.Stat(path)
		must(t, err)
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestPragmas(t *testing.T) {
	db := newDB(t)
	for q, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "cache_size": "-16384"} {
		var got string
		must(t, db.w.conn.QueryRowContext(t.Context(), "PRAGMA "+q).Scan(&got))
		if got != want {
			t.Errorf("%s of the writer is %s, want %s", q, got, want)
		}
	}
	if _, err := db.readers.ExecContext(t.Context(), "DELETE FROM meta"); err == nil {
		t.Error("a reading connection wrote")
	}
}

func TestDraftsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	must(t, db.CreateApp(t.Context(), record.App{Key: app}))
	a := message(1)
	a.Group = record.WholeImage(dense(20))
	_, err := db.Accept(t.Context(), a)
	must(t, err)
	tg, err := newTarget(&record.Message{Group: record.WholeImage(dense(20))}, maxInline)
	must(t, err)
	must(t, db.draft(t.Context(), 1, &record.Message{Message: herald.Message{ID: 2}}, &tg, func(*tx) error { return nil }))
	wantCount(t, db, 40, "SELECT COUNT(*) FROM msg_chunk")
	must(t, db.Close()) // as if the process had died here
	db = openDB(t, dir)
	wantCount(t, db, 20, "SELECT COUNT(*) FROM msg_chunk")
	wantCount(t, db, 0, "SELECT COUNT(*) FROM target_draft")
	_, err = db.Message(t.Context(), app, 1)
	must(t, err)
}

// TestLeasesThatStay: a record in which leases cannot be ended opens all the same,
// and says so.
func TestLeasesThatStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald.db")
	db, err := openFile(t.Context(), path)
	must(t, err)
	must(t, db.CreateApp(t.Context(), record.App{Key: app}))
	a := message(1)
	a.Due, a.State = time.Now().Add(time.Second), herald.MessageScheduled
	_, err = db.Accept(t.Context(), a)
	must(t, err)
	jobs, err := db.LeaseJobs(t.Context(), a.Due, time.Minute, 9)
	must(t, err)
	must(t, db.write(t.Context(), func(tx *tx) error {
		_, err := tx.exec("CREATE TRIGGER refused BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'no'); END")
		return err
	}))
	must(t, db.Close())
	var logged bytes.Buffer
	db, err = Open(t.Context(), Config{Driver: driver.New(driver.Config{Path: path}), Log: slog.New(slog.NewTextHandler(&logged, nil))})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	if len(jobs) != 1 || !strings.Contains(logged.String(), "leases of the run before could not be ended") {
		t.Errorf("leased %+v, and the log says %q", jobs, logged.String())
	}
	again, err := db.LeaseJobs(t.Context(), a.Due, time.Minute, 9)
	must(t, err)
	if len(again) != 0 {
		t.Errorf("leased twice: %+v", again)
	}
}

func TestOrdinalsRunOut(t *testing.T) {
	db := newDB(t)
	must(t, db.write(t.Context(), func(tx *tx) error {
		_, err := tx.exec("UPDATE app_head SET next_ord = ?", int64(maxOrdinals-1))
		return err
	}))
	last, _, err := db.Register(t.Context(), record.Registration{Device: record.Device{App: app, ID: "last"}})
	must(t, err)
	if last.Ord != 1<<32-1 {
		t.Errorf("the last ordinal is %d", last.Ord)
	}
	_, _, err = db.Register(t.Context(), record.Registration{Device: record.Device{App: app, ID: "late"}})
	wantCode(t, err, herald.CodeLimitReached)
	h, err := db.Head(t.Context(), app)
	must(t, err)
	if h.Pos != 1 || h.NextOrd != 1<<32 {
		t.Errorf("the head is %+v", h)
	}
}
