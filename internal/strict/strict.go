// Package strict decodes JSON from callers whose mistakes should be noticed.
//
// encoding/json ignores members that it does not know, matches names without
// regard to case, lets the last of two equal members win, and replaces broken
// text. Each of these turns a mistake of the caller into a message that is not
// what was meant. [Decode] refuses them all, and says where and what instead.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/herald-push/herald"
)

// MaxDepth is how many objects and lists may be open at once.
const MaxDepth = 64

// ErrSyntax is the cause of an error about bytes that are not JSON, as
// opposed to JSON that does not fit. HTTP tells the two apart: 400 and 422.
var ErrSyntax = errors.New("malformed")

// Decode reads the one JSON value in body into the value that into points to.
// On top of what encoding/json demands, it refuses
//
//   - bytes that are not UTF-8, and \u escapes that are half of a pair
//   - members that the Go type does not have (exact names), also in nested values
//   - a member that occurs twice in one object, also in free-form JSON
//   - null, except in free-form JSON and in maps whose values are pointers
//   - nesting beyond [MaxDepth]
//
// Types with an UnmarshalJSON of their own are free-form, except structs: an
// object is held against the fields of the struct before the method gets it.
//
// Errors are *herald.Error of kind invalid_request, with the path of the
// member as Field; those about syntax have [ErrSyntax] as their cause. After an
// error the value may be filled in part.
func Decode(body []byte, into any) error {
	if err := wellFormed(body); err != nil {
		return err
	}
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer {
		panic("strict: Decode needs a pointer")
	}
	w := walker{b: body}
	if err := w.value(t.Elem(), false); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if inner := (*herald.Error)(nil); errors.As(err, &inner) {
		return inner
	}
	// The walk finds what encoding/json would refuse, so this is for types
	// whose own methods refuse a whole object.
	return herald.Invalid("", "Compare the request with the documentation.", "the value does not fit: %s", reason(err))
}

// Malformed reports whether an error of [Decode] is about bytes that are not
// JSON.
func Malformed(err error) bool { return errors.Is(err, ErrSyntax) }

// wellFormed checks that body is one JSON value in UTF-8 (RFC 8259, sections 2
// and 8.1).
func wellFormed(body []byte) error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return syntax("Send a JSON object.", "the body is empty")
	case !utf8.Valid(body):
		return syntax("Encode the text as UTF-8.", "byte %d is not UTF-8", notUTF8(body))
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return syntax("Leave the byte order mark out.", "the body begins with a byte order mark")
	case json.Valid(body):
		return nil
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var at *json.SyntaxError
	if errors.As(err, &at) {
		return syntax("Send one JSON value, as RFC 8259 defines it.", "not JSON at byte %d: %s", at.Offset, at.Error())
	}
	return syntax("Send one JSON value, as RFC 8259 defines it.", "not JSON")
}

func syntax(remedy, format string, args ...any) error {
	e := herald.Errorf(herald.CodeInvalidRequest, remedy, format, args...)
	e.Err = ErrSyntax
	return e
}

// notUTF8 gives the offset of the first byte that is not UTF-8.
func notUTF8(b []byte) int {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// reason is the text of an error of encoding/json or of a type's own method,
// without the name of the package.
func reason(err error) string {
	s := strings.TrimPrefix(err.Error(), "json: ")
	return strings.TrimPrefix(s, "herald: ")
}
