package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Kind tells the two sequences of messages that a client may get.
type Kind byte

// The kinds.
const (
	Broadcast Kind = 'b'
	Unicast   Kind = 'u'
)

// Mark is what a payload says of itself.
type Mark struct {
	Kind   Kind
	Stream uint32 // the client of a unicast
	Seq    uint32 // counts from 1
	Sent   int64  // Unix time in nanoseconds
}

// A mark in a payload: the sign, the kind, the length of all, then stream,
// sequence number and time, filling, and the CRC of what stands before it.
// Numbers are hexadecimal, so that the payload is a JSON string as it is.
const (
	sign       = "~HM1"
	markHead   = len(sign) + 1 + 4 + 8 + 8 + 16
	markTail   = 8
	MinPayload = 2 + markHead + markTail // the least bytes of a payload
	MaxPayload = 1 << 14
)

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, hexDigits[v>>(4*i)&15])
	}
	return b
}

// Append writes a payload of size bytes, a JSON string with its quotes.
func (m Mark) Append(b []byte, size int) []byte {
	size = min(max(size, MinPayload), MaxPayload)
	b = append(b, '"')
	begin := len(b)
	b = append(b, sign...)
	b = append(b, byte(m.Kind))
	b = appendHex(b, uint64(size), 4)
	b = appendHex(b, uint64(m.Stream), 8)
	b = appendHex(b, uint64(m.Seq), 8)
	b = appendHex(b, uint64(m.Sent), 16)
	for i := len(b) - begin; i < size-2-markTail; i++ {
		b = append(b, 'a'+byte(i%26))
	}
	b = appendHex(b, uint64(crc32.ChecksumIEEE(b[begin:])), markTail)
	return append(b, '"')
}

var errDamaged = errors.New("a payload is damaged")

// Find reads the first mark in what a client got, and gives what follows it;
// ok is false if there is none.
func Find(b []byte) (m Mark, rest []byte, ok bool, err error) {
	at := bytes.Index(b, []byte(sign))
	if at < 0 {
		return m, nil, false, nil
	}
	b = b[at:]
	if len(b) < markHead {
		return m, nil, true, errDamaged
	}
	f := fields{b: b[len(sign)+1:]}
	m.Kind = Kind(b[len(sign)])
	size := int(f.next(4)) - 2
	m.Stream, m.Seq, m.Sent = uint32(f.next(8)), uint32(f.next(8)), int64(f.next(16))
	if f.bad || size < markHead+markTail || size > len(b) {
		return m, nil, true, errDamaged
	}
	want, err := strconv.ParseUint(string(b[size-markTail:size]), 16, 32)
	if err != nil || uint32(want) != crc32.ChecksumIEEE(b[:size-markTail]) {
		return m, nil, true, errDamaged
	}
	return m, b[size:], true, nil
}

// fields reads numbers of fixed width.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) next(digits int) (v uint64) {
	for _, c := range f.b[:digits] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			f.bad = true
		}
	}
	f.b = f.b[digits:]
	return v
}

func (m Mark) String() string {
	name := "broadcast"
	if m.Kind == Unicast {
		name = "unicast"
	}
	return fmt.Sprintf("%s %d", name, m.Seq)
}
