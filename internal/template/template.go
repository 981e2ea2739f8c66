// Package template makes contents of messages from texts with variables: {{name}}
// stands for a value that the sender gives, or for its default. It replaces and
// decides nothing else: a template has no conditions and no loops, so that what
// it makes is as long as its text and its values.
package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Missing is the error of a variable that has neither a value nor a default.
type Missing struct{ Name string }

func (e *Missing) Error() string { return fmt.Sprintf("template: {{%s}} has no value", e.Name) }

// ErrLong is the error of a content that comes to more than herald.MaxMessageBytes.
var ErrLong = errors.New("template: the content is too long")

// pieces walks a text: each is a plain text or the name of a variable.
func pieces(text string, each func(plain, name string) error) error {
	for {
		i := strings.Index(text, "{{")
		if i < 0 {
			return each(text, "")
		}
		inner, rest, ok := strings.Cut(text[i+2:], "}}")
		name := strings.Trim(inner, " ")
		if !ok || !ValidName(name) {
			return fmt.Errorf("template: after {{ comes no name and }}: %.40q", text[i:])
		}
		if err := each(text[:i], ""); err != nil {
			return err
		}
		if err := each("", name); err != nil {
			return err
		}
		text = rest
	}
}

// ValidName reports whether a variable may be called so: a letter or _, then
// letters, digits, _, - and dots, at most 64 in all.
func ValidName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Has reports whether a text has a variable in it.
func Has(text string) bool { return strings.Contains(text, "{{") }

// Variables lists the variables of a template, sorted. The error says which of
// its texts is not written well.
func Variables(t *record.Template) ([]string, error) {
	found := map[string]bool{}
	look := func(_ bool, text string) (string, error) {
		return text, pieces(text, func(_, name string) error {
			if name != "" {
				found[name] = true
			}
			return nil
		})
	}
	for _, tag := range slices.Sorted(maps.Keys(t.Contents)) {
		n := t.Contents[tag]
		if _, err := notification(&n, look); err != nil {
			return nil, err
		}
	}
	if _, err := data(t.Data, look); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// replacer gives a text with what its variables stand for.
type replacer func(address bool, text string) (string, error)

// Render makes the content. With a language it is that of the template's
// languages which fits it best; without one it has all languages, of which each
// device gets its own. The error is a *Missing, or ErrLong.
func Render(t *record.Template, values map[string]string, language string) (herald.Content, error) {
	room := herald.MaxMessageBytes
	fill := func(address bool, text string) (string, error) { return replace(t, values, &room, address, text) }
	base := t.Language
	if language != "" {
		base = best(t, language)
	}
	n := t.Contents[base]
	common, err := notification(&n, fill)
	if err != nil {
		return herald.Content{}, err
	}
	out := herald.Content{Notification: common}
	if out.Data, err = data(t.Data, fill); err != nil || language != "" {
		return out, err
	}
	for _, tag := range slices.Sorted(maps.Keys(t.Contents)) {
		// The common content is that of the base; it needs a place of its own
		// only for devices that a shorter tag would take.
		if tag == base && !slices.ContainsFunc(slices.Collect(maps.Keys(t.Contents)), func(other string) bool { return within(base, other) && other != base }) {
			continue
		}
		over := herald.Notification{}
		if tag != base {
			n := t.Contents[tag]
			filled, err := notification(&n, fill)
			if err != nil {
				return herald.Content{}, err
			}
			over = *filled
		}
		if out.Notification.Languages == nil {
			out.Notification.Languages = map[string]herald.Notification{}
		}
		out.Notification.Languages[tag] = over
	}
	return out, nil
}

// within reports whether a language is in a range: zh-CN is in zh (RFC 4647,
// section 3.3.1).
func within(language, of string) bool {
	language, of = strings.ToLower(language), strings.ToLower(of)
	return language == of || strings.HasPrefix(language, of+"-")
}

// best finds the longest language of a template that a language is in (RFC 4647,
// section 3.4); its own default if there is none.
func best(t *record.Template, language string) string {
	found := ""
	for _, tag := range slices.Sorted(maps.Keys(t.Contents)) {
		if within(language, tag) && len(tag) > len(found) {
			found = tag
		}
	}
	if found == "" {
		return t.Language
	}
	return found
}

func replace(t *record.Template, values map[string]string, room *int, address bool, text string) (string, error) {
	if !Has(text) {
		*room -= len(text)
		return text, long(*room)
	}
	var b strings.Builder
	whole := isWhole(text)
	err := pieces(text, func(plain, name string) error {
		if name != "" {
			v, ok := values[name]
			if !ok {
				if v, ok = t.Defaults[name]; !ok {
					return &Missing{name}
				}
			}
			if plain = v; address && !whole {
				plain = escape(v, *room)
			}
		}
		if *room -= len(plain); *room < 0 {
			return ErrLong
		}
		b.WriteString(plain)
		return nil
	})
	return b.String(), err
}

func long(room int) error {
	if room < 0 {
		return ErrLong
	}
	return nil
}

// isWhole reports whether a text is one variable and nothing else.
func isWhole(text string) bool {
	return strings.HasPrefix(text, "{{") && strings.Index(text, "}}") == len(text)-2
}

// escape writes a value so that it can stand anywhere in an address: everything
// but the unreserved characters of RFC 3986, section 2.3, is percent-encoded.
// What is longer than the room is of no use.
func escape(s string, room int) string {
	if len(s) > room {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// notification gives a notification with its texts replaced.
func notification(n *herald.Notification, with replacer) (*herald.Notification, error) {
	out := *n
	for _, x := range [...]struct {
		name    string
		text    *string
		address bool
	}{{"title", &out.Title, false}, {"body", &out.Body, false}, {"image", &out.Image, true}, {"click", &out.Click, true}, {"sound", &out.Sound, false}} {
		var err error
		if *x.text, err = with(x.address, *x.text); err != nil {
			return nil, err
		}
	}
	out.Actions = slices.Clone(n.Actions)
	for i := range out.Actions {
		a := &out.Actions[i]
		var err error
		if a.Title, err = with(false, a.Title); err != nil {
			return nil, err
		}
		if a.Click, err = with(true, a.Click); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// data gives free-form JSON with the texts in it replaced; names of members and
// numbers stay as they are.
func data(b json.RawMessage, with replacer) (json.RawMessage, error) {
	if len(b) == 0 || !bytes.Contains(b, []byte("{{")) {
		return b, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("template: the data is not JSON: %w", err)
	}
	v, err := walk(v, with)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func walk(v any, with replacer) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return with(false, v)
	case []any:
		for i := range v {
			if v[i], err = walk(v[i], with); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) { // the first error is always the same
			if v[name], err = walk(v[name], with); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
