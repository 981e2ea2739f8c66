package server

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

func TestForgetAudit(t *testing.T) {
	n := startNode(t, t.TempDir())
	app := n.app.AppKey
	now := faults.Now()
	for i := range 5 {
		if err := n.srv.store.AddAudit(t.Context(), record.Audit{App: app, Time: now.Add(time.Duration(i) * 24 * time.Hour), Kind: record.AuditMaster, Operation: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(keep time.Duration, want int) {
		t.Helper()
		n.srv.cfg.Audit.Keep = keep
		if err := n.srv.forgetAudit(t.Context(), now.Add(4*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		list, err := n.srv.store.Audits(t.Context(), app, record.AuditFilter{Operation: "old", Limit: 100})
		if err != nil || len(list) != want {
			t.Errorf("%d entries, %v; want %d", len(list), err, want)
		}
	}
	left(0, 5)
	left(90*24*time.Hour, 5)
	left(time.Hour, 1)
}
