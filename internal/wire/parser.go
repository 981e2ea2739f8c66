package wire

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// Message is what a client sent: a whole text or binary message, or a control
// frame.
type Message struct {
	Op Opcode
	// Payload is valid until the next call of the parser or until the bytes
	// that it was given change, whichever comes first.
	Payload []byte
	// Code and Reason are those of a close frame; Code is [CloseNoStatus] if
	// it had none.
	Code   int
	Reason string
}

// Error is a violation of RFC 6455, with the code to close with.
type Error struct {
	Code int
	Text string
}

// Error gives the text.
func (e *Error) Error() string { return fmt.Sprintf("wire: %s (%d)", e.Text, e.Code) }

// Parser reads what a client sends. Between messages it holds no buffer. The
// zero value takes messages of any size; it must be used by one goroutine at a
// time.
type Parser struct {
	// Limit is the most bytes that a message may have; 0 means no limit. It is
	// compared with the length that a frame announces, before anything of its
	// payload is kept. A compressed message has the limit twice: before it is
	// decompressed, with an eighth more, since what cannot be compressed gets
	// longer; and after.
	Limit int
	// Deflate says that permessage-deflate was agreed: see [AcceptDeflate].
	Deflate bool

	*coming // nil between messages
}

// coming is what a parser has of a message that is not complete, and how it
// has ended.
type coming struct {
	header  [14]byte // of the current frame, as far as it has come
	headLen uint8
	inFrame bool // the header is complete and the payload is coming
	fin     bool
	op      Opcode
	key     [4]byte
	turned  uint8 // payload bytes taken so far, modulo 4
	left    int   // payload bytes still to come

	message  Opcode // of the message whose fragments are coming; 0 for none
	deflated bool   // it is compressed
	text     utf8Check
	body     []byte // of the current message
	control  []byte // payload of the current control frame
	closed   bool
	err      error
}

// comings are used again: most messages come in one piece, and the parsers of
// idle connections have none.
var comings = sync.Pool{New: func() any { return new(coming) }}

// begun reports whether there is anything to be kept for the next call.
func (c *coming) begun() bool {
	return c.headLen > 0 || c.inFrame || c.message != 0 || c.control != nil || c.closed || c.err != nil
}

// Next takes bytes off the front of data and gives the next message that they
// complete, with the rest of the bytes. ok is false when more are needed; then
// rest is empty. It overwrites data, because the payload is unmasked in place.
//
// After an error, which is an [*Error], it gives the same error again. What
// follows a close frame is ignored (RFC 6455 section 5.5.1).
func (p *Parser) Next(data []byte) (m Message, rest []byte, ok bool, err error) {
	if p.coming == nil {
		if len(data) == 0 {
			return Message{}, nil, false, nil
		}
		p.coming = comings.Get().(*coming)
	}
	m, rest, ok, err = p.next(data)
	if !p.begun() {
		*p.coming = coming{}
		comings.Put(p.coming)
		p.coming = nil
	}
	return m, rest, ok, err
}

func (p *Parser) next(data []byte) (m Message, rest []byte, ok bool, err error) {
	if p.err != nil {
		return Message{}, nil, false, p.err
	}
	for !p.closed {
		if !p.inFrame {
			if data, ok, err = p.head(data); err != nil || !ok {
				return Message{}, nil, false, p.fail(err)
			}
		}
		if m, data, ok, err = p.payload(data); err != nil {
			return Message{}, nil, false, p.fail(err)
		}
		if ok {
			return m, data, true, nil
		}
		if p.inFrame {
			return Message{}, nil, false, nil
		}
	}
	return Message{}, nil, false, nil
}

func (p *Parser) fail(err error) error {
	if err != nil {
		p.err, p.body, p.control = err, nil, nil
	}
	return err
}

// head takes bytes of a frame's header and checks each as soon as it is there.
func (p *Parser) head(data []byte) (rest []byte, ok bool, err error) {
	for {
		need := p.headNeed()
		n := copy(p.header[p.headLen:need], data)
		p.headLen += uint8(n)
		data = data[n:]
		if p.headLen >= 1 {
			if err := p.checkFirst(p.header[0]); err != nil {
				return nil, false, err
			}
		}
		if p.headLen >= 2 {
			if err := p.checkSecond(p.header[0], p.header[1]); err != nil {
				return nil, false, err
			}
		}
		if p.headLen < need {
			return nil, false, nil
		}
		if need == p.headNeed() {
			break
		}
	}
	return data, true, p.begin()
}

