package wiretest

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
)

// What a client offers that wants permessage-deflate (RFC 7692), and what the
// server agrees to: it keeps no context, and lets nobody keep one.
const (
	offer = "permessage-deflate"
	agree = offer + "; server_no_context_takeover; client_no_context_takeover"
)

// emptyBlock is what a sender leaves out at the end (RFC 7692 section 7.2.1).
const emptyBlock = "\x00\x00\xFF\xFF"

// deflate compresses messages with one window for all of them, so that the
// second may refer to the first.
func deflate(level int, messages ...string) (data []string) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	for _, m := range messages {
		if err == nil {
			_, err = io.WriteString(w, m)
		}
		if err == nil {
			err = w.Flush()
		}
		data = append(data, strings.TrimSuffix(out.String(), emptyBlock))
		out.Reset()
	}
	if err != nil { // a level that does not exist
		panic(err)
	}
	return data
}

func deflated(message string) string { return deflate(flate.BestCompression, message)[0] }

// inflate decompresses what the server sends, on its own.
func inflate(data []byte) ([]byte, error) {
	r := flate.NewReader(io.MultiReader(bytes.NewReader(data), strings.NewReader(emptyBlock+"\x01\x00\x00\xFF\xFF")))
	return io.ReadAll(io.LimitReader(r, 1<<20))
}

// final compresses a message into a stream that ends (section 7.2.3.4).
func final(message string) string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		_, err = io.WriteString(w, message)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return out.String()
}

// stored writes blocks without compression (RFC 1951 section 3.2.4), and the
// byte with which the empty block begins.
func stored(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		n := uint16(len(m))
		b.Write([]byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)})
		b.WriteString(m)
	}
	return b.String() + "\x00"
}

func squeezed(data string) []byte { return frame(fin|rsv1|opText, data) }

// squeezedIn makes a compressed message of fragments of n bytes: only the
// first says that it is compressed.
func squeezedIn(data string, n int) [][]byte {
	frames := fragmented(opText, data, n)
	frames[0][0] |= rsv1
	return frames
}

// with makes a row of a session that agreed to compression.
func with(group int, name string, send []byte, want ...Answer) Case {
	c := row(group, name, send, want...)
	c.Offer, c.Agree = offer, agree
	return c
}

// compressed is group 12: what goes there and back compressed, by size, kind
// of text and fragments; and what cannot be decompressed.
func compressed() (rows []Case) {
	kinds := []struct{ name, letters string }{
		{"JSON", `{\"id\":245870126268416001,\"name\":\"Größe\",\"tags\":[\"a\",\"b\"]},`},
		{"prose", "Habe nun, ach! Philosophie, Juristerei und Medizin, und leider auch Theologie durchaus studiert. "},
		{"one letter", "*"},
		{"four letters", noise(2003, "ACGT")},
		{"many letters", noise(2003, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-")},
	}
	for _, k := range kinds {
		for _, n := range []int{128, 512, 1 << 10, 4 << 10, 8 << 10, Limit - 1, Limit} {
			whole, data := publication(n, k.letters)
			rows = append(rows,
				exchange(fmt.Sprintf("%s of %d", k.name, n), squeezed(deflated(whole)), k.name, data),
				exchange(fmt.Sprintf("%s of %d in fragments", k.name, n), all(squeezedIn(deflated(whole), max(1, len(deflated(whole))/7))...), k.name, data),
				exchange(fmt.Sprintf("%s of %d, not compressed", k.name, n), text(whole), k.name, data))
		}
	}
	return append(append(rows, deflateRules()...), deflateGarbage()...)
}

// noise is text in which little comes twice, the same in every run.
func noise(n int, letters string) string {
	b, state := make([]byte, n), uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = letters[int(state>>16)%len(letters)]
	}
	return string(b)
}

// exchange sends a publication four times and wants it back as often.
func exchange(name string, message []byte, kind, data string) Case {
	plain := strings.ReplaceAll(data, `\"`, `"`)
	back := Answer{op: opText, kind: "topic", data: plain, squeezed: len(data) >= 256}
	return with(12, name, all(text(echo(kind)), message, message, message, message), echoed(kind), back, back, back, back)
}

// deflateRules is what RFC 7692 sections 6 and 7.2 allow a sender.
func deflateRules() (rows []Case) {
	a, b := hello[:6], hello[6:]
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		rows = append(rows, with(12, fmt.Sprintf("level %d", level), squeezed(deflate(level, hail(200))[0]), said("pong")))
	}
	octets := squeezedIn(deflated(hello), 1)
	return append(rows,
		with(12, "a block without compression", squeezed(stored(hello)), said("pong")),
		with(12, "two blocks without compression", squeezed(stored(a, b)), said("pong")),
		with(12, "a hundred empty blocks", squeezed(strings.Repeat("\x00\x00\x00\xFF\xFF", 100)+stored(hello)), said("pong")),
		with(12, "a final block", squeezed(final(hello)), said("pong")),
		with(12, "a final block, then a byte of padding", squeezed(final(hello)+"\x00"), said("pong")),
		with(12, "blocks after a final block", squeezed(final(a)+deflated(b)), said("pong")),
		with(12, "two final blocks", squeezed(final(a)+final(b)), said("pong")),
		with(12, "not compressed, after the agreement", text(hello), said("pong")),
		with(12, "compressed or not, in turns", all(squeezed(deflated(hello)), text(hello), squeezed(deflated(hello))), said("pong"), said("pong"), said("pong")),
		with(12, "a fragment each byte", all(octets...), said("pong")),
		Case{Group: 12, Name: "a fragment each byte, in octets", Offer: offer, Agree: agree, Send: chop(all(octets...), 1), Want: []Answer{said("pong")}},
		with(12, "empty fragments", all(frame(rsv1|opText, ""), next(deflated(hello)), next(""), last("")), said("pong")),
		with(12, "a ping between fragments", all(octets[0], pingOf("x"), all(octets[1:]...)), ponged("x"), said("pong")),
		with(12, "an empty text", squeezed("\x00"), closed(notFrame)),
		with(12, "binary", frame(fin|rsv1|opBinary, deflated(hello)), closed(unsupported)),
		with(12, "data that is not UTF-8 before it is decompressed", squeezed(stored(hello)), said("pong")),
		with(12, "16 KiB", squeezed(deflated(hail(Limit))), said("pong")),
		with(12, "16 KiB that do not get smaller", squeezed(stored(hail(Limit))), said("pong")),
		with(12, "two messages, each with a window of its own", all(squeezed(deflated(hello)), squeezed(deflated(hello))), said("pong"), said("pong")),
	)
}

