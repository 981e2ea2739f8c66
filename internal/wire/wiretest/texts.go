package wiretest

import (
	"fmt"
	"slices"
)

// texts is group 6: text is UTF-8 (RFC 3629), and what is not is refused at its
// first byte, whether the frame or the message has ended or not.
func texts() (rows []Case) {
	for _, s := range goodTexts() {
		rows = append(rows,
			row(6, fmt.Sprintf("good: %+q", s), text(echo(s)), echoed(s)),
			rowOf(6, fmt.Sprintf("good, a fragment each byte: %+q", s), fragmented(opText, echo(s), 1), echoed(s)),
			rowOf(6, fmt.Sprintf("good, in octets: %+q", s), chop(text(echo(s)), 1), echoed(s)))
	}
	for _, b := range badTexts {
		rows = append(rows, badRows(b)...)
	}
	for _, s := range []string{"\xCE", "\xE2\x82", "\xF0\x9D\x84", "\xED\x9F", "\xF4\x8F\xBF"} {
		name := fmt.Sprintf("ends within a character: %+q", s)
		rows = append(rows,
			row(6, name, text(before+s), closed(invalidData)),
			row(6, name+", in a last fragment", all(first(before), last(s)), closed(invalidData)),
			row(6, name+", then an empty last fragment", all(first(before+s), last("")), closed(invalidData)),
			row(6, name+", goes on in the next message", all(text(before+s), text("\x80")), closed(invalidData)))
	}
	return append(rows,
		row(6, "an empty text in three fragments", all(first(""), next(""), last("")), closed(notFrame)),
		row(6, "an empty fragment before good text", all(first(""), next(echo("κόσμε")), last("")), echoed("κόσμε")),
		row(6, "a text that is UTF-8 and no frame", text("Hello-µ@ßöäüàá-UTF-8!!"), closed(notFrame)),
		row(6, "a text of a zero byte", text("\x00"), closed(notFrame)),
		row(6, "a ping within a character", all(first(before+"\xCE"), pingOf("\xFF"), last("\xBA"+after)), ponged("\xFF"), echoed("κ")),
		row(6, "binary that is not UTF-8", blob("\xFF"), closed(unsupported)),
		row(6, "binary in fragments that is not UTF-8", all(frame(opBinary, "\xFF"), pingOf("1"), last("\xFF")), ponged("1"), closed(unsupported)),
		row(6, "each text begins anew", all(text(echo("κ")), text(echo("ό"))), echoed("κ"), echoed("ό")),
	)
}

// badRows has a text at whose byte bad it cannot be UTF-8 any more.
func badRows(b badText) []Case {
	whole := before + b.good + b.bad + after
	until := len(before) + len(b.good) + 1 // the first byte that is wrong
	name := fmt.Sprintf("bad: %s, %+q", b.name, b.good+b.bad)
	frameUntil := text(whole)[:len(text(whole))-len(whole)+until]
	return []Case{
		row(6, name, text(whole), closed(invalidData)),
		row(6, name+", frame not finished", frameUntil, closed(invalidData)),
		rowOf(6, name+", frame not finished, in octets", chop(frameUntil, 1), closed(invalidData)),
		row(6, name+", message not finished", first(whole[:until]), closed(invalidData)),
		rowOf(6, name+", good until a fragment", [][]byte{first(whole[:until-1]), pingOf("good"), next(whole[until-1 : until])}, ponged("good"), closed(invalidData)),
		rowOf(6, name+", a fragment each byte", fragmented(opText, whole, 1), closed(invalidData)),
	}
}

