package store

import (
	"errors"
	"testing"

	"github.com/herald-push/herald"
)

// accepting writes a message within an operation of a test.
func accepting(t *tx, id herald.MessageID, ords ...herald.Ordinal) error {
	a := message(id, ords...)
	tg, err := newTarget(&a.Message, maxInline)
	if err == nil {
		_, err = t.accept(1, &a, tg, []byte("{}"))
	}
	return err
}

// TestAppendedRows: whatever their number, rows are written once, and are seen
// by what comes after them in the group.
func TestAppendedRows(t *testing.T) {
	db := newDB(t)
	const messages = 64 + 2*8 + 3
	must(t, db.write(t.Context(), func(tx *tx) error {
		for i := range messages {
			if err := accepting(tx, herald.MessageID(i+1), 1, 2, 3); err != nil {
				return err
			}
			if i != 5 && i != 80 {
				continue
			}
			var n int
			if _, err := tx.row("SELECT COUNT(*) FROM msg", nil, &n); err != nil || n != i+1 {
				t.Errorf("after %d messages there are %d, %v", i+1, n, err)
			}
			if n, err := tx.exec("UPDATE entry SET n = n WHERE msg = ?", int64(i+1)); err != nil || n != 3 {
				t.Errorf("message %d has %d entries, %v", i+1, n, err)
			}
		}
		return nil
	}))
	wantCount(t, db, messages, "SELECT COUNT(*) FROM msg")
	wantCount(t, db, messages, "SELECT COUNT(DISTINCT pos) FROM release_log")
	wantCount(t, db, 3*messages, "SELECT COUNT(DISTINCT n) FROM entry")
}

// TestAppendedRowsThatFail: what could not be written takes its whole attempt
// with it, whoever was told of it.
func TestAppendedRowsThatFail(t *testing.T) {
	db := newDB(t)
	must(t, db.write(t.Context(), func(tx *tx) error { return accepting(tx, 1, 1) }))
	for name, run := range map[string]func(tx *tx) error{
		"at the end": func(*tx) error { return nil },
		"at a statement whose error is taken for a refusal": func(tx *tx) error {
			var n int
			_, err := tx.row("SELECT COUNT(*) FROM msg", nil, &n)
			if err == nil {
				t.Error("a message was written twice")
			}
			return nil
		},
		"told to two": func(tx *tx) error {
			_, err := tx.exec("DELETE FROM entry")
			_, again := tx.stmt("SELECT 1")
			if err == nil || !errors.Is(again, err) {
				t.Errorf("the errors are %v and %v", err, again)
			}
			return nil
		},
	} {
		err := db.write(t.Context(), func(tx *tx) error {
			if err := accepting(tx, 2, 1); err != nil {
				return err
			}
			if err := accepting(tx, 1, 1); err != nil { // exists
				return err
			}
			return run(tx)
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		wantCount(t, db, 1, "SELECT COUNT(*) FROM msg")
		wantCount(t, db, 1, "SELECT COUNT(*) FROM entry")
		h, err := db.Head(t.Context(), app)
		must(t, err)
		if h.Pos != 1 {
			t.Errorf("%s: the log stands at %d", name, h.Pos)
		}
	}
	must(t, db.write(t.Context(), func(tx *tx) error { return accepting(tx, 2, 1) }))
	wantCount(t, db, 2, "SELECT COUNT(*) FROM msg")
}
