package wiretest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// payloads is group 1: messages of all lengths that take another form in the
// header, and what is no frame of the session protocol.
func payloads() (rows []Case) {
	for _, n := range []int{len(hello), 65, 125, 126, 127, 128, 4095, 4096, 4097, 16383, Limit} {
		rows = append(rows, row(1, fmt.Sprintf("text of %d", n), text(hail(n)), said("pong")),
			row(1, fmt.Sprintf("binary of %d", n), blob(hail(n)), closed(unsupported)))
	}
	for _, n := range []int{Limit + 1, 65535, 65536, 65537} {
		rows = append(rows, row(1, fmt.Sprintf("text of %d", n), text(hail(n)), closed(tooBig)),
			row(1, fmt.Sprintf("binary of %d", n), blob(hail(n)), closed(tooBig)))
	}
	zero := []byte{fin | opText, 0x80 | byte(len(hello)), 0, 0, 0, 0}
	return append(rows,
		row(1, "empty text", text(""), closed(notFrame)),
		row(1, "empty binary", blob(""), closed(unsupported)),
		row(1, "text of one byte", text("*"), closed(notFrame)),
		row(1, "two texts in a packet", all(text(hello), text(hello)), said("pong"), said("pong")),
		row(1, "a text and what is none in a packet", all(text(hello), text("x"), text(hello)), said("pong"), closed(notFrame)),
		row(1, "binary, then a text and a ping in the packet", all(blob("x"), text(hello), pingOf("x")), closed(unsupported)),
		row(1, "a masking key of zero", append(zero, hello...), said("pong")),
		row(1, "a text that is not masked", append([]byte{fin | opText, byte(len(hello))}, hello...), closed(protocol)),
		row(1, "an empty text that is not masked", []byte{fin | opText, 0}, closed(protocol)),
		row(1, "a ping that is not masked", []byte{fin | opPing, 0}, closed(protocol)),
		row(1, "a close that is not masked", []byte{fin | opClose, 2, 0x03, 0xE8}, closed(protocol)),
		row(1, "a length of 15 in 16 bits", longer(fin|opText, 2, hello), closed(protocol)),
		row(1, "a length of 125 in 16 bits", longer(fin|opText, 2, hail(125)), closed(protocol)),
		row(1, "a length of 15 in 64 bits", longer(fin|opText, 8, hello), closed(protocol)),
		row(1, "a length of 16,384 in 64 bits", longer(fin|opText, 8, hail(Limit)), closed(protocol)),
	)
}

// longer writes a frame whose length takes more bytes than it must
// (RFC 6455 section 5.2).
func longer(first byte, size int, payload string) []byte {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(payload)))
	b := append([]byte{first, 0x80 | map[int]byte{2: 126, 8: 127}[size]}, length[8-size:]...)
	return append(append(b, key[:]...), masked(payload)...)
}

// pings is group 2.
func pings() (rows []Case) {
	var ten [][]byte
	var answered []Answer
	for i := range 10 {
		ten, answered = append(ten, pingOf(fmt.Sprint("ping ", i))), append(answered, ponged(fmt.Sprint("ping ", i)))
	}
	for _, p := range []string{"", "Hello", "\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF", strings.Repeat("\xFE", 124), strings.Repeat("\xFE", 125)} {
		rows = append(rows, row(2, fmt.Sprintf("ping of %d", len(p)), pingOf(p), ponged(p)))
	}
	return append(rows,
		row(2, "ping of 126", pingOf(strings.Repeat("\xFE", 126)), closed(protocol)),
		row(2, "ping of 126, its head alone", header(fin|opPing, 126)[:2], closed(protocol)),
		row(2, "ping of 65,536", header(fin|opPing, 65536), closed(protocol)),
		row(2, "pong that nobody asked for", all(pongOf(""), text(hello)), said("pong")),
		row(2, "pong with a payload", all(pongOf("unsolicited pong payload"), text(hello)), said("pong")),
		row(2, "pong, then ping", all(pongOf("unsolicited pong payload"), pingOf("ping payload")), ponged("ping payload")),
		row(2, "pong of 126", pongOf(strings.Repeat("x", 126)), closed(protocol)),
		row(2, "ten pings in a packet", all(ten...), answered...),
		rowOf(2, "ten pings", ten, answered...),
		rowOf(2, "ten pings in octets", chop(all(ten...), 1), answered...),
		row(2, "pings between texts", all(text(hello), pingOf("1"), text(hello), pingOf("2")), said("pong"), ponged("1"), said("pong"), ponged("2")),
	)
}

// reservedBits is group 3: no extension gives them a meaning here.
func reservedBits() (rows []Case) {
	names := map[byte]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}
	for bits := byte(1); bits < 8; bits++ {
		for _, op := range []byte{opText, opBinary, opClose, opPing, opPong} {
			rows = append(rows, row(3, fmt.Sprintf("reserved bits %d on %s", bits, names[op]), frame(fin|bits<<4|op, ""), closed(protocol)))
		}
		bad := frame(fin|bits<<4|opText, hello)
		rows = append(rows,
			row(3, fmt.Sprintf("reserved bits %d on a continuation", bits), all(first("{"), frame(fin|bits<<4, "}")), closed(protocol)),
			row(3, fmt.Sprintf("reserved bits %d, the first byte alone", bits), bad[:1], closed(protocol)),
			rowOf(3, fmt.Sprintf("reserved bits %d after a text and before a ping", bits), [][]byte{text(hello), bad, pingOf("")}, said("pong"), closed(protocol)),
			row(3, fmt.Sprintf("reserved bits %d after a text and before a ping, in a packet", bits), all(text(hello), bad, pingOf("")), said("pong"), closed(protocol)),
			rowOf(3, fmt.Sprintf("reserved bits %d after a text, in octets", bits), chop(all(text(hello), bad, pingOf("")), 1), said("pong"), closed(protocol)),
		)
	}
	return rows
}