// goodTexts are what Markus Kuhn's test file, the Unicode standard and
// RFC 3629 section 3 have at the edges.
func goodTexts() []string {
	list := []string{
		"Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u0080", "\u07FF", "\u0800", "\uFFFF", "\U00010000", "\U0010FFFF",
		"\x7F", "\uD7FF", "\uE000", "\uFFFD", "\uFEFFa", "日本語 𝄞 🎉", "a\u0301", "\u2028", "<&>",
	}
	// Noncharacters are characters to UTF-8 (Unicode corrigendum 9).
	for plane := rune(0); plane <= 0x10; plane++ {
		list = append(list, string([]rune{plane<<16 | 0xFFFE, plane<<16 | 0xFFFF}))
	}
	list = append(list, "\uFDD0\uFDEF")
	slices.Sort(list)
	return slices.Compact(list)
}

// badText is text that is good so far, and at the first byte of bad cannot
// become UTF-8 any more.
type badText struct{ name, good, bad string }

var badTexts = []badText{
	{"Autobahn 6.3.1", "κόσμε\xED", "\xA0\x80edited"},
	{"lone continuation 80", "", "\x80"},
	{"lone continuation BF", "", "\xBF"},
	{"two continuations", "", "\x80\xBF"},
	{"continuation after a character", "κ", "\x80"},
	{"all continuations", "", "\x80\x81\x82\x83\xBC\xBD\xBE\xBF"},
	{"C2 alone", "\xC2", " "},
	{"DF alone", "\xDF", " "},
	{"E0 alone", "\xE0", " "},
	{"EF alone", "\xEF", " "},
	{"F0 alone", "\xF0", " "},
	{"F4 alone", "\xF4", " "},
	{"F5", "", "\xF5\x80\x80\x80"},
	{"F7", "", "\xF7\xBF\xBF\xBF"},
	{"five bytes", "", "\xF8\x88\x80\x80\x80"},
	{"five bytes, the last", "", "\xFB\xBF\xBF\xBF\xBF"},
	{"six bytes", "", "\xFC\x84\x80\x80\x80\x80"},
	{"six bytes, the last", "", "\xFD\xBF\xBF\xBF\xBF\xBF"},
	{"FE", "", "\xFE"},
	{"FF", "", "\xFF"},
	{"FE FE FF FF", "", "\xFE\xFE\xFF\xFF"},
	{"last byte missing of two", "\xC3", "("},
	{"last byte missing of three", "\xE2\x82", "("},
	{"last byte missing of four", "\xF0\x9D\x84", "("},
	{"a start within three", "\xE2", "\xC3\xA9"},
	{"a start within four", "\xF0\x9D", "\xE2\x82\xAC"},
	{"incomplete after incomplete", "\xE2\x82", "\xE2\x82"},
	{"overlong slash of two", "", "\xC0\xAF"},
	{"overlong slash of three", "\xE0", "\x80\xAF"},
	{"overlong slash of four", "\xF0", "\x80\x80\xAF"},
	{"overlong slash of five", "", "\xF8\x80\x80\x80\xAF"},
	{"overlong slash of six", "", "\xFC\x80\x80\x80\x80\xAF"},
	{"overlong 7F", "", "\xC1\xBF"},
	{"overlong 7FF", "\xE0", "\x9F\xBF"},
	{"overlong FFFF", "\xF0", "\x8F\xBF\xBF"},
	{"overlong 1FFFFF", "", "\xF8\x87\xBF\xBF\xBF"},
	{"overlong zero of two", "", "\xC0\x80"},
	{"overlong zero of three", "\xE0", "\x80\x80"},
	{"overlong zero of four", "\xF0", "\x80\x80\x80"},
	{"surrogate D800", "\xED", "\xA0\x80"},
	{"surrogate DB7F", "\xED", "\xAD\xBF"},
	{"surrogate DBFF", "\xED", "\xAF\xBF"},
	{"surrogate DC00", "\xED", "\xB0\x80"},
	{"surrogate DFFF", "\xED", "\xBF\xBF"},
	{"a pair of surrogates", "\xED", "\xA0\x80\xED\xB0\x80"},
	{"past U+10FFFF", "\xF4", "\x90\x80\x80"},
	{"good for long, then bad", "Hello-µ@ßöäüàá-UTF-8!! κόσμε 日本語", "\xC0"},
}
