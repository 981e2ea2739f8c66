package engine

import (
	"bytes"
	"strings"
)

// verdict is what is to be done with what a client has sent.
type verdict uint8

const (
	more    verdict = iota // there is no whole request yet
	serve                  // a request for the hot paths, whole and beyond doubt
	leaveIt                // anything else: net/http decides
)

// What a request on a loop may have. What has more is for net/http, which has
// the limits of the server.
const (
	maxHead = 16 << 10
	maxBody = 1 << 20
)

// paths are those that a Front serves itself, by method.
type paths map[string][]string

// inspect looks at what has come and decides. The rule is: a request is served
// here only if all of it is as RFC 9112 would have a client write it, so that
// nobody on the way can have read it in another way. Whatever is odd, lenient
// or rare goes to net/http as it came, and so does what is wrong: there is one
// judge of that.
func (p paths) inspect(b []byte) (v verdict, head, body int) {
	if !p.begins(b) {
		return leaveIt, 0, 0
	}
	var h fields
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			if len(b) > maxHead {
				return leaveIt, 0, 0
			}
			return more, 0, 0
		}
		line := b[at : at+end]
		if len(line) == 0 || line[len(line)-1] != '\r' || at+end >= maxHead {
			return leaveIt, 0, 0
		}
		line = line[:len(line)-1]
		first := at == 0
		at += end + 1
		switch {
		case first:
			if h.post = line[0] == 'P'; !requestLine(line) {
				return leaveIt, 0, 0
			}
		case len(line) > 0:
			if !h.add(line) {
				return leaveIt, 0, 0
			}
		case !h.complete():
			return leaveIt, 0, 0
		case len(b) < at+h.length:
			return more, at, h.length
		default:
			return serve, at, h.length
		}
	}
}

// begins reports whether bytes are the beginning of a request for one of the
// paths, as far as they have come.
func (p paths) begins(b []byte) bool {
	for method, list := range p {
		for _, path := range list {
			if hasStart(b, method, path) {
				return true
			}
		}
	}
	return false
}

func hasStart(b []byte, method, path string) bool {
	for _, part := range [...]string{method, " ", path} {
		n := min(len(b), len(part))
		if string(b[:n]) != part[:n] {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0 || b[0] == ' ' || b[0] == '?'
}

// requestLine checks what follows the method and path, which are known.
func requestLine(line []byte) bool {
	target, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok || bytes.Count(target, []byte{' '}) != 1 {
		return false
	}
	for _, c := range target {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// fields is what the fields of a head say of its framing.
type fields struct {
	post   bool
	hosts  int
	sized  bool
	length int
}

// add takes a field line, and reports whether it may be served here.
func (h *fields) add(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return false
	}
	for _, c := range line[:colon] {
		if !token[c] {
			return false
		}
	}
	for _, c := range line[colon+1:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	value := bytes.Trim(line[colon+1:], " \t")
	switch name := line[:colon]; len(name) {
	case len("host"):
		if is(name, "host") {
			h.hosts++
			return plainHost(value)
		}
	case len("expect"):
		return !is(name, "expect")
	case len("upgrade"):
		return !is(name, "upgrade") || !h.post && is(value, "websocket")
	case len("connection"):
		return !is(name, "connection") || connection(value)
	case len("content-length"):
		if is(name, "content-length") {
			return h.size(value)
		}
	case len("transfer-encoding"):
		return !is(name, "transfer-encoding")
	}
	return true
}

// size takes a Content-Length.
func (h *fields) size(value []byte) bool {
	if h.sized || !h.post || len(value) == 0 || len(value) > 7 {
		return false
	}
	h.sized = true
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		h.length = 10*h.length + int(c-'0')
	}
	return h.length <= maxBody
}

// complete reports whether the head as a whole may be served here.
func (h *fields) complete() bool { return h.hosts == 1 && h.sized == h.post }

// connection allows the options that change nothing here.
func connection(value []byte) bool {
	for option := range bytes.SplitSeq(value, []byte{','}) {
		if option = bytes.Trim(option, " \t"); !is(option, "keep-alive") && !is(option, "upgrade") {
			return false
		}
	}
	return true
}

func is(b []byte, lower string) bool {
	return len(b) == len(lower) && strings.EqualFold(string(b), lower)
}

// plainHost allows names and addresses with a port, and none of what RFC 3986
// section 3.2 has beside them.
func plainHost(b []byte) bool {
	for _, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' && c != '_' {
			return false
		}
	}
	return len(b) > 0
}

// token has the characters of a token (RFC 9110 section 5.6.2).
var token = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()
