package main

import (
	"cmp"
	"fmt"
	"slices"
)

const slowestShown = 10

// report prints the end of a run. The last line has one fixed form, which
// machines read; what was unavailable stands right above it.
func (t *tally) report() {
	t.reportSlowest()
	if len(t.unavailable) > 0 {
		heading := "unavailable, and so not tested:"
		if t.requireAll {
			heading = "unavailable, each a failure because of HERALD_REQUIRE=all:"
		}
		fmt.Fprintln(t.out, heading)
		for _, reason := range t.unavailable {
			fmt.Fprintf(t.out, "  %s\n", reason)
		}
	}
	fmt.Fprintf(t.out, "tests: %d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

func (t *tally) reportSlowest() {
	type row struct {
		name    string
		elapsed float64
	}
	var rows []row
	for name, p := range t.packages {
		if p.done && p.elapsed > 0 {
			rows = append(rows, row{name, p.elapsed})
		}
	}
	if len(rows) == 0 {
		return
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.elapsed, a.elapsed), cmp.Compare(a.name, b.name))
	})
	fmt.Fprintln(t.out, "slowest packages:")
	for _, r := range rows[:min(slowestShown, len(rows))] {
		fmt.Fprintf(t.out, "%8.1f s  %s\n", r.elapsed, r.name)
	}
}

// ok reports whether the run may be called green. A run without a test is not.
func (t *tally) ok() bool { return t.failed == 0 && t.passed > 0 }