// opcodes is group 4: those that RFC 6455 section 5.2 reserves.
func opcodes() (rows []Case) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		name := fmt.Sprintf("opcode %d", op)
		rows = append(rows,
			row(4, name, frame(fin|op, ""), closed(protocol)),
			row(4, name+" with a payload", frame(fin|op, "reserved"), closed(protocol)),
			row(4, name+", the first byte alone", []byte{fin | op}, closed(protocol)),
			row(4, name+" as a fragment", frame(op, "x"), closed(protocol)),
			row(4, name+" between fragments", all(first(hello[:5]), frame(fin|op, ""), last(hello[5:])), closed(protocol)),
			rowOf(4, name+" after a text and before a ping", [][]byte{text(hello), frame(fin|op, "x"), pingOf("")}, said("pong"), closed(protocol)),
			row(4, name+" after a text and before a ping, in a packet", all(text(hello), frame(fin|op, ""), pingOf("")), said("pong"), closed(protocol)),
		)
	}
	return rows
}

// fragments is group 5.
func fragments() []Case {
	a, b := hello[:6], hello[6:]
	five := [][]byte{first("fragment1"), next("fragment2"), next("fragment3"), next("fragment4"), last("fragment5")}
	rows := []Case{
		row(5, "ping in two fragments", all(frame(opPing, "fragment1"), last("fragment2")), closed(protocol)),
		row(5, "pong in two fragments", all(frame(opPong, "fragment1"), last("fragment2")), closed(protocol)),
		row(5, "close in two fragments", all(frame(opClose, "\x03"), last("\xE8")), closed(protocol)),
		row(5, "ping as a fragment, the first byte alone", []byte{opPing}, closed(protocol)),
		row(5, "text in two fragments, in a packet", all(first(a), last(b)), said("pong")),
		rowOf(5, "text in two fragments", [][]byte{first(a), last(b)}, said("pong")),
		rowOf(5, "text in two fragments, in octets", chop(all(first(a), last(b)), 1), said("pong")),
		row(5, "binary in two fragments", all(frame(opBinary, a), last(b)), closed(unsupported)),
		rowOf(5, "ping between fragments", [][]byte{first(a), pingOf("ping"), last(b)}, ponged("ping"), said("pong")),
		row(5, "ping between fragments, in a packet", all(first(a), pingOf("ping"), last(b)), ponged("ping"), said("pong")),
		rowOf(5, "ping between fragments, in octets", chop(all(first(a), pingOf("ping"), last(b)), 1), ponged("ping"), said("pong")),
		row(5, "pong between fragments", all(first(a), pongOf("pong"), last(b)), said("pong")),
		row(5, "close between fragments", all(first(a), closeOf(normal, ""), last(b)), closed(normal)),
		row(5, "pings between five fragments", all(five[0], pingOf("1"), five[1], pingOf("2"), five[2], five[3], pingOf("3"), five[4]),
			ponged("1"), ponged("2"), ponged("3"), closed(notFrame)),
		row(5, "five fragments, then a text", all(first("{"), next(`"type"`), next(":"), next(`"ping"`), last("}"), text(hello)), said("pong"), said("pong")),
		row(5, "a continuation of nothing that ends it", last("non-continuation payload"), closed(protocol)),
		row(5, "a continuation of nothing that does not", next("non-continuation payload"), closed(protocol)),
		row(5, "a continuation of nothing, the first byte alone", []byte{fin}, closed(protocol)),
		row(5, "a continuation of nothing, then a text", all(last("x"), text(hello)), closed(protocol)),
		rowOf(5, "a continuation of nothing, then a text, in octets", chop(all(last("x"), text(hello)), 1), closed(protocol)),
		row(5, "a continuation after a whole text", all(text(hello), last("x")), said("pong"), closed(protocol)),
		row(5, "a continuation after the last fragment", all(first(a), last(b), next("x")), said("pong"), closed(protocol)),
		row(5, "a continuation after a ping", all(pingOf("x"), last("x")), ponged("x"), closed(protocol)),
		row(5, "a text within a text", all(first(a), text(hello)), closed(protocol)),
		row(5, "a fragment of a text within a text", all(first(a), first(b), last("")), closed(protocol)),
		row(5, "a binary within a text", all(first(a), blob("x")), closed(protocol)),
		row(5, "a text within a text, after a ping", all(first(a), pingOf("x"), text(hello)), ponged("x"), closed(protocol)),
		row(5, "empty fragments", all(first(""), next(""), last("")), closed(notFrame)),
		row(5, "empty fragments around a text", all(first(""), next(hello), next(""), last("")), said("pong")),
		row(5, "a thousand empty fragments", all(slices.Concat([][]byte{first("")}, slices.Repeat([][]byte{next("")}, 1000), [][]byte{last(hello)})...), said("pong")),
		row(5, "an unfinished fragment, then the end", first(a)),
	}
	for n := 1; n < len(hello); n++ {
		frames := fragmented(opText, hello, n)
		rows = append(rows, row(5, fmt.Sprintf("fragments of %d", n), all(frames...), said("pong")))
		for i := 1; i < len(frames); i++ { // a control frame in each gap
			rows = append(rows, row(5, fmt.Sprintf("fragments of %d, a ping in gap %d", n, i), all(slices.Insert(slices.Clone(frames), i, pingOf("x"))...), ponged("x"), said("pong")))
		}
	}
	return rows
}
