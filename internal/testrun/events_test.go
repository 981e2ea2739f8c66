package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestReadEvents(t *testing.T) {
	const stream = `{"Action":"start","Package":"p"}

go: some trouble in plain text
{"Action":"fail","Package":"p","Elapsed":0.5}
{"not an event":true}
`
	var got []event
	if err := readEvents(strings.NewReader(stream), func(e event) { got = append(got, e) }); err != nil {
		t.Fatal(err)
	}
	want := []event{
		{Action: "start", Package: "p"},
		{Action: "build-output", Output: "go: some trouble in plain text\n"},
		{Action: "fail", Package: "p", Elapsed: 0.5},
		{Action: "build-output", Output: "{\"not an event\":true}\n"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%v\nwant:\n%v", got, want)
	}
}

func TestReadEventsLineTooLong(t *testing.T) {
	err := readEvents(bytes.NewReader(bytes.Repeat([]byte("x"), maxLine+1)), func(event) {})
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v, want one about the length of the line", err)
	}
}

// FuzzTally holds that no stream makes the runner panic or count downwards.
func FuzzTally(f *testing.F) {
	f.Add([]byte(`{"Action":"run","Package":"p","Test":"T/a/b"}` + "\n" + `{"Action":"fail","Package":"p","Test":"T/a/b"}`))
	f.Add([]byte(`{"Action":"pass","Package":"p"}` + "\n" + `{"Action":"skip","Package":"p","Test":"T"}`))
	f.Add([]byte("FAIL\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out bytes.Buffer
		tl := newTally(&out, nil, false)
		_ = readEvents(bytes.NewReader(stream), tl.add)
		tl.finish()
		tl.report()
		if tl.passed < 0 || tl.failed < 0 || tl.skipped < 0 || !strings.HasPrefix(lastLine(out.String()), "tests: ") {
			t.Errorf("counts %d, %d, %d; report:\n%s", tl.passed, tl.failed, tl.skipped, out.String())
		}
	})
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name                  string
		args, flags, patterns []string
	}{
		{"nothing", nil, nil, []string{"./..."}},
		{"flags only", []string{"-count=1", "-v"}, []string{"-count=1", "-v"}, []string{"./..."}},
		{"both", []string{"-count=1", "./a", "./b"}, []string{"-count=1"}, []string{"./a", "./b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flags, patterns := split(tt.args)
			if !slices.Equal(flags, tt.flags) || !slices.Equal(patterns, tt.patterns) {
				t.Errorf("split(%q) = %q, %q, want %q, %q", tt.args, flags, patterns, tt.flags, tt.patterns)
			}
		})
	}
}
