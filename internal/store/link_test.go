package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

// far is a database that can be lost: SQLite, whose connection is taken away.
type far struct {
	*driver.Driver
	pool *sql.DB
	gone atomic.Bool
}

var errGone = errors.New("the network is gone")

func (f *far) Open(ctx context.Context) (*sql.DB, *sql.Conn, error) {
	readers, first, err := f.Driver.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, err = first.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('group', '') ON CONFLICT (name) DO NOTHING")
	conn, err2 := f.Again(ctx)
	return readers, conn, errors.Join(err, err2, first.Close())
}

func (f *far) Again(ctx context.Context) (*sql.Conn, error) {
	if f.gone.Load() {
		return nil, errGone
	}
	return f.pool.Conn(ctx)
}

func (f *far) Forget() {}

func (f *far) Close() error { return errors.Join(f.pool.Close(), f.Driver.Close()) }

func (f *far) Kind(err error) dialect.Kind {
	if errors.Is(err, errGone) || errors.Is(err, sql.ErrConnDone) {
		return dialect.Lost
	}
	return f.Driver.Kind(err)
}

// newFar opens such a database with one app. The positions of which the hooks
// told come out of the channel.
func newFar(t *testing.T) (*DB, *far, chan herald.Pos) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "herald.db")
	pool, err := sql.Open("sqlite", path)
	must(t, err)
	f := &far{Driver: driver.New(driver.Config{Path: path}), pool: pool}
	told := make(chan herald.Pos, 100)
	db, err := Open(t.Context(), Config{Driver: f, Log: slog.New(slog.DiscardHandler), OnRelease: func(_ herald.AppKey, pos herald.Pos) { told <- pos }})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.CreateApp(t.Context(), record.App{Key: app, SecretHash: []byte("h"), Created: time.UnixMilli(1)}))
	db.w.link.patience = time.Millisecond
	return db, f, told
}

// TestUnsettled: the answer to a commit is lost, and the database with it. The
// callers are told that it is not known; nothing is written before it is, and
// who follows hears of the group first.
func TestUnsettled(t *testing.T) {
	for name, done := range map[string]bool{"was committed": true, "was not": false} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			db, f, told := newFar(t)
			commit := db.w.sync
			var lost atomic.Bool
			lost.Store(true)
			db.w.sync = func() error {
				if !lost.Swap(false) {
					return commit()
				}
				f.gone.Store(true)
				if done {
					must(t, commit())
				}
				return errGone
			}
			_, err := db.Accept(ctx, message(1, 1))
			wantCode(t, err, herald.CodeStorageUnavailable)
			if !errors.Is(err, errLost) {
				t.Errorf("the answer is %v", err)
			}
			_, err = db.Accept(ctx, message(2, 1))
			wantCode(t, err, herald.CodeStorageUnavailable)
			if len(told) > 0 {
				t.Errorf("told of %d before it is known", <-told)
			}
			f.gone.Store(false)
			for _, err = db.Accept(ctx, message(3, 1)); err != nil; _, err = db.Accept(ctx, message(3, 1)) {
				wantCode(t, err, herald.CodeStorageUnavailable)
			}
			want := herald.Pos(1)
			if done {
				want = 2
			}
			h, err := db.Head(ctx, app)
			must(t, err)
			if h.Pos != want {
				t.Errorf("the log stands at %d, want %d", h.Pos, want)
			}
			for pos := range want {
				if got := <-told; got != pos+1 {
					t.Errorf("told of %d, want %d", got, pos+1)
				}
			}
		})
	}
}

// TestUnsettledAlone: nobody writes, and those who follow still hear of a group
// that was committed.
func TestUnsettledAlone(t *testing.T) {
	db, f, told := newFar(t)
	commit := db.w.sync
	db.w.sync = func() error {
		f.gone.Store(true)
		must(t, commit())
		return errGone
	}
	_, err := db.Accept(t.Context(), message(1, 1))
	wantCode(t, err, herald.CodeStorageUnavailable)
	f.gone.Store(false)
	if pos := <-told; pos != 1 {
		t.Errorf("told of %d", pos)
	}
}

// TestLostMidway: a connection that is lost before the commit is replaced, and
// the group is run again.
func TestLostMidway(t *testing.T) {
	db, _, told := newFar(t)
	runs := 0
	must(t, db.write(t.Context(), func(tx *tx) error {
		if runs++; runs == 1 {
			return errGone
		}
		return accepting(tx, 1, 1)
	}))
	if runs != 2 || <-told != 1 {
		t.Errorf("it was run %d times", runs)
	}
}
