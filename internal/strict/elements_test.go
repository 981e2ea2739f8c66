package strict_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/strict"
)

func texts(parts [][]byte) []string {
	out := []string{}
	for _, p := range parts {
		out = append(out, string(p))
	}
	return out
}

func TestElements(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []string // nil: refused
	}{
		"empty":                  {`[]`, []string{}},
		"space":                  {" \n[ \t] \r", []string{}},
		"one":                    {`[1]`, []string{`1`}},
		"kinds":                  {`[ {"a":[1,"]"]} , [ ] ,"x, y",-1.5e2,true,null ]`, []string{`{"a":[1,"]"]}`, `[ ]`, `"x, y"`, `-1.5e2`, `true`, `null`}},
		"escapes":                {`["\"",{"\\":"]"}]`, []string{`"\""`, `{"\\":"]"}`}},
		"stops behind the most":  {`[1,2,3,4,5,6,7,8 and nobody looks at this`, []string{`1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`}},
		"an element that is bad": {`[tru,1]`, []string{`tru`, `1`}}, // for Decode to refuse
		"an object":              {`{}`, nil},
		"a text":                 {`"[]"`, nil},
		"nothing":                {``, nil},
		"cut":                    {`[1,`, nil},
		"cut in an object":       {`[{"a":1`, nil},
		"cut in a text":          {`["a`, nil},
		"cut behind an escape":   {`["a\`, nil},
		"no end":                 {`[1`, nil},
		"comma at the end":       {`[1,]`, nil},
		"comma at the start":     {`[,1]`, nil},
		"no comma":               {`[1 2]`, nil},
		"colon":                  {`["a":1]`, nil},
		"brackets that differ":   {`[{]}]`, nil},
		"more behind":            {`[1] 2`, nil},
		"two":                    {`[1][2]`, nil},
		"byte order mark":        {"\ufeff[1]", nil},
	} {
		got, err := strict.Elements([]byte(c.body), 8)
		if (err != nil) != (c.want == nil) || err == nil && !slices.Equal(texts(got), c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, texts(got), err, c.want)
		}
		if err != nil && strict.Malformed(err) == json.Valid([]byte(c.body)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"nothing": {"", []string{}}, "one": {"{}", []string{"{}"}}, "ended": {"{}\n", []string{"{}"}},
		"two": {"{}\n1\n", []string{"{}", "1"}}, "blank lines": {"\n \n{}\n\t\r\n\n1\n\n", []string{"{}", "1"}},
		"carriage returns": {"{}\r\n 1 \r\n", []string{"{}", "1"}},
	} {
		if got := texts(slices.Collect(strict.Lines([]byte(c.body)))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for range strict.Lines([]byte("1\n2\n")) {
		break // who has seen enough may stop
	}
}

// FuzzElements holds the cutting of an array, with its elements decoded, against
// encoding/json.
func FuzzElements(f *testing.F) {
	for _, s := range []string{`[]`, ` [ 1 , {"a":[{}]} ] `, `[1,]`, `[{]}`, `["\"]"]`, `[1 2]`, `[[[[`, `[tru]`, "[\"\xff\"]", `[1"a"]`, `{"a":1}`, `[1]x`, `["\ud800"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want []json.RawMessage
		wellFormed := strict.WellFormed(body) == nil
		isList := wellFormed && json.Unmarshal(body, &want) == nil && bytes.TrimSpace(body)[0] == '['
		got, err := strict.Elements(body, 1<<20)
		if isList {
			if err != nil || len(got) != len(want) {
				t.Fatalf("%q gives %q and %v, want %q", body, texts(got), err, want)
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Fatalf("element %d is %q, want %q", i, got[i], want[i])
				}
			}
			return
		}
		if err != nil {
			if wellFormed == strict.Malformed(err) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		// It was cut, although it is no JSON: one of the elements is none.
		for _, e := range got {
			if errors.Is(strict.WellFormed(e), strict.ErrSyntax) {
				return
			}
		}
		t.Fatalf("%q was cut into %q, which is all JSON", body, texts(got))
	})
}

// FuzzLines holds the cutting into lines against that of the strings package.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "\n\n", "{}\r\n{}", " 1\t\n2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		want := []string{}
		for _, line := range strings.Split(body, "\n") {
			if line = strings.Trim(line, " \t\r"); line != "" {
				want = append(want, line)
			}
		}
		if got := texts(slices.Collect(strict.Lines([]byte(body)))); !slices.Equal(got, want) {
			t.Fatalf("%q: got %q", body, got)
		}
	})
}
