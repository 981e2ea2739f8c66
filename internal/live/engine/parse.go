package engine

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// request is all that is read of a request, in one piece.
type request struct {
	r      http.Request
	u      url.URL
	values []string // of all fields
	body   whole
}

// reset makes it as new, but for the room that it has.
func (q *request) reset() {
	header, values := q.r.Header, q.values
	clear(header)
	clear(values[:cap(values)])
	*q = request{values: values[:0]}
	q.r.Header = header
}

// whole is a body that has come.
type whole struct {
	bytes.Reader
	b []byte
}

// Close does nothing.
func (*whole) Close() error { return nil }

// Whole gives the body, if it was not begun to be read. It is good until the
// request is answered.
func (w *whole) Whole() ([]byte, bool) { return w.b, w.Len() == len(w.b) }

// parse reads a request that was inspected: what can be wrong with one is not
// there any more, so that little is left to do. It gives what
// http.ReadRequest gives for the same bytes; nil if the target is none.
func (q *request) parse(head, body []byte) *http.Request {
	text := string(head)
	line, rest, _ := strings.Cut(text, "\r\n")
	method, target, _ := strings.Cut(line, " ")
	target = strings.TrimSuffix(target, " HTTP/1.1")
	u := &q.u
	u.Path = target
	if strings.ContainsAny(target, "?%#") {
		var err error
		if u, err = url.ParseRequestURI(target); err != nil {
			return nil
		}
	}
	n := strings.Count(rest, "\r\n")
	fields := q.r.Header
	if fields == nil {
		fields = make(http.Header, n)
	}
	r := &q.r
	*r = http.Request{
		Method: method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: fields, Body: http.NoBody, ContentLength: int64(len(body)),
	}
	if len(body) > 0 {
		q.body.b = body
		q.body.Reset(body)
		r.Body = &q.body
	}
	values := slices.Grow(q.values, n)
	for {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if len(name) == len("host") && strings.EqualFold(name, "host") {
			r.Host = value
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if old := r.Header[name]; old != nil {
			r.Header[name] = append(old, value)
			continue
		}
		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	q.values = values
	// RFC 9111 section 5.4, as net/http has it.
	if p := r.Header["Pragma"]; len(p) > 0 && p[0] == "no-cache" {
		if _, ok := r.Header["Cache-Control"]; !ok {
			r.Header["Cache-Control"] = []string{"no-cache"}
		}
	}
	return r
}
