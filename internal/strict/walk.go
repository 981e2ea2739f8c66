package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
)

// walker goes over JSON that is known to be well-formed and holds it against
// a Go type. It reads each byte once and keeps only the path.
type walker struct {
	b    []byte
	at   int
	path []step
}

// step is one part of a path: a member's name, or an index if name is nil.
type step struct {
	name  []byte
	index int
}

// value walks the next value, which has to fit t; a nil t takes anything.
// nullable allows null where the shape of t does not.
func (w *walker) value(t reflect.Type, nullable bool) error {
	w.space()
	s := shapeOf(t)
	switch w.b[w.at] {
	case '{':
		return w.object(s)
	case '[':
		return w.list(s)
	case '"':
		from := w.at
		if err := w.text(); err != nil {
			return err
		}
		return w.leaf(s, "a string", s.kind == text, w.b[from:w.at])
	case 'n':
		w.at += len("null")
		if nullable || s.kind == free {
			return nil
		}
		return w.invalid("Leave the member out, or give it a value.", "%s is expected, not null", s.kind)
	case 't':
		w.at += len("true")
		return w.leaf(s, "true", s.kind == boolean, nil)
	case 'f':
		w.at += len("false")
		return w.leaf(s, "false", s.kind == boolean, nil)
	default:
		from := w.at
		for w.at < len(w.b) && bytes.IndexByte([]byte("+-.0123456789eE"), w.b[w.at]) >= 0 {
			w.at++
		}
		return w.leaf(s, "a number", s.kind == whole || s.kind == number, w.b[from:w.at])
	}
}

// leaf checks a value without parts. fits tells whether its JSON type is the
// one expected; raw is its text, where that can be wrong in itself.
func (w *walker) leaf(s *shape, is string, fits bool, raw []byte) error {
	switch {
	case s.kind == free:
		return nil
	case !fits && !s.custom:
		remedy := "Write " + s.kind.String() + "."
		if s.kind == text && raw != nil {
			remedy = "Put it in quotes."
		}
		return w.invalid(remedy, "%s is expected, not %s", s.kind, is)
	case !s.tried:
		return nil
	}
	if raw == nil {
		raw = []byte(is) // true or false, for a type with a method of its own
	}
	err := json.Unmarshal(raw, reflect.New(s.typ).Interface())
	if err == nil {
		return nil
	}
	if inner := (*herald.Error)(nil); errors.As(err, &inner) {
		found := *inner
		found.Field = w.where()
		return &found
	}
	switch {
	case s.kind == whole:
		return w.invalid("Write a whole number without fraction or exponent, within the range of the member.", "%.40s is not a whole number in range", raw)
	case s.kind == number:
		return w.invalid("Write a smaller number.", "%.40s is out of range", raw)
	case s.typ == timeType:
		return w.invalid("Write it as RFC 3339 does, e.g. 2026-11-21T09:30:00Z.", "%.40s is not a time", raw)
	}
	return w.invalid("See the documentation of this member for its form.", "%s", reason(err))
}

func (w *walker) object(s *shape) error {
	if s.kind != object && s.kind != dictionary && s.kind != free {
		return w.invalid("Write "+s.kind.String()+".", "%s is expected, not an object", s.kind)
	}
	if err := w.enter(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for w.at++; !w.closes('}'); {
		from := w.at
		w.path = append(w.path, step{})
		last := &w.path[len(w.path)-1]
		last.name = w.key()
		if err := halfPair(w.b[from:w.at]); err != nil {
			return w.invalid("Send the whole character.", "the name has %s", err)
		}
		name := string(last.name)
		if seen[name] {
			return w.invalid("Give each member once.", "the member occurs twice")
		}
		seen[name] = true
		t, nullable := s.elem, s.elemNull
		if s.kind == object {
			known := false
			if t, known = s.fields[name]; !known {
				return w.unknown(s, name)
			}
		}
		w.space()
		w.at++ // the colon
		if err := w.value(t, nullable); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	w.at++
	return nil
}

func (w *walker) list(s *shape) error {
	if s.kind != list && s.kind != free && !s.custom {
		return w.invalid("Write "+s.kind.String()+".", "%s is expected, not a list", s.kind)
	}
	if err := w.enter(); err != nil {
		return err
	}
	from := w.at
	w.path = append(w.path, step{})
	n := 0
	for w.at++; !w.closes(']'); n++ {
		w.path[len(w.path)-1] = step{index: n}
		if err := w.value(s.elem, false); err != nil {
			return err
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.at++
	if s.custom {
		return w.leaf(s, "a list", true, w.b[from:w.at])
	}
	return nil
}

// enter checks the depth, which is the length of the path.
func (w *walker) enter() error {
	if len(w.path) >= MaxDepth {
		w.path = w.path[:8]
		return w.invalid("Send flatter JSON.", "nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// closes moves to the next item and reports whether there is none.
func (w *walker) closes(end byte) bool {
	w.space()
	if w.b[w.at] == ',' {
		w.at++
		w.space()
	}
	return w.b[w.at] == end
}

func (w *walker) space() {
	for w.at < len(w.b) {
		switch w.b[w.at] {
		case ' ', '\t', '\n', '\r':
			w.at++
		default:
			return
		}
	}
}

// skip moves past a string.
func (w *walker) skip() {
	for w.at++; w.b[w.at] != '"'; w.at++ {
		if w.b[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

// text moves past a string and checks its escapes.
func (w *walker) text() error {
	from := w.at
	w.skip()
	if err := halfPair(w.b[from:w.at]); err != nil {
		return w.invalid("Send the whole character; it may have been cut when a text was shortened.", "the text has %s", err)
	}
	return nil
}

// key reads a member's name.
func (w *walker) key() []byte {
	from := w.at
	w.skip()
	raw := w.b[from:w.at]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return raw
	}
	return []byte(s)
}

// halfPair finds a \u escape that is one half of a surrogate pair, which
// encoding/json would replace without a word (RFC 8259, section 8.2).
func halfPair(raw []byte) error {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return nil
		}
		raw = raw[i:]
		r, ok := escape(raw)
		if !ok {
			raw = raw[2:]
			continue
		}
		if r < 0xd800 || r > 0xdfff {
			raw = raw[6:]
			continue
		}
		if low, ok := escape(raw[6:]); r > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
			return fmt.Errorf(`%s, half of a surrogate pair`, raw[:6])
		}
		raw = raw[12:]
	}
}

// escape reads a \u escape at the start of b.
func escape(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(v), err == nil
}

func (w *walker) unknown(s *shape, name string) error {
	remedy := "Known here: " + strings.Join(s.names, ", ") + "."
	if near := Nearest(name, s.names); near != "" {
		remedy = "Did you mean " + strconv.Quote(near) + "?"
	}
	return w.invalid(remedy, "the member is not known")
}

func (w *walker) invalid(remedy, format string, args ...any) error {
	return herald.Invalid(w.where(), remedy, format, args...)
}

// where writes the path, e.g. audience.tags[2]. Long names are cut.
func (w *walker) where() string {
	var b strings.Builder
	for _, s := range w.path {
		switch {
		case s.name == nil:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		case b.Len() > 0:
			b.WriteByte('.')
		}
		b.WriteString(strings.ToValidUTF8(string(s.name[:min(len(s.name), 64)]), ""))
	}
	return b.String()
}
