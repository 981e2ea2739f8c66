package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// reader takes the fields of a packet one after the other. After the first
// error it gives zero values, so that only the end has to look for it.
type reader struct {
	b   []byte
	err *Error
}

// open begins to read a packet of a type that the caller expects.
func open(v Version, r Raw, types ...Type) reader {
	d := reader{b: r.Body, err: r.checkVersion(v)}
	for _, t := range types {
		if r.Type == t {
			return d
		}
	}
	d.fail(ProtocolError, "a packet of another type was expected")
	return d
}

func (d *reader) fail(c Code, text string) {
	if d.err == nil {
		d.err = &Error{c, text}
	}
	d.b = nil
}

// check records an error if the packet is not as it must be.
func (d *reader) check(ok bool, c Code, text string) {
	if !ok {
		d.fail(c, text)
	}
}

// end is the result of a parser: a packet has nothing behind its last field.
func (d *reader) end() error {
	if len(d.b) > 0 {
		d.fail(MalformedPacket, "bytes after the last field")
	}
	if d.err != nil {
		return d.err
	}
	return nil
}

// take gives the next n bytes, nil if there are fewer.
func (d *reader) take(n int) []byte {
	if n > len(d.b) {
		d.fail(MalformedPacket, "the packet ends too early")
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *reader) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *reader) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *reader) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint reads a variable byte integer, which must be as short as can be
// (MQTT-1.5.5-1).
func (d *reader) varint() uint32 {
	var n uint32
	for shift := 0; shift < 28; shift += 7 {
		c := d.byte()
		n |= uint32(c&0x7F) << shift
		if c < 0x80 {
			d.check(c != 0 || shift == 0, MalformedPacket, "a number takes more bytes than it needs")
			return n
		}
	}
	d.fail(MalformedPacket, "a number takes more than four bytes")
	return 0
}

// binary reads binary data (MQTT 5.0 section 1.5.6); it is not nil if it is
// there and empty.
func (d *reader) binary() []byte { return d.take(int(d.uint16())) }

// text reads a UTF-8 encoded string (section 1.5.4).
func (d *reader) text() []byte {
	b := d.binary()
	d.check(validText(b), MalformedPacket, "a string that is not UTF-8, or has U+0000")
	return b
}

func (d *reader) string() string { return string(d.text()) }

// id reads a packet identifier (section 2.2.1).
func (d *reader) id() uint16 {
	n := d.uint16()
	d.check(n != 0, ProtocolError, "packet identifier 0")
	return n
}

// flag reads a byte that is 0 or 1.
func (d *reader) flag() byte {
	c := d.byte()
	d.check(c <= 1, ProtocolError, "a property that is neither 0 nor 1")
	return c
}

// validText reports whether b may be a string of MQTT: UTF-8 without surrogates
// (MQTT-1.5.4-1) and without U+0000 (MQTT-1.5.4-2). A byte order mark is a
// character like others and stays (MQTT-1.5.4-3).
func validText(b []byte) bool { return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) }
