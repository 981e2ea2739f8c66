package livetest

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/matrix.txt")

// shapes are the columns of the written matrix: every transport is of one.
var shapes = []struct {
	name string
	shape
}{
	{"two-way, by a request (WebSocket)", shape{sends: true, head: true}},
	{"two-way, by a port of its own (TCP)", shape{sends: true}},
	{"one-way (SSE, HTTP streaming)", shape{head: true}},
	{"polling", shape{polls: true, head: true}},
	{"packets (MQTT)", shape{sends: true, packs: true}},
}

// TestMatrix holds testdata/matrix.txt to the table in the code, so that a cell
// which comes, goes or stops to apply is seen in review.
func TestMatrix(t *testing.T) {
	var b strings.Builder
	reasons := map[string]int{}
	var notes []string
	for i, s := range shapes {
		fmt.Fprintf(&b, "%d  %s\n", i+1, s.name)
	}
	b.WriteString("\n")
	for _, f := range matrix(Harness{}) {
		for _, c := range f.cells {
			fmt.Fprintf(&b, "%-60s", f.name+" / "+c.name)
			for i, s := range shapes {
				why := c.absent(s.shape)
				if why == "" {
					fmt.Fprintf(&b, "  %d", i+1)
					continue
				}
				if reasons[why] == 0 {
					notes = append(notes, why)
					reasons[why] = len(notes)
				}
				fmt.Fprintf(&b, "  %c", 'a'+reasons[why]-1)
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\nDoes not apply:\n")
	for i, why := range notes {
		fmt.Fprintf(&b, "%c  %s\n", 'a'+i, why)
	}
	const file = "testdata/matrix.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || b.String() != string(want) {
		t.Fatalf("%s is not what the code says (%v): look at the difference after go test ./internal/live/livetest -update", file, err)
	}
}

// TestEveryCellRuns: no two cells may share a name, and each applies to
// some shape, or it would never run.
func TestEveryCellRuns(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range matrix(Harness{Garbage: []Garbage{{Name: "binary"}, {Name: "more"}}}) {
		for _, c := range f.cells {
			name := f.name + "/" + c.name
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			applies := false
			for _, s := range shapes {
				applies = applies || c.absent(s.shape) == ""
			}
			if !applies {
				t.Errorf("%s applies to no transport", name)
			}
		}
	}
	if !seen["garbage/more"] {
		t.Error("what a harness adds is not run")
	}
}
