package wiretest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// Opcodes (RFC 6455 section 5.2), and the other bits of the first byte.
const (
	opContinuation byte = 0x0
	opText         byte = 0x1
	opBinary       byte = 0x2
	opClose        byte = 0x8
	opPing         byte = 0x9
	opPong         byte = 0xA

	fin  byte = 0x80
	rsv1 byte = 0x40
)

// key masks what a client sends. It has no zero, so that nothing stays as it
// is.
var key = [4]byte{0x9B, 0x41, 0xE6, 0x7D}

// frame writes a frame of a client, in the shortest form of its length.
func frame(first byte, payload string) []byte {
	return append(header(first, len(payload)), masked(payload)...)
}

// header writes a frame as far as its masking key.
func header(first byte, n int) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(b, key[:]...)
}

func masked(payload string) []byte {
	b := []byte(payload)
	for i := range b {
		b[i] ^= key[i%4]
	}
	return b
}

func text(payload string) []byte   { return frame(fin|opText, payload) }
func blob(payload string) []byte   { return frame(fin|opBinary, payload) }
func first(payload string) []byte  { return frame(opText, payload) }
func next(payload string) []byte   { return frame(opContinuation, payload) }
func last(payload string) []byte   { return frame(fin|opContinuation, payload) }
func pingOf(payload string) []byte { return frame(fin|opPing, payload) }
func pongOf(payload string) []byte { return frame(fin|opPong, payload) }

// closeOf writes a close frame with a code and a reason.
func closeOf(code int, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func all(frames ...[]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// chop cuts into pieces of n bytes.
func chop(b []byte, n int) (pieces [][]byte) {
	for len(b) > n {
		pieces, b = append(pieces, b[:n:n]), b[n:]
	}
	return append(pieces, b)
}

// fragmented makes a message of fragments of n bytes.
func fragmented(firstByte byte, message string, n int) (frames [][]byte) {
	op := firstByte
	for len(message) > n {
		frames = append(frames, frame(op, message[:n]))
		message, op = message[n:], opContinuation
	}
	return append(frames, frame(fin|op, message))
}

// hail is a ping of the session protocol in n bytes: its answer is a pong.
func hail(n int) string {
	const b = `{"type":"ping"}`
	return b[:len(b)-1] + strings.Repeat(" ", n-len(b)) + "}"
}

// hello is the shortest of them.
const hello = `{"type":"ping"}`

// echo is a text that brings back what it says, which has to be 1 to 64 bytes
// that stand in JSON as they are.
func echo(what string) string { return before + what + after }

const (
	topic  = "rfc"
	before = `{"type":"subscribe","topics":["` + topic + `"],"ref":"`
	after  = `"}`
)

// publication is a text of n bytes that publishes data to the topic of echo.
func publication(n int, letters string) (whole, data string) {
	const head, end = `{"type":"publish","topic":"` + topic + `","data":"`, `"}`
	room := n - len(head) - len(end)
	data = strings.Repeat(letters, room/len(letters))
	data += strings.Repeat("-", room-len(data))
	return head + data + end, data
}

// content is what a text of the server has in it, as far as rows look.
type content struct {
	Type, Ref string
	Data      json.RawMessage
}

// matches compares a text with an answer.
func (a Answer) matches(payload []byte, squeezed bool) error {
	var c content
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("%.80q: %w", payload, err)
	}
	var data string
	if c.Data != nil && json.Unmarshal(c.Data, &data) != nil {
		return fmt.Errorf("%.80q has other data", payload)
	}
	if c.Type != a.kind || c.Ref != a.ref || data != a.data || a.squeezed != squeezed {
		return fmt.Errorf("got %.120q, compressed: %v", payload, squeezed)
	}
	return nil
}
