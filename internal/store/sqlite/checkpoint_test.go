package sqlite

import (
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestCheckpointer: what was committed is moved into the database beside the
// commits, and a long log begins anew.
func TestCheckpointer(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	db.c.stop() // it is asked to look by hand
	id := herald.MessageID(0)
	pages := func() (length, waiting int) {
		t.Helper()
		length, moved, err := checkpoint(db.c.pool, "NOOP")
		must(t, err)
		return length, length - moved
	}
	accept := func(until func(length, waiting int) bool) {
		t.Helper()
		for length, waiting := pages(); !until(length, waiting); length, waiting = pages() {
			id++
			a := message(id)
			a.Group = record.WholeImage(dense(100))
			_, err := db.Accept(ctx, a)
			must(t, err)
		}
	}
	must(t, db.c.look())
	if _, waiting := pages(); waiting == 0 {
		t.Error("a few pages were not worth moving, and were moved")
	}
	accept(func(_, waiting int) bool { return waiting >= movedAfter })
	must(t, db.c.look())
	if length, waiting := pages(); waiting != 0 {
		t.Errorf("%d of %d pages wait after a look", waiting, length)
	}
	if db.w.restart.Load() {
		t.Error("a short log is to begin anew")
	}
	accept(func(length, _ int) bool { return length >= restartedAfter })
	must(t, db.c.look())
	if !db.w.restart.Load() {
		t.Fatal("a long log is not to begin anew")
	}
	if length, waiting := pages(); waiting >= restartedAt {
		t.Errorf("%d of %d pages are left for the writer to move", waiting, length)
	}
	accept(func(length, _ int) bool { return length < restartedAfter })
	wantCount(t, db, int(id), "SELECT COUNT(*) FROM msg")
}

// TestCheckpointFails: a disk that fails while pages are moved is not trusted
// any more; one that is full is.
func TestCheckpointFails(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	db.c.stop()
	db.w.distrust(errClosed)
	_, err := db.Accept(ctx, message(1, 1))
	must(t, err)
	db.w.distrust(ioError(t))
	_, err = db.Accept(ctx, message(2, 1))
	wantCode(t, err, herald.CodeStorageUnavailable)
	must(t, db.c.look()) // it does not touch the file any more
}