// deflateGarbage is what ends the connection.
func deflateGarbage() (rows []Case) {
	inTurn := deflate(flate.BestCompression, hail(300), hail(300))
	bomb := deflated(strings.Repeat(" ", 16<<20))
	octets := squeezedIn(deflated(hello), 1)
	octets[1][0] |= rsv1
	for i := 2; i < len(stored(hello))-1; i++ { // a block that says it has more
		rows = append(rows, with(12, fmt.Sprintf("a block without compression, cut at %d", i), squeezed(stored(hello)[:i]), closed(invalidData)))
	}
	for _, op := range []byte{opPing, opPong, opClose} {
		rows = append(rows, with(12, fmt.Sprintf("a compressed control frame, opcode %d", op), frame(fin|rsv1|op, ""), closed(protocol)))
	}
	return append(rows,
		with(12, "a window from the message before", all(squeezed(inTurn[0]), squeezed(inTurn[1])), said("pong"), closed(invalidData)),
		with(12, "a window from before a final block", squeezed(final(hail(300))+inTurn[1]), closed(invalidData)),
		with(12, "no data", squeezed(""), closed(invalidData)),
		with(12, "a reserved kind of block", squeezed("\x06\x00"), closed(invalidData)),
		with(12, "a length that contradicts itself", squeezed("\x00\x05\x00\xFA\xFE\x48\x65\x6C\x6C\x6F\x00"), closed(invalidData)),
		with(12, "noise", squeezed(noise(999, "\xFF\xA7\x13\x66\x00")), closed(invalidData)),
		with(12, "good data after bad", all(squeezed("\x06\x00"), squeezed(deflated(hello))), closed(invalidData)),
		with(12, "a bomb of 16 MiB", squeezed(bomb), closed(tooBig)),
		with(12, "a bomb in fragments of 100", all(squeezedIn(bomb, 100)...), closed(tooBig)),
		with(12, "a bomb after a final block", squeezed(final(hello)+bomb[:4096]), closed(tooBig)),
		with(12, "a bomb of many final blocks", squeezed(strings.Repeat(final(strings.Repeat(" ", 2<<10)), 9)), closed(tooBig)),
		with(12, "one byte more than 16 KiB", squeezed(deflated(hail(Limit)+" ")), closed(tooBig)),
		with(12, "too much before it is decompressed", squeezed(strings.Repeat("\x00\x00\x00\xFF\xFF", 4000)), closed(tooBig)),
		with(12, "the head of too much", announced(fin|rsv1|opText, Limit*2), closed(tooBig)),
		with(12, "too much that is not compressed", text(hail(Limit+1)), closed(tooBig)),
		with(12, "a second frame that says it is compressed", all(octets...), closed(protocol)),
		with(12, "the second frame of what is not compressed says it is", all(first("{"), frame(fin|rsv1, "}")), closed(protocol)),
		with(12, "reserved bit 2", frame(fin|0x20|opText, hello), closed(protocol)),
		with(12, "reserved bits 1 and 3", frame(fin|rsv1|0x10|opText, deflated(hello)), closed(protocol)),
		with(12, "not UTF-8", squeezed(deflated(before+"\xFF"+after)), closed(invalidData)),
		with(12, "not UTF-8 that is not compressed", first(before+"\xFF"), closed(invalidData)),
		with(12, "ends within a character", squeezed(deflated(before+"\xCE")), closed(invalidData)),
		row(12, "compression that was not agreed", squeezed(deflated(hello)), closed(protocol)),
	)
}

