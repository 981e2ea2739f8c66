package wiretest

import (
	"fmt"
	"strings"
)

// closes is group 7: the code of the client comes back, once, and what follows
// it is not looked at.
func closes() []Case {
	bye := closeOf(normal, "")
	rows := []Case{
		row(7, "a text, then a close", all(text(hello), bye), said("pong"), closed(normal)),
		row(7, "two closes", all(bye, bye), closed(normal)),
		row(7, "two closes with other codes", all(closeOf(3001, ""), bye), closed(3001)),
		row(7, "a ping after the close", all(bye, pingOf("x")), closed(normal)),
		row(7, "a text after the close", all(bye, text(hello)), closed(normal)),
		row(7, "garbage after the close", all(bye, []byte(strings.Repeat("\xFF", 4096))), closed(normal)),
		row(7, "a fragment, a close, the last fragment", all(first(hello[:5]), bye, last(hello[5:])), closed(normal)),
		row(7, "256 KiB of text, a close, a ping", all(text(hail(256<<10)), bye, pingOf("x")), closed(tooBig)),
		row(7, "a text after what breaks the protocol", all([]byte{fin | 0x3, 0x80, 0, 0, 0, 0}, text(hello), bye), closed(protocol)),
		rowOf(7, "a close in octets", chop(closeOf(3000, "κόσμε"), 1), closed(3000)),

		row(7, "no code", frame(fin|opClose, ""), closed(noStatus)),
		row(7, "half a code", frame(fin|opClose, "\x03"), closed(protocol)),
		row(7, "half a code that would be good", frame(fin|opClose, "\x0B"), closed(protocol)),
		row(7, "a reason in UTF-8", closeOf(normal, "κόσμε"), closed(normal)),
		row(7, "a close of 126", frame(fin|opClose, strings.Repeat("\x03\xE8", 63)), closed(protocol)),
		row(7, "a close of 126, its head alone", header(fin|opClose, 126)[:2], closed(protocol)),
		row(7, "a bad code and a bad reason", closeOf(999, "\xFF"), closed(protocol)),
	}
	for n := 0; n <= 123; n++ {
		rows = append(rows, row(7, fmt.Sprintf("a reason of %d", n), closeOf(normal, strings.Repeat("*", n)), closed(normal)))
	}
	for _, n := range []int{124, 125, 126, 1000} {
		rows = append(rows, row(7, fmt.Sprintf("a reason of %d", n), closeOf(normal, strings.Repeat("*", n)), closed(protocol)))
	}
	for _, b := range badTexts {
		if reason := b.good + b.bad; len(reason) <= 123 {
			rows = append(rows, row(7, fmt.Sprintf("a reason that is not UTF-8: %s", b.name), closeOf(normal, reason), closed(invalidData)))
		}
	}
	for _, s := range []string{"\xCE", "κόσμε\xE2\x82", strings.Repeat("*", 122) + "\xF0"} {
		rows = append(rows, row(7, fmt.Sprintf("a reason that ends within a character: %+q", s), closeOf(normal, s), closed(invalidData)))
	}
	for _, code := range goodCodes() {
		rows = append(rows, row(7, fmt.Sprintf("code %d", code), closeOf(code, ""), closed(code)),
			row(7, fmt.Sprintf("code %d with a reason", code), closeOf(code, "because"), closed(code)))
	}
	for _, code := range badCodes() {
		rows = append(rows, row(7, fmt.Sprintf("code %d", code), closeOf(code, ""), closed(protocol)),
			row(7, fmt.Sprintf("code %d with a reason", code), closeOf(code, "because"), closed(protocol)))
	}
	return rows
}

// GoodCode reports whether a close code may stand in a frame: it is defined
// for that by RFC 6455 section 7.4.1 or in the registry of IANA, or it is of a
// library (3000 to 3999) or of an application (4000 to 4999).
func GoodCode(code int) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code >= 3000 && code < 5000
}

// The codes at the edges; every code goes through [GoodCode] elsewhere.
func goodCodes() []int {
	return []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4008, 4013, 4999}
}

func badCodes() []int {
	return []int{0, 1, 125, 126, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 9999, 32768, 65535}
}
