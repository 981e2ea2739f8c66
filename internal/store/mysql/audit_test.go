package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/storetest"
)

func TestAuditPlans(t *testing.T) {
	d, err := New(Config{DSN: database(t, t.Name()), Log: slog.New(slog.DiscardHandler)})
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
	for _, q := range []string{storetest.FillAudits, "ANALYZE TABLE audit"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	storetest.RunAuditPlans(t, func(f record.AuditFilter) string {
		q, args := store.AuditQuery(1, f)
		rows, err := db.QueryContext(context.Background(), "EXPLAIN "+d.SQL(q), args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		columns, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatal(errors.Join(err, rows.Err()))
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		plan := ""
		for i, name := range columns {
			if name != "possible_keys" { // which is not what is used
				plan += fmt.Sprintf("%s: %s\n", name, values[i])
			}
		}
		return plan
	}, "key: PRIMARY", "filesort", "temporary")
}
