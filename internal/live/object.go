package live

import (
	"encoding/json"

	"github.com/herald-push/herald"
)

// object reads one JSON object, and nothing after it, into its members. Their
// values are parts of b. Every receipt comes this way, so that it is worth not
// to go through the tokens of a json.Decoder.
func object(b []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(b) {
		return nil, ErrNotFrame
	}
	// From here on the text is known to be JSON: only its parts are to be found.
	i := space(b, 0)
	if b[i] != '{' {
		return nil, ErrNotFrame
	}
	out := make(map[string]json.RawMessage, 4)
	for i = space(b, i+1); b[i] != '}'; {
		end := value(b, i)
		name, err := memberName(b[i:end])
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, herald.Invalid(short(name), "Send each member once.", "comes twice")
		}
		i = space(b, space(b, end)+1) // past the colon
		end = value(b, i)
		out[name] = b[i:end:end]
		if i = space(b, end); b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return out, nil
}

// memberName reads a name with its quotes.
func memberName(quoted []byte) (string, error) {
	for _, c := range quoted {
		if c == '\\' {
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				return "", ErrNotFrame
			}
			return s, nil
		}
	}
	return string(quoted[1 : len(quoted)-1]), nil
}

// space gives the place of the first byte at or after i that is no white space
// (RFC 8259 section 2).
func space(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// value gives the place behind the value that begins at i.
func value(b []byte, i int) int {
	depth := 0
	for ; ; i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of a number or a word: the end of what it is in
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
}
