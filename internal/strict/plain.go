package strict

import (
	"encoding/json"
	"unicode/utf8"
)

// Plain reads JSON that is written plainly, once and without reflection, for
// calls that come so often that [Decode] costs too much. It takes less than
// [Decode] does and never more: what it does not know it refuses without saying
// why, and Decode is asked. What it takes Decode takes
// too, with the same values; tests of those who use it hold it to that.
//
// Its methods read the value that comes next; after a refusal they give nothing,
// and [Plain.Done] says so.
type Plain struct {
	b   []byte
	at  int
	bad bool
}

// NewPlain begins to read a body.
func NewPlain(body []byte) Plain { return Plain{b: body, bad: !utf8.Valid(body)} }

// Refuse gives the body up.
func (p *Plain) Refuse() { p.bad = true }

// Done reports whether the body was read to its end, and all of it was plain.
func (p *Plain) Done() bool {
	p.space()
	return !p.bad && p.at == len(p.b)
}

func (p *Plain) space() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\t' || p.b[p.at] == '\n' || p.b[p.at] == '\r') {
		p.at++
	}
}

// Next tells the first byte of the value that comes next; 0 if there is none.
func (p *Plain) Next() byte {
	p.space()
	if p.bad || p.at >= len(p.b) {
		p.bad = true
		return 0
	}
	return p.b[p.at]
}

// take moves past a byte, if it is the one that comes next.
func (p *Plain) take(c byte) bool {
	if p.Next() != c || p.bad {
		return false
	}
	p.at++
	return true
}

func (p *Plain) must(c byte) {
	if !p.take(c) {
		p.bad = true
	}
}

// item moves to the i-th item of what is open, and reports whether there is one.
func (p *Plain) item(i int, open, end byte) bool {
	if i == 0 {
		p.must(open)
	}
	if p.take(end) || p.bad {
		return false
	}
	if i > 0 {
		p.must(',')
	}
	return !p.bad
}

// Member moves to the i-th member of an object, from 0, and gives its name;
// false when there is none, and the object is over. That no name occurs twice is
// for the caller to see.
func (p *Plain) Member(i int) (name []byte, ok bool) {
	if !p.item(i, '{', '}') {
		return nil, false
	}
	name, escaped := p.text()
	p.must(':')
	p.bad = p.bad || escaped
	return name, !p.bad
}

// Element moves to the i-th element of an array, from 0; false when there is
// none, and the array is over.
func (p *Plain) Element(i int) bool { return p.item(i, '[', ']') }

// text reads what stands between quotes, as a part of the body, and whether
// there are escapes in it, which are checked.
func (p *Plain) text() (b []byte, escaped bool) {
	p.must('"')
	from := p.at
	for ; p.at < len(p.b) && !p.bad; p.at++ {
		switch c := p.b[p.at]; {
		case c == '"':
			p.at++
			if raw := p.b[from-1 : p.at]; escaped && (halfPair(raw) != nil || !json.Valid(raw)) {
				p.bad = true
			}
			return p.b[from : p.at-1], escaped
		case c == '\\':
			escaped = true
			p.at++
		case c < ' ':
			p.bad = true
		}
	}
	p.bad = true
	return nil, false
}

// Text reads a string.
func (p *Plain) Text() (s string) {
	b, escaped := p.text()
	if !escaped || p.bad {
		return string(b)
	}
	p.bad = json.Unmarshal(p.b[p.at-len(b)-2:p.at], &s) != nil
	return s
}

// Int reads a whole number of up to 18 digits.
func (p *Plain) Int() int64 {
	negative := p.take('-')
	from, n := p.at, int64(0)
	for ; p.at < len(p.b) && p.b[p.at] >= '0' && p.b[p.at] <= '9'; p.at++ {
		n = 10*n + int64(p.b[p.at]-'0')
		if p.at-from >= 18 {
			p.bad = true
			return 0
		}
	}
	digits := p.at - from
	switch {
	case digits == 0, digits > 1 && p.b[from] == '0', negative && n == 0, !p.ends():
		p.bad = true
		return 0
	case negative:
		return -n
	}
	return n
}

// ends reports whether a number or a word ends here.
func (p *Plain) ends() bool {
	if p.at == len(p.b) {
		return true
	}
	switch p.b[p.at] {
	case ',', ']', '}', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

func (p *Plain) word(w string) bool {
	if len(p.b)-p.at < len(w) || string(p.b[p.at:p.at+len(w)]) != w {
		return false
	}
	p.at += len(w)
	return p.ends()
}

// Bool reads true or false.
func (p *Plain) Bool() bool {
	switch p.Next() {
	case 't':
		p.bad = p.bad || !p.word("true")
		return !p.bad
	case 'f':
		p.bad = p.bad || !p.word("false")
	default:
		p.bad = true
	}
	return false
}

// Bounds of free-form JSON that is plain.
const (
	plainDepth = 16
	plainNames = 16 // in one object
)

// Free reads a value of any form but null. It is a part of the body.
func (p *Plain) Free() []byte {
	if p.Next() == 'n' {
		p.bad = true
	}
	from := p.at
	p.free(0)
	if p.bad {
		return nil
	}
	return p.b[from:p.at:p.at]
}

func (p *Plain) free(depth int) {
	if depth == plainDepth {
		p.bad = true
	}
	switch c := p.Next(); {
	case p.bad:
	case c == '{':
		var names [plainNames][]byte
		for i := 0; ; i++ {
			name, ok := p.Member(i)
			if !ok {
				return
			}
			if i == plainNames {
				p.bad = true
				return
			}
			for _, other := range names[:i] {
				if string(other) == string(name) {
					p.bad = true
					return
				}
			}
			names[i] = name
			p.free(depth + 1)
		}
	case c == '[':
		for i := 0; p.Element(i); i++ {
			p.free(depth + 1)
		}
	case c == '"':
		p.text()
	case c == 't':
		p.bad = !p.word("true")
	case c == 'f':
		p.bad = !p.word("false")
	case c == 'n':
		p.bad = !p.word("null")
	default:
		p.number()
	}
}

// number moves past a number (RFC 8259, section 6).
func (p *Plain) number() {
	if p.b[p.at] == '-' {
		p.at++
	}
	if from := p.at; p.digits() == 0 || p.b[from] == '0' && p.at > from+1 {
		p.bad = true
		return
	}
	if p.at < len(p.b) && p.b[p.at] == '.' {
		if p.at++; p.digits() == 0 {
			p.bad = true
		}
	}
	if p.at < len(p.b) && (p.b[p.at] == 'e' || p.b[p.at] == 'E') {
		if p.at++; p.at < len(p.b) && (p.b[p.at] == '+' || p.b[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			p.bad = true
		}
	}
	p.bad = p.bad || !p.ends()
}

func (p *Plain) digits() int {
	from := p.at
	for p.at < len(p.b) && p.b[p.at] >= '0' && p.b[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}
