package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// event is one line of go test -json (see go doc test2json and go help
// buildjson; the two kinds come interleaved in one stream).
type event struct {
	Action      string  // start, run, pause, cont, output, pass, fail, skip, bench, build-output, build-fail
	Package     string  // import path; empty in build events
	Test        string  // empty when the event is about the package
	Elapsed     float64 // seconds, in pass, fail and skip
	Output      string  // in output and build-output
	ImportPath  string  // in build events
	FailedBuild string  // in the fail of a package that could not be built
}

// maxLine bounds one line of the stream. A test that prints megabytes without
// a line break is cut into several events by test2json, so lines stay short.
const maxLine = 16 << 20

// readEvents calls handle for each event of r. A line that is not JSON (the go
// command prints some problems as plain text) is handed on as the output of a
// build, so that it is shown and never lost.
func readEvents(r io.Reader, handle func(event)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
			handle(event{Action: "build-output", Output: string(line) + "\n"})
			continue
		}
		handle(e)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("testrun: a line of go test -json is longer than %d bytes", maxLine)
		}
		return fmt.Errorf("testrun: reading go test -json: %w", err)
	}
	return nil
}
