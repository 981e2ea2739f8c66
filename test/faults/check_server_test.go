package faults_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// storageIsWhole: integrity check, checksums, no orphan rows, empty queues.
func storageIsWhole(e *evidence) []string { return e.storage }

// resourcesReturn: goroutines and descriptors are back where they were.
func resourcesReturn(e *evidence) []string {
	if e.before.below(e.after) {
		return []string{fmt.Sprintf("the server held %+v before anybody came, and %+v after all had gone", e.before, e.after)}
	}
	return nil
}

var panics = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[|WARNING: DATA RACE|.*\bruntime error:).*$`)

// noPanicNoSecret: nothing of either in what the server printed.
func noPanicNoSecret(e *evidence) (wrong []string) {
	if e.exit != 0 {
		wrong = append(wrong, fmt.Sprintf("a stop in order ended with exit code %d", e.exit))
	}
	wrong = append(wrong, panics.FindAllString(e.output, 5)...)
	for _, s := range e.secrets {
		if s != "" && strings.Contains(e.output, s) {
			wrong = append(wrong, "a secret is in the output: "+s[:4]+"…")
		}
	}
	return wrong
}

// readinessIsHonest: while writes fail, /readyz does not say ready; and who is
// refused is told when to come back. The answer of one probe stands for a
// second, so that a 200 that was given long enough after a failed write, and
// before the next failed one, with none that succeeded between, is a lie.
func readinessIsHonest(e *evidence) (wrong []string) {
	var failing time.Time // since when every write has failed
	var windows [][2]time.Time
	list := slices.Clone(e.j.writes)
	slices.SortFunc(list, func(a, b write) int { return a.Ended.Compare(b.Ended) })
	for _, w := range list {
		switch {
		case w.Status == 503 && w.Code == string(herald.CodeStorageUnavailable):
			if w.RetryAfter == "" {
				wrong = append(wrong, "storage_unavailable without Retry-After")
			}
			if failing.IsZero() {
				failing = w.Ended
			} else if n := len(windows); n > 0 && windows[n-1][0].Equal(failing) {
				windows[n-1][1] = w.Began
			} else {
				windows = append(windows, [2]time.Time{failing, w.Began})
			}
		default:
			failing = time.Time{}
		}
	}
	for _, span := range windows {
		for _, r := range e.j.readies {
			if r.Status == 200 && r.Began.After(span[0].Add(4*time.Second)) && r.Ended.Before(span[1]) {
				wrong = append(wrong, fmt.Sprintf("/readyz said ready %s into a time in which every write failed", r.Began.Sub(span[0])))
			}
		}
	}
	return wrong
}
