package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// utf8Check checks UTF-8 (RFC 3629) that comes in pieces, cut anywhere, and
// fails at the first byte that cannot be right. The zero value is between two
// characters.
type utf8Check struct {
	need   uint8 // continuation bytes still to come
	lo, hi uint8 // what the next of them must lie in
}

// write takes the next bytes and reports whether the text can still be valid.
func (u *utf8Check) write(b []byte) bool {
	for len(b) > 0 {
		if u.need == 0 {
			b = skipASCII(b)
			if len(b) == 0 {
				return true
			}
			if !u.begin(b[0]) {
				return false
			}
			b = b[1:]
			continue
		}
		if b[0] < u.lo || b[0] > u.hi {
			return false
		}
		u.lo, u.hi = 0x80, 0xBF
		u.need--
		b = b[1:]
	}
	return true
}

// complete reports whether the text ends between two characters.
func (u *utf8Check) complete() bool { return u.need == 0 }

// begin takes the first byte of a character. The bounds of the second byte
// exclude overlong forms, surrogates and what is past U+10FFFF.
func (u *utf8Check) begin(c byte) bool {
	u.lo, u.hi = 0x80, 0xBF
	switch {
	case c < 0x80:
		return true
	case c < 0xC2 || c > 0xF4:
		return false
	case c < 0xE0:
		u.need = 1
	case c < 0xF0:
		u.need = 2
		switch c {
		case 0xE0:
			u.lo = 0xA0
		case 0xED:
			u.hi = 0x9F
		}
	default:
		u.need = 3
		switch c {
		case 0xF0:
			u.lo = 0x90
		case 0xF4:
			u.hi = 0x8F
		}
	}
	return true
}

func skipASCII(b []byte) []byte {
	for len(b) >= 8 && binary.LittleEndian.Uint64(b)&0x8080808080808080 == 0 {
		b = b[8:]
	}
	for len(b) > 0 && b[0] < 0x80 {
		b = b[1:]
	}
	return b
}

func validText(s string) bool { return utf8.ValidString(s) }

// cutText shortens a text to at most n bytes without cutting a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
