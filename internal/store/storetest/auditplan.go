package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/record"
)

// FillAudits is a statement that writes 10,000 entries of app 1 of which few are
// of each rare thing.
const FillAudits = `INSERT INTO audit (app, id, at, kind, actor, name, operation, object, origin)
SELECT 1, i, i / 1000, CASE WHEN i % 900 = 1 THEN 'admin' ELSE 'key' END, CASE WHEN i % 800 = 2 THEN 'rarekey0' ELSE 'oftenkey' END, 'n',
  CASE WHEN i % 700 = 3 THEN 'deleteKey' ELSE 'bindAlias' END, CASE WHEN i % 600 = 4 THEN 'rare' ELSE 'often' END, '192.0.2.1'
FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS i FROM
  (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) a,
  (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) b,
  (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) c,
  (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) e) n`

// RunAuditPlans looks at how a database finds entries of the audit log among
// those of FillAudits: by an index in its order, without sorting. plan gives
// what the database says; sorts are the words by which it says that it sorts,
// primary is its name for the index of the key.
func RunAuditPlans(t *testing.T, plan func(f record.AuditFilter) string, primary string, sorts ...string) {
	t.Helper()
	for name, c := range map[string]struct {
		filter record.AuditFilter
		index  string
	}{
		"all":              {record.AuditFilter{}, primary},
		"next page":        {record.AuditFilter{Before: 5000}, primary},
		"until":            {record.AuditFilter{Until: time.UnixMilli(5)}, primary},
		"between":          {record.AuditFilter{Since: time.UnixMilli(4), Until: time.UnixMilli(5)}, primary},
		"kind":             {record.AuditFilter{Actor: record.AuditAdmin}, "audit_kind"},
		"key":              {record.AuditFilter{Actor: "rarekey0"}, "audit_actor"},
		"operation":        {record.AuditFilter{Operation: "deleteKey"}, "audit_operation"},
		"operation, until": {record.AuditFilter{Operation: "deleteKey", Until: time.UnixMilli(5)}, "audit_operation"},
		"object":           {record.AuditFilter{Object: "rare"}, "audit_object"},
		"object, page":     {record.AuditFilter{Object: "rare", Before: 5000}, "audit_object"},
	} {
		c.filter.Limit = 50
		text := plan(c.filter)
		bad := !strings.Contains(text, c.index)
		for _, s := range sorts {
			bad = bad || strings.Contains(text, s)
		}
		if bad {
			t.Errorf("%s: want index %s and no sorting:\n%s", name, c.index, text)
		}
	}
}
