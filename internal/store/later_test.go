package store

import (
	"context"
	"testing"
)

// TestWriteLater: a commit is not synced only while all of its group can wait.
func TestWriteLater(t *testing.T) {
	db := newDB(t)
	mode := func() (n int) {
		must(t, db.w.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&n))
		return n
	}
	note := func(t *tx) error {
		_, err := t.exec("UPDATE meta SET value = 'x' WHERE name = 'probe'")
		return err
	}
	const normal, full = 1, 2
	for i, tt := range []struct {
		write func(context.Context, func(*tx) error) error
		want  int
	}{{db.write, full}, {db.writeLater, normal}, {db.writeLater, normal}, {db.write, full}} {
		must(t, tt.write(t.Context(), note))
		if got := mode(); got != tt.want {
			t.Errorf("after write %d synchronous is %d, want %d", i, got, tt.want)
		}
	}
	group := []*op{{later: true}, {}}
	must(t, db.w.setSync(group[:1]))
	if got := mode(); got != normal {
		t.Errorf("for one that can wait it is %d", got)
	}
	must(t, db.w.setSync(group))
	if got := mode(); got != full {
		t.Errorf("for a group of which one cannot wait it is %d", got)
	}
}
