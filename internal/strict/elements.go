package strict

import (
	"bytes"
	"iter"

	"github.com/herald-push/herald"
)

// Elements cuts a JSON array into its elements, without the white space around
// them. It does not look into an element: those of a text that is JSON are JSON
// themselves, and where it is not, [Decode] refuses one of them or the array is
// refused here. It stops behind the most elements that are asked for, so that
// one more than those tells that there are too many.
func Elements(body []byte, most int) ([][]byte, error) {
	i := afterSpace(body, 0)
	if i == len(body) || body[i] != '[' {
		return nil, notList(body)
	}
	var out [][]byte
	i = afterSpace(body, i+1)
	if i < len(body) && body[i] == ']' {
		i++
	} else {
		for {
			end := afterValue(body, i)
			if end == i {
				return nil, notList(body)
			}
			if out = append(out, body[i:end:end]); len(out) == most {
				return out, nil
			}
			if i = afterSpace(body, end); i == len(body) {
				return nil, notList(body)
			}
			if i++; body[i-1] == ']' {
				break
			} else if body[i-1] != ',' {
				return nil, notList(body)
			}
			i = afterSpace(body, i)
		}
	}
	if afterSpace(body, i) < len(body) {
		return nil, notList(body)
	}
	return out, nil
}

// notList says what is wrong with what should be an array.
func notList(body []byte) error {
	if err := wellFormed(body); err != nil {
		return err
	}
	return herald.Invalid("", "Write a list.", "a list is expected")
}

// WellFormed checks that body is one JSON value in UTF-8, as [Decode] does
// before anything else.
func WellFormed(body []byte) error { return wellFormed(body) }

// afterSpace gives the place of the first byte from i on that is no white space
// (RFC 8259, section 2).
func afterSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// afterValue gives the place behind the value that begins at i, going by
// brackets and quotes alone; i itself if there is none.
func afterValue(b []byte, i int) int {
	from, depth := i, 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if i >= len(b) {
				return from
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what the value is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	if depth > 0 {
		return from
	}
	return i
}

// Lines walks the lines of a text that are not blank, without the white space
// around them: the values of newline-delimited JSON.
func Lines(body []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.SplitSeq(body, []byte{'\n'}) {
			if line = bytes.Trim(line, " \t\r"); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}
