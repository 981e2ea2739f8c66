// Package wiretest is RFC 6455 and RFC 7692 as a table: what a client may do
// and what it must not, and what the server has to answer. The rows are our
// own; they stand in groups that are numbered like those of the Autobahn
// Testsuite (1 to 7, 9, 10, 12, 13), so that one can be laid beside the other.
//
// Autobahn's server echoes. Ours speaks the session protocol, so a row is
// answered by what that has for it: a ping of the protocol by a pong, a text
// that has to come back by the ref of a subscription or by a publication to
// oneself, and what breaks a rule by a close code.
//
// The client is written without any WebSocket code of the tree, and needs
// nothing but a connection: whatever serves it can be held to the table.
package wiretest

import (
	"fmt"
	"slices"
)

// Limit is the most bytes that a message of a client may have.
const Limit = 16 << 10

// Close codes with which a row ends.
const (
	normal      = 1000
	protocol    = 1002
	unsupported = 1003
	noStatus    = 1005
	invalidData = 1007
	tooBig      = 1009
	notFrame    = 4013 // a whole text, and no frame of the session protocol
)

// Case is a row of the table. After the opening handshake and the welcome the
// client sends, and is answered, in this order and with nothing else. A row
// that does not end with a close is ended by the client, so that an answer too
// many is noticed too.
type Case struct {
	Group int
	Name  string
	// Offer is the client's Sec-WebSocket-Extensions, Agree the server's.
	Offer, Agree string
	// Refused is the status that the opening handshake is refused with; 0 if it
	// is not.
	Refused int
	// Send is written piece by piece.
	Send [][]byte
	Want []Answer
}

// String is the row's name with its group, the same in every run.
func (c Case) String() string { return fmt.Sprintf("%d %s", c.Group, c.Name) }

// Bytes is what the client sends, in one piece.
func (c Case) Bytes() []byte { return all(c.Send...) }

// ends reports whether the server ends the connection.
func (c Case) ends() bool {
	return len(c.Want) > 0 && c.Want[len(c.Want)-1].op == opClose
}

// Answer is a frame that has to come.
type Answer struct {
	op       byte
	payload  string // of a pong
	kind     string // the type of a text
	ref      string // of a text that brings one back
	data     string // of a publication
	squeezed bool   // it has to be compressed
	code     int    // of a close; 1005 for none
}

func (a Answer) String() string {
	switch a.op {
	case opClose:
		return fmt.Sprintf("close %d", a.code)
	case opPong:
		return fmt.Sprintf("pong %.40q", a.payload)
	}
	return fmt.Sprintf("%s %q %.40q compressed: %v", a.kind, a.ref, a.data, a.squeezed)
}

func closed(code int) Answer    { return Answer{op: opClose, code: code} }
func ponged(text string) Answer { return Answer{op: opPong, payload: text} }
func said(kind string) Answer   { return Answer{op: opText, kind: kind} }
func echoed(text string) Answer { return Answer{op: opText, kind: "subscribed", ref: text} }

// Cases is the table.
func Cases() []Case {
	return slices.Concat(payloads(), pings(), reservedBits(), opcodes(), fragments(), texts(), closes(), limits(),
		autoFragments(), compressed(), offers())
}

// row makes a case of what is sent in one piece.
func row(group int, name string, send []byte, want ...Answer) Case {
	return Case{Group: group, Name: name, Send: [][]byte{send}, Want: want}
}

// rowOf makes one of frames, each in a piece of its own.
func rowOf(group int, name string, send [][]byte, want ...Answer) Case {
	return Case{Group: group, Name: name, Send: send, Want: want}
}