// offers is group 13: what a client may ask for in the opening handshake, and
// one exchange after it.
func offers() (rows []Case) {
	plain, whole15 := "", agree+"; server_max_window_bits=15"
	type deal struct{ offer, agree string }
	deals := []deal{
		{offer, agree},
		{offer + "; server_no_context_takeover", agree},
		{offer + "; client_no_context_takeover", agree},
		{offer + "; server_no_context_takeover; client_no_context_takeover", agree},
		{offer + "; client_max_window_bits", agree},
		{offer + "; client_max_window_bits; server_no_context_takeover", agree},
		{offer + "; server_max_window_bits=15", whole15},
		{offer + `; server_max_window_bits="15"; client_max_window_bits="9"`, whole15},
		{offer + "; server_max_window_bits", plain},
		{offer + "; server_max_window_bits=7", plain},
		{offer + "; server_max_window_bits=16", plain},
		{offer + "; server_max_window_bits=015", plain},
		{offer + "; client_max_window_bits=7", plain},
		{offer + "; client_max_window_bits=16", plain},
		{offer + "; client_max_window_bits=x", plain},
		{offer + "; client_max_window_bits; client_max_window_bits", plain},
		{offer + "; server_no_context_takeover=1", plain},
		{offer + "; client_no_context_takeover=0", plain},
		{offer + "; unknown", plain},
		{offer + "; unknown=1", plain},
		{"permessage-bzip2", plain},
		{"x-webkit-deflate-frame", plain},
		{"Permessage-Deflate", plain},
		{"permessage-bzip2, " + offer, agree},
		{offer + "; server_max_window_bits=10, " + offer, agree},
		{offer + "; unknown, " + offer + "; server_max_window_bits=15", whole15},
		{offer + "; server_max_window_bits=8, " + offer + "; server_max_window_bits=9", plain},
		{offer + ", " + offer + "; server_max_window_bits=15", agree},
		{" , " + offer + " ;client_max_window_bits , ", agree},
	}
	for bits := 8; bits <= 14; bits++ {
		deals = append(deals, deal{fmt.Sprintf("%s; client_max_window_bits=%d", offer, bits), agree},
			deal{fmt.Sprintf("%s; server_max_window_bits=%d", offer, bits), plain})
	}
	message, data := publication(2<<10, "Habe nun, ach! ")
	for _, d := range deals {
		short, long := text(hello), text(message)
		if d.agree != "" {
			short, long = squeezed(deflated(hello)), squeezed(deflated(message))
		}
		c := row(13, d.offer, all(short, text(echo("x")), long), said("pong"), echoed("x"),
			Answer{op: opText, kind: "topic", data: data, squeezed: d.agree != ""})
		c.Offer, c.Agree = d.offer, d.agree
		rows = append(rows, c)
		if d.agree == "" {
			c := row(13, d.offer+": compressed nevertheless", squeezed(deflated(hello)), closed(protocol))
			c.Offer = d.offer
			rows = append(rows, c)
		}
	}
	for _, bad := range []string{offer + ";", "; " + offer, offer + "; =1", offer + "; client_max_window_bits=", offer + `; client_max_window_bits="9`, offer + " permessage", "\"" + offer + "\""} {
		rows = append(rows, Case{Group: 13, Name: bad, Offer: bad, Refused: 400})
	}
	return rows
}
