package engine

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// parse reads a request that was inspected: what can be wrong with one is not
// there any more, so that little is left to do. It gives what
// http.ReadRequest gives for the same bytes; nil if the target is none.
func parse(head, body []byte) *http.Request {
	text := string(head)
	line, rest, _ := strings.Cut(text, "\r\n")
	method, target, _ := strings.Cut(line, " ")
	target = strings.TrimSuffix(target, " HTTP/1.1")
	u := &url.URL{Path: target}
	if strings.ContainsAny(target, "?%#") {
		var err error
		if u, err = url.ParseRequestURI(target); err != nil {
			return nil
		}
	}
	n := strings.Count(rest, "\r\n")
	r := &http.Request{
		Method: method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, n), Body: http.NoBody, ContentLength: int64(len(body)),
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	values := make([]string, 0, n) // of all fields, in one piece
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
	// RFC 9111 section 5.4, as net/http has it.
	if p := r.Header["Pragma"]; len(p) > 0 && p[0] == "no-cache" {
		if _, ok := r.Header["Cache-Control"]; !ok {
			r.Header["Cache-Control"] = []string{"no-cache"}
		}
	}
	return r
}
