package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// tally turns the events of one run into counts. It prints what failed as soon
// as it is known and keeps quiet about what passed.
//
// A test counts when it has no subtests, or when it failed or was skipped for
// a reason of its own; so a subtest that fails is counted once, not once more
// for each of its parents.
type tally struct {
	out        io.Writer
	requireAll bool // every "unavailable" is a failure

	passed, failed, skipped int
	unavailable             []string // "what, why (test)", in order of arrival
	packages                map[string]*packageResult
}

type packageResult struct {
	done    bool
	elapsed float64
	failed  int // tests of this package that were counted as failed
	output  []string
	tests   map[string]*testResult
}

type testResult struct {
	output      []string
	hasSubtests bool
	// reported: one of its subtests failed, which explains its own failure.
	reported bool
	done     bool
}

// newTally expects a result from each of the packages.
func newTally(out io.Writer, expected []string, requireAll bool) *tally {
	t := &tally{out: out, requireAll: requireAll, packages: make(map[string]*packageResult)}
	for _, p := range expected {
		t.pkg(p)
	}
	return t
}

func (t *tally) pkg(name string) *packageResult {
	p := t.packages[name]
	if p == nil {
		p = &packageResult{tests: make(map[string]*testResult)}
		t.packages[name] = p
	}
	return p
}

func (p *packageResult) test(name string) *testResult {
	r := p.tests[name]
	if r == nil {
		r = &testResult{}
		p.tests[name] = r
		if parent, ok := parentOf(name); ok {
			p.test(parent).hasSubtests = true
		}
	}
	return r
}

// parentOf gives the name of the test that ran this subtest. A slash inside a
// subtest's own name gives a parent that never runs, which does no harm: it
// has no result of its own to count.
func parentOf(test string) (string, bool) {
	i := strings.LastIndexByte(test, '/')
	if i < 0 {
		return "", false
	}
	return test[:i], true
}

// add takes one event.
func (t *tally) add(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(t.out, e.Output)
	case e.Package == "":
		// build-fail: the package's own fail follows and is counted there.
	case e.Test == "":
		t.addPackage(e)
	default:
		t.addTest(e)
	}
}

func (t *tally) addTest(e event) {
	p := t.pkg(e.Package)
	r := p.test(e.Test)
	switch e.Action {
	case "output":
		r.output = append(r.output, e.Output)
	case "pass":
		r.done = true
		if !r.hasSubtests {
			t.passed++
		}
		r.output = nil
	case "fail":
		r.done = true
		t.failTest(p, e.Package, e.Test, r)
	case "skip":
		r.done = true
		t.skipTest(p, e.Package, e.Test, r)
	}
}

func (t *tally) failTest(p *packageResult, pkg, name string, r *testResult) {
	// The output of a parent is shown too: it may say more than "FAIL".
	fmt.Fprintf(t.out, "FAIL %s %s\n%s", pkg, name, indent(r.output))
	for parent, ok := parentOf(name); ok; parent, ok = parentOf(parent) {
		p.test(parent).reported = true
	}
	if !r.reported {
		t.failed++
		p.failed++
	}
	r.output = nil
}

func (t *tally) skipTest(p *packageResult, pkg, name string, r *testResult) {
	message := skipMessage(r.output)
	reason, ok := unavailable(message)
	where := fmt.Sprintf("%s (%s %s)", reason, pkg, name)
	switch {
	case !ok:
		fmt.Fprintf(t.out, "FAIL %s %s\n    skipped with %q; a skip is allowed only as t.Skip(\"unavailable: what, why\"), "+
			"because a skip that nobody sees is a test that nobody has\n", pkg, name, message)
		t.failed++
		p.failed++
	case t.requireAll:
		t.unavailable = append(t.unavailable, where)
		t.failed++
		p.failed++
	default:
		t.unavailable = append(t.unavailable, where)
		t.skipped++
	}
	r.output = nil
}

func (t *tally) addPackage(e event) {
	p := t.pkg(e.Package)
	switch e.Action {
	case "output":
		p.output = append(p.output, e.Output)
	case "pass", "skip": // skip: no test files
		t.endPackage(p, e)
	case "fail":
		t.failPackage(p, e)
	}
}

func (t *tally) endPackage(p *packageResult, e event) {
	p.done, p.elapsed = true, e.Elapsed
	p.output, p.tests = nil, make(map[string]*testResult)
}

// failPackage counts what the failing tests have not: a build that failed, a
// panic or an exit in the middle of a test, a failure in TestMain.
func (t *tally) failPackage(p *packageResult, e event) {
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		if r := p.tests[name]; !r.done && !r.hasSubtests && len(r.output) > 0 {
			t.failTest(p, e.Package, name+" (did not end)", r)
		}
	}
	output := slices.DeleteFunc(p.output, isVerdict)
	switch {
	case e.FailedBuild != "":
		fmt.Fprintf(t.out, "FAIL %s: %s does not build\n%s", e.Package, e.FailedBuild, indent(output))
	case p.failed == 0 || len(output) > 0:
		fmt.Fprintf(t.out, "FAIL %s\n%s", e.Package, indent(output))
	}
	if p.failed == 0 {
		t.failed++
	}
	t.endPackage(p, e)
}

// finish counts the packages from which no result came.
func (t *tally) finish() {
	for _, name := range slices.Sorted(maps.Keys(t.packages)) {
		if p := t.packages[name]; !p.done {
			fmt.Fprintf(t.out, "FAIL %s: no result\n%s", name, indent(p.output))
			t.failed++
		}
	}
}

// fail counts a failure that belongs to no package.
func (t *tally) fail(why string) {
	fmt.Fprintf(t.out, "FAIL %s\n", why)
	t.failed++
}

// lack notes something that the run itself could not have.
func (t *tally) lack(reason string) {
	t.unavailable = append(t.unavailable, reason)
	if t.requireAll {
		t.failed++
	} else {
		t.skipped++
	}
}

// isVerdict reports a line in which go test only repeats the outcome.
func isVerdict(line string) bool {
	line = strings.TrimRight(line, "\n")
	return line == "PASS" || line == "FAIL" || line == "" ||
		strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "ok  \t") ||
		strings.HasPrefix(line, "exit status ")
}

// logLine matches a line of t.Log, t.Skip and their kin: "file_test.go:12: ".
var logLine = regexp.MustCompile(`^\s+[^\s:]+\.go:\d+: (.*)$`)

// skipMessage finds what a skipped test said: the last thing that it logged.
func skipMessage(output []string) string {
	message := ""
	for line := range strings.Lines(strings.Join(output, "")) {
		if m := logLine.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			message = m[1]
		}
	}
	return message
}

// unavailable takes a message of the form "unavailable: what, why" apart.
func unavailable(message string) (reason string, ok bool) {
	reason, ok = strings.CutPrefix(message, "unavailable: ")
	if !ok {
		return "", false
	}
	what, why, ok := strings.Cut(reason, ", ")
	return reason, ok && strings.TrimSpace(what) != "" && strings.TrimSpace(why) != ""
}

// indent sets output off from the headings, without go test's own markers.
func indent(output []string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Join(output, "")) {
		if strings.HasPrefix(line, "=== ") {
			continue
		}
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
