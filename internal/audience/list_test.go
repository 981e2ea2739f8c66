package audience

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const someID = "06o2j5c9k40000abcduv"

// readAll gives the lines as "number kind value".
func readAll(text string, f ListFormat) ([]string, record.FileKind, error) {
	var out []string
	kind, err := ReadList(strings.NewReader(text), f, func(l Line) error {
		out = append(out, fmt.Sprintf("%d %s %q", l.Number, l.Kind, l.Value))
		return nil
	})
	return out, kind, err
}

func TestReadList(t *testing.T) {
	const ids, aliases = record.FileOfIDs, record.FileOfAliases
	for _, tt := range []struct {
		name, text string
		f          ListFormat
		want       []string
	}{
		{"lines with a header", "alias\nanna\n ben \r\n\n\nc,d\n", ListFormat{}, []string{`2 aliases "anna"`, `3 aliases "ben"`, `6 aliases "c,d"`}},
		{"lines of a kind", someID + "\n", ListFormat{Kind: ids}, []string{`1 registration_ids "` + someID + `"`}},
		{"a mark before the header", "\ufeffALIASES\r\nanna", ListFormat{CSV: true}, []string{`2 aliases "anna"`}},
		{"a column among others", "name,registration_id,x\nAnna," + someID + ",1\n", ListFormat{CSV: true}, []string{`2 registration_ids "` + someID + `"`}},
		{"two columns, one asked for", "alias,registration_id\nanna," + someID + "\n", ListFormat{CSV: true, Kind: aliases}, []string{`2 aliases "anna"`}},
		{"no header, first column", "anna,1\nben,2\n", ListFormat{CSV: true, Kind: aliases}, []string{`1 aliases "anna"`, `2 aliases "ben"`}},
		{"quoted", "alias,note\n\"a\"\"b, c\",\"two\nlines\"\nx\"y,\n", ListFormat{CSV: true}, []string{`2 aliases "a\"b, c"`, `4 aliases "x\"y"`}},
		{"many columns", "alias\nanna" + strings.Repeat(",", 10_000) + "\n", ListFormat{CSV: true}, []string{`2 aliases "anna"`}},
		{"only a header", "alias\n", ListFormat{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := readAll(tt.text, tt.f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, tt := range []struct {
		name, text string
		f          ListFormat
		field      string
		says       string
		before     int // lines that were read
	}{
		{"no header", "anna\nben\n", ListFormat{CSV: true}, "of", "not said", 0},
		{"two kinds", "alias,registration_ids\n", ListFormat{CSV: true}, "of", "a column of registration IDs and one of aliases", 0},
		{"an alias among IDs", someID + "\n\nanna\n", ListFormat{Kind: ids}, "file", `line 3: "anna" is not a registration ID`, 1},
		{"an empty cell", "name,alias\nx,anna\ny\n", ListFormat{CSV: true}, "file", `line 3: "" is not an alias`, 1},
		{"a quote that does not end", "alias\n\"anna\nben\n", ListFormat{CSV: true}, "file", "line 2: ", 0},
		{"too long", "alias\n" + strings.Repeat("a", 200_000) + "\nb\n", ListFormat{}, "file", "line 2: ", 0},
		{"control characters", "alias\nok\na\tb\n", ListFormat{}, "file", "line 3: ", 1},
		{"not UTF-8", "alias\na\xffb\n", ListFormat{}, "file", "line 2: ", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := readAll(tt.text, tt.f)
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" || !strings.Contains(e.Message, tt.says) || len(e.Message) > 300 || len(got) != tt.before {
				t.Errorf("%d lines, %v", len(got), err)
			}
		})
	}
	failed := errors.New("cut off")
	if _, err := ReadList(iotest.ErrReader(failed), ListFormat{Kind: ids}, func(Line) error { return nil }); !errors.Is(err, failed) {
		t.Errorf("the error of the reader is %v", err)
	}
	if _, err := ReadList(strings.NewReader("a\n"), ListFormat{Kind: aliases}, func(Line) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("the error of the callback is %v", err)
	}
}

func FuzzReadList(f *testing.F) {
	for _, s := range []string{"", "alias\nanna\n", "a,\"b\n\"\"c\",d\r\n", "\ufeffregistration_id\n" + someID, "\"", ",,,\n", "\xff\x00\n"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, csv bool) {
		last := int64(0)
		_, err := ReadList(strings.NewReader(text), ListFormat{CSV: csv, Kind: record.FileOfAliases}, func(l Line) error {
			if l.Number <= last || l.Number > int64(strings.Count(text, "\n"))+1 {
				t.Errorf("line %d follows line %d", l.Number, last)
			}
			last = l.Number
			if herald.ValidName("alias", l.Value) != nil {
				t.Errorf("%q is taken as valid", l.Value)
			}
			return nil
		})
		if err != nil && herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Error(err)
		}
	})
}
