// Package smstext turns texts into what telephone networks carry: the default
// alphabet of GSM (3GPP TS 23.038 section 6.2.1, with its extension table) where
// it has all characters, else UCS-2, and as many parts as that takes (TS 23.040
// section 9.2.3.24.1).
//
// UCS-2 is UTF-16 in practice: a character beyond the basic plane is a pair of
// units, which is never cut, nor is a character of the extension table cut off its
// escape. Nothing is lost: [Decode] gives back what [Split] was given, as far as
// that was UTF-8.
package smstext

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxParts is how many parts the header of a part can count.
const MaxParts = 255

// How much one part carries, in septets of GSM or units of UTF-16. A part of
// several loses 6 octets of 140 to the header.
const (
	wholeGSM, partGSM         = 160, 153
	wholeUnicode, partUnicode = 70, 67
)

// alphabet has the 128 characters of the default alphabet in their order. That at
// 0x1b is the escape to the extension table, which stands for itself nowhere.
const alphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

const escape = 0x1b

// extension has what follows the escape, by character.
func extension(r rune) byte {
	switch r {
	case '\f':
		return 0x0a
	case '^':
		return 0x14
	case '{':
		return 0x28
	case '}':
		return 0x29
	case '\\':
		return 0x2f
	case '[':
		return 0x3c
	case '~':
		return 0x3d
	case ']':
		return 0x3e
	case '|':
		return 0x40
	case '€':
		return 0x65
	}
	return 0
}

// gsm gives the septets of a character; n is 0 if the alphabet has none.
func gsm(r rune) (b [2]byte, n int) {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ':
		return [2]byte{byte(r)}, 1 // most texts are of these
	case r == escape:
		return b, 0
	}
	if x := extension(r); x != 0 {
		return [2]byte{escape, x}, 2
	}
	i := byte(0)
	for _, c := range alphabet {
		if c == r {
			return [2]byte{i}, 1
		}
		i++
	}
	return b, 0
}

// Text is a text as networks carry it.
type Text struct {
	// Unicode tells that it is in UCS-2, big-endian; else in the default alphabet
	// of GSM, with one septet in each octet.
	Unicode bool
	// Parts has the octets of each part, at least one, without headers.
	Parts [][]byte
}

// NeedsUnicode reports whether a text has characters that the default alphabet of
// GSM has not.
func NeedsUnicode(text string) bool {
	for _, r := range text {
		if _, n := gsm(r); n == 0 {
			return true
		}
	}
	return false
}

// Split makes the parts of a text. There may be more than MaxParts.
func Split(text string) Text { return SplitAs(text, NeedsUnicode(text)) }

// SplitAs makes the parts of a text, in UCS-2 if unicode is true. Else the text
// must have characters of the default alphabet of GSM only; others become a
// question mark.
func SplitAs(text string, unicode bool) Text {
	t := Text{Unicode: unicode}
	whole, part := limits(unicode)
	all := make([]byte, 0, len(text))
	var starts []int // of the characters, in octets of all
	for _, r := range text {
		starts = append(starts, len(all))
		all = appendRune(all, r, unicode)
	}
	if len(all) <= whole {
		t.Parts = [][]byte{all}
		return t
	}
	from := 0
	for i, at := range starts {
		next := len(all)
		if i+1 < len(starts) {
			next = starts[i+1]
		}
		if next-from > part {
			t.Parts = append(t.Parts, all[from:at:at])
			from = at
		}
	}
	t.Parts = append(t.Parts, all[from:])
	return t
}

// limits gives in octets what a text of one part and each of several may have.
func limits(unicode bool) (whole, part int) {
	if unicode {
		return 2 * wholeUnicode, 2 * partUnicode
	}
	return wholeGSM, partGSM
}

func appendRune(b []byte, r rune, unicode bool) []byte {
	if !unicode {
		septets, n := gsm(r)
		if n == 0 {
			return append(b, '?')
		}
		return append(b, septets[:n]...)
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return append(b, byte(high>>8), byte(high), byte(low>>8), byte(low))
	}
	return append(b, byte(r>>8), byte(r))
}

// Count tells how many parts a text makes, and whether it needs UCS-2.
func Count(text string) (parts int, unicode bool) {
	t := Split(text)
	return len(t.Parts), t.Unicode
}

// Shorten cuts a text to what fits into so many parts, between characters, and
// ends it with three dots, or an ellipsis where it is in UCS-2 anyway. The
// boolean tells whether it had to.
func Shorten(text string, parts int, unicode bool) (string, bool) {
	if parts < 1 || len(SplitAs(text, unicode).Parts) <= parts {
		return text, false
	}
	end := "..."
	if unicode {
		end = "…"
	}
	// The more of the text is kept, the more parts it makes: look for the most.
	var cuts []int
	for i := range text {
		cuts = append(cuts, i)
	}
	low, high := 0, len(cuts)-1
	for low < high {
		middle := (low + high + 1) / 2
		if len(SplitAs(text[:cuts[middle]]+end, unicode).Parts) <= parts {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return text[:cuts[low]] + end, true
}

// Header is the user data header of one part of several (TS 23.040 section
// 9.2.3.24.1): ref is the same in all of them, seq counts from 1.
func Header(ref, total, seq byte) []byte { return []byte{5, 0, 3, ref, total, seq} }

// Decode reads octets that are in UCS-2 or in the default alphabet of GSM. What is
// neither becomes U+FFFD; an escape before what the extension table has not is a
// blank, as TS 23.038 demands.
func Decode(b []byte, unicode bool) string {
	if unicode {
		units := make([]uint16, 0, (len(b)+1)/2)
		for ; len(b) >= 2; b = b[2:] {
			units = append(units, uint16(b[0])<<8|uint16(b[1]))
		}
		text := string(utf16.Decode(units))
		if len(b) == 1 {
			text += string(utf8.RuneError)
		}
		return text
	}
	chars := []rune(alphabet)
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] > 0x7f:
			out.WriteRune(utf8.RuneError)
		case b[i] == escape && i+1 < len(b):
			i++
			out.WriteRune(extended(b[i]))
		case b[i] == escape:
			out.WriteByte(' ')
		default:
			out.WriteRune(chars[b[i]])
		}
	}
	return out.String()
}

func extended(b byte) rune {
	for _, r := range "\f^{}\\[~]|€" {
		if extension(r) == b {
			return r
		}
	}
	return ' '
}
