// Testrun runs the Go tests of the whole tree and says plainly what became of
// them. It shows failures with their output as they come and nothing about
// what passes; it accepts a skip only when its message has the form
// "unavailable: what, why", and lists those at the end, so that nobody takes
// an untested thing for a tested one. With HERALD_REQUIRE=all each of them is
// a failure. A package that does not build, or gives no result, is a failure.
//
//	go run ./internal/testrun [arguments of go test]
//
// The last line is always "tests: N passed, N failed, N skipped".
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv("HERALD_REQUIRE") == "all"))
}

// run runs the tests and gives the exit code. Arguments are those of go test;
// without a package among them it tests ./...
func run(args []string, requireAll bool) int {
	flags, patterns := split(args)
	expected, err := listPackages(patterns)
	t := newTally(os.Stdout, expected, requireAll)
	if err != nil {
		t.fail(err.Error())
		t.report()
		return 1
	}
	command := []string{"test", "-json"}
	if reason := raceMissing(); reason == "" {
		command = append(command, "-race")
	} else {
		t.lack("race detector, " + reason)
	}
	command = append(append(command, flags...), patterns...)
	if err := goTest(t, command); err != nil && t.failed == 0 {
		t.fail(err.Error())
	}
	t.finish()
	t.report()
	if !t.ok() {
		return 1
	}
	return 0
}

// goTest feeds the events of one go command to t.
func goTest(t *tally, command []string) error {
	cmd := exec.Command("go", command...)
	cmd.Stderr = os.Stdout
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("testrun: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("testrun: %w", err)
	}
	readErr := readEvents(stdout, t.add)
	if readErr != nil {
		// The pipe is no longer read; the command must not wait for that.
		_ = stdout.Close()
	}
	if err := cmd.Wait(); err != nil && readErr == nil {
		return fmt.Errorf("testrun: go %s: %w", strings.Join(command, " "), err)
	}
	return readErr
}

// split tells package patterns from flags. Flags are written as -name=value,
// as go test itself advises where both stand together.
func split(args []string) (flags, patterns []string) {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			flags = append(flags, a)
		} else {
			patterns = append(patterns, a)
		}
	}
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	return flags, patterns
}

// listPackages names the packages from which a result has to come.
func listPackages(patterns []string) ([]string, error) {
	cmd := exec.Command("go", append([]string{"list", "-e"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("testrun: go list: %w\n%s", err, stderr.Bytes())
	}
	return strings.Fields(string(out)), nil
}

// raceMissing says why there is no race detector here, or nothing: it needs
// cgo, which needs a C compiler.
func raceMissing() string {
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err == nil && strings.TrimSpace(string(out)) == "0" {
		return "CGO_ENABLED=0"
	}
	out, err := exec.Command("go", "env", "CC").Output()
	cc := strings.TrimSpace(string(out))
	if err != nil || cc == "" {
		cc = "gcc"
	}
	if _, err := exec.LookPath(strings.Fields(cc)[0]); err != nil {
		return "no C compiler (" + cc + ") on this machine"
	}
	return ""
}
