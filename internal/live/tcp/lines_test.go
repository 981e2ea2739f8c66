package tcp

import (
	"bytes"
	"strings"
	"testing"
)

// feed gives the lines that a splitter makes of pieces of at most n bytes.
func feed(s *splitter, data []byte, n int) (lines []string, last outcome) {
	for len(data) > 0 {
		piece := bytes.Clone(data[:min(n, len(data))])
		data = data[len(piece):]
		for {
			line, rest, got := s.next(piece)
			if got != gotLine {
				last = got
				break
			}
			lines = append(lines, string(line))
			piece = rest
		}
	}
	return lines, last
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		last     outcome
	}{
		{"two and a half", "a\nbc\r\nd", []string{"a", "bc"}, needMore},
		{"empty ones", "\n\r\n", []string{"", ""}, needMore},
		{"a carriage return inside", "a\rb\n", []string{"a\rb"}, needMore},
		{"as long as may be", "12345678\n12345678\r\n", []string{"12345678", "12345678"}, needMore},
		{"one too long", "ok\n123456789\nlater\n", []string{"ok"}, tooLong},
		{"one too long and not over", "1234567890", nil, tooLong},
	} {
		for n := 1; n <= len(c.in); n++ {
			s := splitter{limit: 8}
			got, last := feed(&s, []byte(c.in), n)
			if strings.Join(got, "|") != strings.Join(c.want, "|") || len(got) != len(c.want) || last != c.last {
				t.Errorf("%s, %d at a time: got %q, %d", c.name, n, got, last)
			}
			if c.last == tooLong && s.part != nil {
				t.Errorf("%s: a buffer is kept", c.name)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbc\r\n"), uint8(1))
	f.Add([]byte("\n\n\r\n123456789012345678\n"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		s := splitter{limit: 16}
		got, last := feed(&s, data, int(n)+1)
		var want []string
		wantLast := needMore
		for rest := data; ; {
			line, after, found := bytes.Cut(rest, []byte("\n"))
			if trimmed := bytes.TrimSuffix(line, []byte("\r")); found && len(trimmed) > 16 || !found && len(line) > 17 {
				wantLast = tooLong
				break
			}
			if !found {
				break
			}
			want = append(want, string(bytes.TrimSuffix(line, []byte("\r"))))
			rest = after
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) != len(want) || last != wantLast {
			t.Fatalf("got %q, %d, want %q, %d", got, last, want, wantLast)
		}
	})
}
