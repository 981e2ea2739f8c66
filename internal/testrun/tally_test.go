package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// replay runs recorded streams of go test -json through a tally. The streams
// in testdata were recorded from one small package for each case.
func replay(t *testing.T, requireAll bool, expected []string, streams ...string) (*tally, string) {
	t.Helper()
	var out bytes.Buffer
	tl := newTally(&out, expected, requireAll)
	for _, name := range streams {
		data, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if err := readEvents(bytes.NewReader(data), tl.add); err != nil {
			t.Fatal(err)
		}
	}
	tl.finish()
	tl.report()
	return tl, out.String()
}

const house = "example.com/house/"

func TestTally(t *testing.T) {
	tests := []struct {
		name       string
		streams    []string
		expected   []string
		requireAll bool
		last       string // the last line
		ok         bool
		shows      []string
		hides      []string
	}{
		{
			name:    "all pass, and nothing of it is shown",
			streams: []string{"good"}, expected: []string{house + "good"},
			last: "tests: 3 passed, 0 failed, 0 skipped", ok: true,
			hides: []string{"noise", "TestOne", "PASS"},
		},
		{
			name:    "failures are shown, each counted once",
			streams: []string{"good", "bad"},
			last:    "tests: 6 passed, 3 failed, 0 skipped",
			shows: []string{
				"FAIL " + house + "bad TestPlain\n", "plain went wrong",
				"TestTable/broken", "the table went wrong", "the parent itself went wrong",
			},
			hides: []string{"=== RUN"},
		},
		{
			name:    "what is unavailable is listed right above the last line",
			streams: []string{"lacks"},
			last:    "tests: 1 passed, 0 failed, 2 skipped", ok: true,
			shows: []string{
				"unavailable, and so not tested:\n" +
					"  chromium, not installed (" + house + "lacks TestBrowser)\n" +
					"  root, this user may not mount (" + house + "lacks TestBoth/root)\n" +
					"tests: ",
			},
		},
		{
			name:    "what is unavailable fails when everything is required",
			streams: []string{"lacks"}, requireAll: true,
			last:  "tests: 1 passed, 2 failed, 0 skipped",
			shows: []string{"HERALD_REQUIRE=all", "chromium, not installed"},
		},
		{
			name:    "any other skip is a failure",
			streams: []string{"skips"},
			last:    "tests: 1 passed, 3 failed, 2 skipped",
			shows:   []string{"TestQuiet", `skipped with "flaky"`, `skipped with "unavailable: chromium"`},
		},
		{
			name:    "a package that does not build",
			streams: []string{"good", "broken"},
			last:    "tests: 3 passed, 1 failed, 0 skipped",
			shows:   []string{"undefined: undefined", house + "broken.test] does not build"},
		},
		{
			name:    "a panic",
			streams: []string{"panics"},
			last:    "tests: 1 passed, 1 failed, 0 skipped",
			shows:   []string{"panic: assignment to entry in nil map"},
		},
		{
			name:    "a race",
			streams: []string{"races"},
			last:    "tests: 0 passed, 1 failed, 0 skipped",
			shows:   []string{"WARNING: DATA RACE"},
		},
		{
			name:    "a TestMain that fails after its tests passed",
			streams: []string{"exits"},
			last:    "tests: 1 passed, 1 failed, 0 skipped",
			shows:   []string{"FAIL " + house + "exits\n", "goroutines left over"},
		},
		{
			name:    "a package without tests is no result to count",
			streams: []string{"good", "empty"}, expected: []string{house + "empty"},
			last: "tests: 3 passed, 0 failed, 0 skipped", ok: true,
		},
		{
			name:    "a package without a result",
			streams: []string{"good"}, expected: []string{house + "good", house + "lost"},
			last:  "tests: 3 passed, 1 failed, 0 skipped",
			shows: []string{"FAIL " + house + "lost: no result"},
		},
		{
			name: "no test at all is not green",
			last: "tests: 0 passed, 0 failed, 0 skipped",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tl, out := replay(t, tt.requireAll, tt.expected, tt.streams...)
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			if last := lines[len(lines)-1]; last != tt.last {
				t.Errorf("last line %q, want %q", last, tt.last)
			}
			if tl.ok() != tt.ok {
				t.Errorf("ok() = %v, want %v", tl.ok(), tt.ok)
			}
			for _, s := range tt.shows {
				if !strings.Contains(out, s) {
					t.Errorf("the report lacks %q", s)
				}
			}
			for _, s := range tt.hides {
				if strings.Contains(out, s) {
					t.Errorf("the report shows %q", s)
				}
			}
			if t.Failed() {
				t.Logf("report:\n%s", out)
			}
		})
	}
}

func TestTestThatDoesNotEnd(t *testing.T) {
	var out bytes.Buffer
	tl := newTally(&out, nil, false)
	for _, e := range []event{
		{Action: "run", Package: "p", Test: "TestStuck"},
		{Action: "output", Package: "p", Test: "TestStuck", Output: "waiting for ever\n"},
		{Action: "output", Package: "p", Output: "FAIL\tp\t1s\n"},
		{Action: "fail", Package: "p", Elapsed: 1},
	} {
		tl.add(e)
	}
	tl.finish()
	if tl.failed != 1 || !strings.Contains(out.String(), "TestStuck (did not end)\n    waiting for ever") {
		t.Errorf("failed = %d, want 1, with the output of the test; got:\n%s", tl.failed, out.String())
	}
}

func TestSlowestPackages(t *testing.T) {
	var out bytes.Buffer
	tl := newTally(&out, nil, false)
	for i := range 12 {
		tl.add(event{Action: "pass", Package: "p" + string(rune('a'+i)), Elapsed: float64(i)})
	}
	tl.report()
	want := "slowest packages:\n    11.0 s  pl\n    10.0 s  pk\n"
	if !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), " s  p") != slowestShown {
		t.Errorf("want the %d slowest packages, slowest first; got:\n%s", slowestShown, out.String())
	}
}

func TestUnavailable(t *testing.T) {
	tests := []struct {
		name, message, reason string
		ok                    bool
	}{
		{"what and why", "unavailable: node, older than 20", "node, older than 20", true},
		{"no why", "unavailable: node", "node", false},
		{"empty why", "unavailable: node, ", "node, ", false},
		{"empty what", "unavailable: , because", ", because", false},
		{"another message", "needs node", "", false},
		{"not at the beginning", "is unavailable: node, gone", "", false},
		{"nothing", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reason, ok := unavailable(tt.message)
			if reason != tt.reason || ok != tt.ok {
				t.Errorf("unavailable(%q) = %q, %v, want %q, %v", tt.message, reason, ok, tt.reason, tt.ok)
			}
		})
	}
}

func TestLack(t *testing.T) {
	for _, tt := range []struct {
		name            string
		requireAll      bool
		failed, skipped int
	}{{"listed", false, 0, 1}, {"a failure when everything is required", true, 1, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tl := newTally(&out, nil, tt.requireAll)
			tl.lack("race detector, no C compiler")
			tl.report()
			if tl.failed != tt.failed || tl.skipped != tt.skipped || !strings.Contains(out.String(), "  race detector, no C compiler\n") {
				t.Errorf("failed %d, skipped %d, want %d, %d and the reason; got:\n%s", tl.failed, tl.skipped, tt.failed, tt.skipped, out.String())
			}
		})
	}
}
