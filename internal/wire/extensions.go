package wire

import (
	"net/http"
	"strings"

	"github.com/herald-push/herald"
)

// Extension is one element of Sec-WebSocket-Extensions (RFC 6455 section 9.1).
type Extension struct {
	Name   string
	Params []Param
}

// Param is a parameter of an extension. HasValue tells "name=" with a value
// from a bare name; the value is without its quotes.
type Param struct {
	Name, Value string
	HasValue    bool
}

// ParseExtensions reads what the client offers, in its order, over all headers
// of the name. A header that breaks the grammar is an error with which the
// handshake has to fail (RFC 6455 section 9.1), with the status 400.
func ParseExtensions(h http.Header) ([]Extension, error) {
	var out []Extension
	for _, line := range h.Values("Sec-WebSocket-Extensions") {
		s := listScanner(line)
		for !s.end() {
			if s.take(',') {
				continue // an empty element (RFC 9110 section 5.6.1.2)
			}
			e, ok := s.extension()
			if !ok || !s.end() && !s.take(',') {
				return nil, herald.Errorf(herald.CodeInvalidRequest, "Write the header as in RFC 6455 section 9.1, or leave it out.",
					"Sec-WebSocket-Extensions is malformed")
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// listScanner is the rest of a header. Blanks are skipped before whatever is
// asked for: the grammar has the implied *LWS rule of RFC 2616 section 2.1.
type listScanner string

func (s *listScanner) blanks() { *s = listScanner(strings.TrimLeft(string(*s), " \t")) }

func (s *listScanner) end() bool {
	s.blanks()
	return *s == ""
}

func (s *listScanner) take(c byte) bool {
	if s.end() || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

func (s *listScanner) extension() (e Extension, ok bool) {
	if e.Name, ok = s.token(); !ok {
		return e, false
	}
	for s.take(';') {
		p := Param{}
		if p.Name, ok = s.token(); !ok {
			return e, false
		}
		if p.HasValue = s.take('='); p.HasValue {
			if p.Value, ok = s.value(); !ok {
				return e, false
			}
		}
		e.Params = append(e.Params, p)
	}
	return e, true
}

// value reads a token, or one in quotes: after the quotes and backslashes are
// gone it has to be a token too.
func (s *listScanner) value() (string, bool) {
	if !s.take('"') {
		return s.token()
	}
	var b strings.Builder
	for i := 0; i < len(*s); i++ {
		c := (*s)[i]
		if c == '"' {
			*s = (*s)[i+1:]
			return b.String(), b.Len() > 0
		}
		if c == '\\' && i+1 < len(*s) {
			i++
			c = (*s)[i]
		}
		if !isTokenByte(c) {
			break
		}
		b.WriteByte(c)
	}
	return "", false
}

func (s *listScanner) token() (string, bool) {
	s.blanks()
	n := 0
	for n < len(*s) && isTokenByte((*s)[n]) {
		n++
	}
	t := string((*s)[:n])
	*s = (*s)[n:]
	return t, n > 0
}

// isTokenByte tells what a token is made of (RFC 9110 section 5.6.2).
func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