// headNeed is the length of the header as far as it is known.
func (p *Parser) headNeed() uint8 {
	if p.headLen < 2 {
		return 2
	}
	switch p.header[1] &^ maskBit {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

func (p *Parser) checkFirst(b byte) error {
	op := Opcode(b & 0x0F)
	switch {
	case b&rsvBits != 0 && (b&rsvBits != rsv1Bit || !p.Deflate):
		return protocolError("a reserved bit is set, and no extension was agreed that uses it")
	case b&rsv1Bit != 0 && op != Text && op != Binary: // RFC 7692 section 6.1
		return protocolError("only the first frame of a message says that it is compressed")
	case !op.known():
		return protocolError("opcode %d is reserved", op)
	case op.IsControl() && b&finBit == 0:
		return protocolError("a control frame is fragmented")
	case op == Continuation && p.message == 0:
		return protocolError("a continuation with nothing to continue")
	case !op.IsControl() && op != Continuation && p.message != 0:
		return protocolError("a new message inside a fragmented one")
	}
	return nil
}

func (p *Parser) checkSecond(first, b byte) error {
	switch {
	case b&maskBit == 0:
		return protocolError("a frame of a client is not masked")
	case Opcode(first&0x0F).IsControl() && b&^maskBit > MaxControl:
		return protocolError("a control frame is longer than %d bytes", MaxControl)
	}
	return nil
}

// begin reads the complete header and starts the payload.
func (p *Parser) begin() error {
	n := uint64(p.header[1] &^ maskBit)
	key := p.header[2:6]
	switch n {
	case 126:
		if n = uint64(binary.BigEndian.Uint16(p.header[2:])); n < 126 {
			return protocolError("the length is not in its shortest form")
		}
		key = p.header[4:8]
	case 127:
		n = binary.BigEndian.Uint64(p.header[2:])
		if n < 1<<16 {
			return protocolError("the length is not in its shortest form")
		}
		if n > 1<<63-1 {
			return protocolError("the length is past 2^63")
		}
		key = p.header[10:14]
	}
	p.op, p.fin = Opcode(p.header[0]&0x0F), p.header[0]&finBit != 0
	if p.op == Text || p.op == Binary {
		p.message, p.text, p.deflated = p.op, utf8Check{}, p.header[0]&rsv1Bit != 0
	}
	if !p.op.IsControl() && n > uint64(p.room()) {
		return errTooBig(p.limit())
	}
	copy(p.key[:], key)
	p.left, p.turned, p.headLen, p.inFrame = int(n), 0, 0, true
	return nil
}

func (p *Parser) limit() int {
	if p.Limit > 0 {
		return p.Limit
	}
	return 1<<31 - 1
}

// room is how many bytes the current message may still have on the wire.
func (p *Parser) room() int {
	most := p.limit()
	if p.deflated && p.Limit > 0 {
		most += most/8 + 64
	}
	return most - len(p.body)
}

// payload takes what is there of the payload. A frame that is there in one
// piece, and is a message of its own, is handed out without copying it.
func (p *Parser) payload(data []byte) (m Message, rest []byte, ok bool, err error) {
	n := min(p.left, len(data))
	piece := data[:n:n]
	rest = data[n:]
	p.turned = uint8(mask(piece, p.key, int(p.turned)))
	p.left -= n
	done := p.left == 0
	if done {
		p.inFrame = false
	}
	if p.op.IsControl() {
		if !done || p.control != nil {
			p.control = append(p.control, piece...)
			piece = p.control
		}
		if !done {
			return Message{}, rest, false, nil
		}
		p.control = nil
		m, err = p.controlFrame(piece)
		return m, rest, err == nil, err
	}
	if p.message == Text && !p.deflated && !p.text.write(piece) {
		return Message{}, nil, false, errNotUTF8()
	}
	whole := done && p.fin
	if !whole || p.body != nil {
		p.body = append(p.body, piece...)
		piece = p.body
	}
	if !whole {
		return Message{}, rest, false, nil
	}
	if m, err = p.dataMessage(piece); err != nil {
		return Message{}, nil, false, err
	}
	return m, rest, true, nil
}

// dataMessage makes a message of all its bytes.
func (p *Parser) dataMessage(payload []byte) (m Message, err error) {
	if p.deflated {
		if payload, err = inflate(payload, p.limit()); err != nil {
			return m, err
		}
		if p.message == Text && !p.text.write(payload) {
			return m, errNotUTF8()
		}
	}
	if p.message == Text && !p.text.complete() {
		return m, errNotUTF8()
	}
	m = Message{Op: p.message, Payload: payload}
	p.message, p.body = 0, nil
	return m, nil
}

func (p *Parser) controlFrame(payload []byte) (Message, error) {
	m := Message{Op: p.op, Payload: payload}
	if p.op != Close {
		return m, nil
	}
	p.closed, p.body, p.message = true, nil, 0
	if len(payload) == 0 {
		m.Code = CloseNoStatus
		return m, nil
	}
	if len(payload) == 1 {
		return m, protocolError("a close frame with one byte has no whole code")
	}
	m.Code, m.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	if !validCloseCode(m.Code) {
		return m, protocolError("%d is not a close code", m.Code)
	}
	if !validText(m.Reason) {
		return m, errNotUTF8()
	}
	return m, nil
}

func protocolError(format string, args ...any) error {
	return &Error{Code: CloseProtocol, Text: fmt.Sprintf(format, args...)}
}

func errTooBig(limit int) error {
	return &Error{Code: CloseTooBig, Text: fmt.Sprintf("a message is longer than %d bytes", limit)}
}

func errNotUTF8() error { return &Error{Code: CloseInvalidData, Text: "text that is not UTF-8"} }
