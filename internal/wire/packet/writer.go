package packet

import "encoding/binary"

// begin writes the fixed header of a packet and leaves room for the remaining
// length, which is expected to be about guess. at is where that room is.
func begin(b []byte, t Type, flags byte, guess int) (out []byte, at int) {
	b = append(b, byte(t)<<4|flags)
	at = len(b)
	return append(b, make([]byte, varintLen(guess))...), at
}

// finish writes a length at a place for which a guess left room bytes: what
// follows moves if the guess was wrong.
func finish(b []byte, at, room int) []byte {
	size := len(b) - at - room
	if need := varintLen(size); need != room {
		if need > room {
			b = append(b, make([]byte, need-room)...)
		}
		copy(b[at+need:], b[at+room:at+room+size])
		b = b[:at+need+size]
	}
	appendVarint(b[:at], uint32(size))
	return b
}

// single writes a packet whose remaining length is below 128.
func single(b []byte, t Type, flags byte, body ...byte) []byte {
	return append(append(b, byte(t)<<4|flags, byte(len(body))), body...)
}

func varintLen(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func appendUint16(b []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(b, n) }
func appendUint32(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }

// appendString writes text or binary data with its length in front. What is too
// long for that is cut: nobody who checks what he sends gets there.
func appendString[T string | []byte](b []byte, s T) []byte {
	if len(s) > 0xFFFF {
		s = s[:0xFFFF]
	}
	return append(appendUint16(b, uint16(len(s))), s...)
}
