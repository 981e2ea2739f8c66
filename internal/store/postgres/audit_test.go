package postgres

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/storetest"
)

func TestAuditPlans(t *testing.T) {
	d, err := New(Config{DSN: schema(t, t.Name()), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	db, conn, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(conn.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	}()
	for _, q := range []string{storetest.FillAudits, "ANALYZE audit"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	storetest.RunAuditPlans(t, func(f record.AuditFilter) (plan string) {
		q, args := store.AuditQuery(1, f)
		rows, err := db.QueryContext(context.Background(), "EXPLAIN "+d.SQL(q), args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan += line + "\n"
		}
		return plan
	}, "audit_pkey", "Sort", "Seq Scan")
}
