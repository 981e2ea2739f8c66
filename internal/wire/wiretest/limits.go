package wiretest

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// limits is group 9: large messages in few and in many pieces, and those that
// are too large, which are refused when a header says so and not when they are
// there.
func limits() []Case {
	big := hail(Limit)
	var rows []Case
	for _, n := range []int{64, 256, 1 << 10, 4 << 10, Limit} {
		rows = append(rows,
			row(9, fmt.Sprintf("text of %d", n), text(hail(n)), said("pong")),
			row(9, fmt.Sprintf("16 KiB in fragments of %d", n), all(fragmented(opText, big, n)...), said("pong")),
			rowOf(9, fmt.Sprintf("16 KiB in fragments of %d, a piece each", n), fragmented(opText, big, n), said("pong")),
			row(9, fmt.Sprintf("one byte more in fragments of %d", n), all(fragmented(opText, big+" ", n)...), closed(tooBig)),
			row(9, fmt.Sprintf("one byte more of binary in fragments of %d", n), all(fragmented(opBinary, big+" ", n)...), closed(tooBig)),
			row(9, fmt.Sprintf("binary in fragments of %d", n), all(fragmented(opBinary, big, n)...), closed(unsupported)))
	}
	for _, n := range []int{64, 128, 256, 512, 1 << 10, 2 << 10, 4 << 10, 8 << 10} {
		rows = append(rows, rowOf(9, fmt.Sprintf("16 KiB in pieces of %d", n), chop(text(big), n), said("pong")))
	}
	for _, n := range []uint64{Limit + 1, 1<<16 - 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 15, 1 << 62, 1<<63 - 1} {
		rows = append(rows, row(9, fmt.Sprintf("the head of %d bytes", n), announce(n), closed(tooBig)),
			row(9, fmt.Sprintf("a fragment, then the head of %d bytes", n), all(first("{"), announceMore(n)), closed(tooBig)))
	}
	for _, n := range []uint64{1 << 63, 1<<63 + 15, 1<<64 - 1} {
		rows = append(rows, row(9, fmt.Sprintf("the head of %d bytes", n), announce(n), closed(protocol)))
	}
	rows = append(rows,
		row(9, "a last fragment that is one byte too long, its head alone", all(first(big), header(fin, 1)), closed(tooBig)),
		row(9, "an empty last fragment at the limit", all(first(big), last("")), said("pong")),
		row(9, "a ping at the limit", all(first(big), pingOf("x"), last("")), ponged("x"), said("pong")),
		row(9, "too much after what was good", all(text(big), text(big), text(big+" ")), said("pong"), said("pong"), closed(tooBig)))
	for _, n := range []int{15, 64, 256, 1 << 10} { // back and forth
		rows = append(rows, row(9, fmt.Sprintf("200 texts of %d", n), all(slices.Repeat([][]byte{text(hail(n))}, 200)...), slices.Repeat([]Answer{said("pong")}, 200)...))
	}
	return append(rows, row(9, "500 pings", all(slices.Repeat([][]byte{pingOf("x")}, 500)...), slices.Repeat([]Answer{ponged("x")}, 500)...))
}

// announce writes the header of a text of n bytes, and nothing of it.
func announce(n uint64) []byte { return announced(fin|opText, n) }

// announceMore does so with a last fragment.
func announceMore(n uint64) []byte { return announced(fin|opContinuation, n) }

func announced(first byte, n uint64) []byte {
	if n < 1<<16 {
		return header(first, int(n))
	}
	return append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, n), key[:]...)
}

// autoFragments is group 10: a message in fragments of what fits a packet.
func autoFragments() []Case {
	return []Case{
		row(10, "16 KiB in fragments of 1,300", all(fragmented(opText, hail(Limit), 1300)...), said("pong")),
		rowOf(10, "16 KiB in fragments of 1,300, a piece each", fragmented(opText, hail(Limit), 1300), said("pong")),
		rowOf(10, "16 KiB in fragments of 1,300, cut elsewhere", chop(all(fragmented(opText, hail(Limit), 1300)...), 1448), said("pong")),
	}
}
