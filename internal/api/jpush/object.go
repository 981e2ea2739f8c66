package jpush

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/internal/strict"
)

// reader reads a body, and keeps the first thing that is wrong with it. After
// that it goes on with zero values, so that who reads need not ask each time.
type reader struct{ err *refusal }

func (r *reader) refuse(code int, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(code, format, args...)
	}
}

// result gives the first error.
func (r *reader) result() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// object is a JSON object that is being read: each member is taken once, and
// what is left at the end is not known. A member that is null counts as absent,
// which some clients write for what was not set.
type object struct {
	r    *reader
	at   string // where it is, for errors; "" for the whole body
	left map[string]json.RawMessage
}

// readObject reads the one JSON object that a body is.
func readObject(body []byte) (*object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, refuse(codeMissing, "the body is empty")
	}
	if err := strict.WellFormed(body); err != nil {
		return nil, refuse(codeValue, "%s", err.Error())
	}
	r := &reader{}
	o := r.object("", body)
	return o, r.result()
}

// object reads an object; nil if it is none, which is noted.
func (r *reader) object(at string, raw json.RawMessage) *object {
	o := &object{r: r, at: at}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &o.left) != nil {
		r.refuse(codeValue, "%s must be an object", or(at, "the body"))
		return nil
	}
	return o
}

func or(s, t string) string {
	if s == "" {
		return t
	}
	return s
}

// path is where a member is.
func (o *object) path(name string) string {
	if o.at == "" {
		return name
	}
	return o.at + "." + name
}

// has reports whether a member is there and is not null.
func (o *object) has(name string) bool {
	raw, ok := o.left[name]
	return ok && string(raw) != "null"
}

// raw takes a member as it is; nil if it is absent.
func (o *object) raw(name string) json.RawMessage {
	raw, ok := o.left[name]
	delete(o.left, name)
	if !ok || string(raw) == "null" {
		return nil
	}
	return raw
}

// text takes a text; "" if it is absent.
func (o *object) text(name string) string {
	raw := o.raw(name)
	if raw == nil {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		o.r.refuse(codeValue, "%s must be a string", o.path(name))
	}
	return s
}

// number takes a whole number within bounds, which may stand in quotes; nil if
// it is absent.
func (o *object) number(name string, least, most int64) *int64 {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	s := string(raw)
	if raw[0] == '"' {
		_ = json.Unmarshal(raw, &s) // it is well formed
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		o.r.refuse(codeValue, "%s must be a whole number from %d to %d", o.path(name), least, most)
		return nil
	}
	return &n
}

// truth takes a boolean, which may stand in quotes; nil if it is absent.
func (o *object) truth(name string) *bool {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	v := false
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true":
		v = true
	case "false":
	default:
		o.r.refuse(codeValue, "%s must be true or false", o.path(name))
		return nil
	}
	return &v
}

// object takes an object; nil if it is absent.
func (o *object) object(name string) *object {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	return o.r.object(o.path(name), raw)
}

// texts takes a list of texts; nil if it is absent. A list that was written as
// an object, as PHP does with one from which something was removed, is one too.
func (o *object) texts(name string, most int) []string {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	list, err := texts(raw)
	if err != nil {
		o.r.refuse(codeValue, "%s must be a list of strings", o.path(name))
		return nil
	}
	if len(list) > most {
		o.r.refuse(codeValue, "%s has %d values, more than %d", o.path(name), len(list), most)
		return nil
	}
	return list
}

func texts(raw json.RawMessage) ([]string, error) {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		var m map[string]string
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
		keys := make([]int, 0, len(m))
		for k := range m {
			n, err := strconv.Atoi(k)
			if err != nil {
				return nil, fmt.Errorf("jpush: %q is no index", k)
			}
			keys = append(keys, n)
		}
		slices.Sort(keys)
		out := []string{}
		for _, k := range keys {
			v, ok := m[strconv.Itoa(k)]
			if !ok {
				return nil, fmt.Errorf("jpush: %d is written in another way", k)
			}
			out = append(out, v)
		}
		return out, nil
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s == nil {
			return nil, fmt.Errorf("jpush: null in a list")
		}
		out = append(out, *s)
	}
	return out, nil
}

// done notes the members that nobody took.
func (o *object) done() {
	var names []string
	for name := range o.left {
		if o.has(name) {
			names = append(names, o.path(name))
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	o.r.refuse(codeUnknown, "unknown members: %.200s", strings.Join(names, ", "))
}
