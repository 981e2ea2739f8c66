package store

import (
	"strings"
	"testing"
)

// TestAddressRange: the addresses of a slab are read as they lie, without sorting
// and without a look-up for each. The other statements name their index.
func TestAddressRange(t *testing.T) {
	db := newDB(t)
	rows, err := db.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+selectAddresses, 1, 0, "apns", "sandbox", 0, 65535, 1000)
	must(t, err)
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		must(t, rows.Scan(&id, &parent, &unused, &step))
		plan = append(plan, step)
	}
	must(t, rows.Err())
	if len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH address USING PRIMARY KEY (app=? AND owner=? AND kind=? AND environment=? AND ord>? AND ord<?)") {
		t.Errorf("the plan is %q", plan)
	}
}
