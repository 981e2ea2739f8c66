// Package wire holds the framings that several transports share. It knows
// bytes only: no sockets, no sessions.
//
// WebSocket (RFC 6455) is read by a [Parser], which is fed whatever came from
// the socket, cut anywhere, and written by the Append functions. The only
// extension is permessage-deflate (RFC 7692), without context takeover.
package wire

import "encoding/binary"

// Opcode is the kind of a WebSocket frame (RFC 6455 section 5.2).
type Opcode byte

// The opcodes.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether frames of the kind are control frames: short, and
// allowed between the fragments of a message.
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

func (o Opcode) known() bool { return o <= Binary || o >= Close && o <= Pong }

// Close codes (RFC 6455 section 7.4.1) that a server gives.
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003 // a kind of data that this endpoint does not take
	CloseNoStatus    = 1005 // never on the wire: the close frame had no code
	CloseInvalidData = 1007 // text that is not UTF-8, or what cannot be decompressed
	CloseTooBig      = 1009
)

// MaxControl is the most that a control frame carries (RFC 6455 section 5.5).
const MaxControl = 125

const (
	finBit  = 0x80
	rsvBits = 0x70
	rsv1Bit = 0x40 // a compressed message (RFC 7692 section 6)
	maskBit = 0x80
)

// AppendFrame writes a whole message as one frame of a server, which are not
// masked (RFC 6455 section 5.1).
func AppendFrame(b []byte, op Opcode, payload []byte) []byte {
	return append(appendHeader(b, finBit|byte(op), 0, len(payload)), payload...)
}

// HeadRoom is how much room a frame of a server needs before its payload at most.
const HeadRoom = 10

// FrameInPlace makes b[HeadRoom:] the payload of a message in one frame of a
// server, whose head it writes into the room before it. b is the caller's no more.
func FrameInPlace(op Opcode, b []byte) []byte {
	var room [HeadRoom]byte
	head := appendHeader(room[:0], finBit|byte(op), 0, len(b)-HeadRoom)
	b = b[HeadRoom-len(head):]
	copy(b, head)
	return b
}

// AppendClose writes a close frame. Code 0 and [CloseNoStatus] write one
// without a code. The text is cut to what fits, at the end of a character.
func AppendClose(b []byte, code int, text string) []byte {
	if code == 0 || code == CloseNoStatus {
		return AppendFrame(b, Close, nil)
	}
	if text = cutText(text, MaxControl-2); !validText(text) {
		text = ""
	}
	b = appendHeader(b, finBit|byte(Close), 0, 2+len(text))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, text...)
}

// AppendMasked writes one frame of a client: masked with the key, with the FIN
// bit or as a fragment.
func AppendMasked(b []byte, fin bool, op Opcode, key [4]byte, payload []byte) []byte {
	first := byte(op)
	if fin {
		first |= finBit
	}
	b = appendHeader(b, first, maskBit, len(payload))
	b = append(b, key[:]...)
	at := len(b)
	b = append(b, payload...)
	mask(b[at:], key, 0)
	return b
}

// appendHeader writes the first bytes of a frame; the length takes the fewest
// bytes that it fits in, as RFC 6455 section 5.2 demands.
func appendHeader(b []byte, first, masked byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, first, masked|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, first, masked|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, first, masked|127), uint64(n))
	}
}

// mask applies the masking key (RFC 6455 section 5.3) to bytes that begin at
// an offset of the payload, and gives the offset after them, modulo 4.
func mask(b []byte, key [4]byte, offset int) int {
	end := (offset + len(b)) & 3
	// Eight bytes at a time once the key is turned to the offset.
	var k [8]byte
	for i := range k {
		k[i] = key[(offset+i)&3]
	}
	word := binary.LittleEndian.Uint64(k[:])
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= k[i]
	}
	return end
}

// validCloseCode reports whether a code may come over the wire: those that
// RFC 6455 section 7.4 and the IANA registry define for that, and the ranges
// for libraries and applications.
func validCloseCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
