package faults_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// defect is one planted defect, and the invariant whose check has to see it.
type defect struct {
	bug     string // NAME:N, in the binary with the tag "planted"
	breaks  int
	disturb func(*world, context.Context) // nil: nothing beside it
	longer  time.Duration                 // than the others
}

// defects has at least one for each invariant that is checked.
var defects = []defect{
	{"not_kept:20", 1, nil, 0},
	{"drops_frames:25", 2, nil, 0},
	{"alters_body:20", 3, nil, 0},
	{"skips_step:3", 2, nil, 0},
	{"sends_refused:1", 4, nil, 0},
	{"other_app:20", 5, nil, 0},
	{"counts_twice:3", 6, nil, 0},
	{"ends_twice:1", 7, nil, 0},
	{"sends_twice:20", 8, nil, 0},
	{"disorder:10", 9, nil, 0},
	{"after_ttl:2", 10, nil, 5 * time.Second},
	{"forgets_key:2", 11, nil, 0},
	{"orphan_row:50", 13, nil, 0},
	{"leaks_goroutines:5", 14, nil, 0},
	{"leaks_secret:1", 15, nil, 0},
	{"lying_probe:1", 16, failingWrites, 0},
	{"loses_entries:20", 17, nil, 0},
	{"takes_again:1", 18, nil, 0},
	{"other_listeners:20", 19, nil, 0},
	{"disorders_entries:20", 20, nil, 0},
}

// tries is how often a defect may act, on a busy machine too little to be seen.
const tries = 5

// brief runs a short world on the binary with planted defects.
func brief(t *testing.T, d defect, try int) *evidence {
	t.Helper()
	n := newNode(t, planted(t), "FAULTS_PLANTED="+d.bug)
	n.mustStart()
	members := 0
	if d.bug == "" || d.breaks >= 17 {
		members = 4
	}
	w := newWorld(t, n, seed(t)+uint64(try), size{devices: 4, pace: 5 * time.Millisecond, members: members})
	drain := patience
	if d.bug != "" {
		w.settleFor, drain = 4*time.Second, 8*time.Second
	}
	before := n.load()
	w.begin()
	w.load(2, func(ctx context.Context) {
		w.pause(2*time.Second + d.longer)
		until(t, "there were enough pushes", func() bool { return len(w.stored()) > 60*(try+1) })
		if d.disturb != nil {
			d.disturb(w, ctx)
		}
	})
	e := w.gather(w.drained(drain), 10_000)
	w.conclude(e, before)
	return e
}

// TestPlantedDefects holds the checker to its word: each defect has to be seen
// by the check of the invariant that it breaks.
func TestPlantedDefects(t *testing.T) {
	t.Parallel()
	for _, i := range invariants {
		if !slices.ContainsFunc(defects, func(d defect) bool { return d.breaks == i.number }) {
			t.Errorf("no defect breaks invariant %d, %s: nobody knows whether its check sees anything", i.number, i.name)
		}
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		brief(t, defect{}, 0).hold(t)
	})
	for _, d := range defects {
		t.Run(d.bug, func(t *testing.T) {
			t.Parallel()
			for try := range tries {
				broken := brief(t, d, try).check()
				if len(broken[d.breaks]) > 0 {
					return
				}
				for n, wrong := range broken {
					t.Logf("%d: %s", n, few(wrong))
				}
				t.Logf("the check of invariant %d did not see it at try %d; broken were %v", d.breaks, try, slices.Sorted(maps.Keys(broken)))
			}
			t.Errorf("the check of invariant %d does not see it", d.breaks)
		})
	}
}

// TestReleaseHasNoHooks looks into the binary as it is released for what the
// tags bring.
func TestReleaseHasNoHooks(t *testing.T) {
	t.Parallel()
	marks := []string{"FAULTS_POINT", "FAULTS_CLOCK", "FAULTS_SYNC", "FAULTS_CRAMPED", "FAULTS_PLANTED", "internal/faults.Point", "internal/faults.Planted", asksGone}
	for _, d := range defects {
		name, _, _ := strings.Cut(d.bug, ":")
		marks = append(marks, name)
	}
	for _, b := range []struct {
		path string
		want bool
	}{{plain(t), false}, {planted(t), true}} {
		content, err := os.ReadFile(b.path)
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := exec.Command("go", "tool", "nm", b.path).Output()
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, symbols...)
		for _, mark := range marks {
			if bytes.Contains(content, []byte(mark)) != b.want {
				t.Errorf("%q is in the binary: %t, want %t", mark, !b.want, b.want)
			}
		}
	}
}
