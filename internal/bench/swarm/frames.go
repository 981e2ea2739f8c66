package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/herald-push/herald/internal/wire"
)

// maxFrame bounds one frame of a server.
const maxFrame = 1 << 20

// wsFrame reads a frame of a server, which is whole and not masked (RFC 6455
// section 5.2); n is 0 while it is not all there.
func wsFrame(b []byte) (op wire.Opcode, payload []byte, n int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return 0, nil, 0, fmt.Errorf("a frame begins with %x, want one that is whole and not masked", b[:2])
	}
	op, size, at := wire.Opcode(b[0]&15), uint64(b[1]), 2
	switch size {
	case 126:
		if len(b) < 4 {
			return 0, nil, 0, nil
		}
		size, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return 0, nil, 0, nil
		}
		size, at = binary.BigEndian.Uint64(b[2:]), 10
	}
	if size > maxFrame {
		return 0, nil, 0, fmt.Errorf("a frame of %d bytes", size)
	}
	if n = at + int(size); n > len(b) {
		return 0, nil, 0, nil
	}
	return op, b[at:n], n, nil
}

var errLong = errors.New("a line or an event does not end")

// line reads a line without its end; n is 0 while it is not all there.
func line(b []byte) (text []byte, n int, err error) {
	at := bytes.IndexByte(b, '\n')
	if at < 0 {
		if len(b) > maxFrame {
			err = errLong
		}
		return nil, 0, err
	}
	return bytes.TrimSuffix(b[:at], []byte("\r")), at + 1, nil
}

// sseEvent is an event with one line of data; a comment has none.
type sseEvent struct{ name, id, data []byte }

// event reads an event (HTML Living Standard section 9.2.5, lines that end with LF);
// n is 0 while it is not all there.
func event(b []byte) (e sseEvent, n int, err error) {
	at := bytes.Index(b, []byte("\n\n"))
	if at < 0 {
		if len(b) > maxFrame {
			err = errLong
		}
		return e, 0, err
	}
	for text := range bytes.SplitSeq(b[:at], []byte("\n")) {
		name, value, _ := bytes.Cut(text, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			if e.data != nil {
				return e, 0, errors.New("an event has more than one line of data")
			}
			e.data = value
		}
	}
	return e, at + 2, nil
}

// mqttPacket reads a control packet (MQTT 3.1.1 section 2); n is 0 while it is
// not all there.
func mqttPacket(b []byte) (first byte, body []byte, n int, err error) {
	size, shift := 0, 0
	for i := 1; i < len(b); i++ {
		size |= int(b[i]&0x7f) << shift
		if b[i]&0x80 == 0 {
			if n = i + 1 + size; n > len(b) {
				return 0, nil, 0, nil
			}
			return b[0], b[i+1 : n], n, nil
		}
		if shift += 7; shift > 21 {
			return 0, nil, 0, errors.New("the length of a packet does not end")
		}
	}
	return 0, nil, 0, nil
}
