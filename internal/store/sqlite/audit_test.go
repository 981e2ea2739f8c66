package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/storetest"
)

func TestAuditPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), storetest.FillAudits); err != nil {
		t.Fatal(err)
	}
	storetest.RunAuditPlans(t, func(f record.AuditFilter) (plan string) {
		q, args := store.AuditQuery(1, f)
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan += step + "\n"
		}
		return plan
	}, "SEARCH audit USING PRIMARY KEY", "TEMP B-TREE", "SCAN")
}
