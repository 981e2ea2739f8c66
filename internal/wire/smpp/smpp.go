// Package smpp reads and writes the units of the Short Message Peer-to-Peer
// protocol, version 3.4, by which messages reach telephone networks: those that a
// client and a service centre need to bind, to submit, to deliver and to keep a
// session alive. It knows nothing of sessions.
//
// Reading is strict: a unit is read whole, bounded in size, and one whose fields
// do not fill it exactly is an error. Sections are those of the SMPP protocol
// specification v3.4, issue 1.2.
package smpp

import (
	"fmt"
	"strconv"
)

// Command says what a unit is (section 5.1.2.1). That of a response is that of its
// request with the first bit set.
type Command uint32

// The commands that are read and written.
const (
	BindReceiver    Command = 0x01
	BindTransmitter Command = 0x02
	SubmitSM        Command = 0x04
	DeliverSM       Command = 0x05
	Unbind          Command = 0x06
	BindTransceiver Command = 0x09
	EnquireLink     Command = 0x15
	GenericNack     Command = 0x80000000
)

const response Command = 0x80000000

// Response is the command of the response.
func (c Command) Response() Command { return c | response }

// IsResponse reports whether a command answers another one.
func (c Command) IsResponse() bool { return c&response != 0 }

// known reports whether the fields of a command are known.
func (c Command) known() bool {
	return c == GenericNack || c.request().name() != ""
}

func (c Command) request() Command { return c &^ response }

func (c Command) name() string {
	switch c {
	case BindReceiver:
		return "bind_receiver"
	case BindTransmitter:
		return "bind_transmitter"
	case SubmitSM:
		return "submit_sm"
	case DeliverSM:
		return "deliver_sm"
	case Unbind:
		return "unbind"
	case BindTransceiver:
		return "bind_transceiver"
	case EnquireLink:
		return "enquire_link"
	}
	return ""
}

func (c Command) String() string {
	name := c.request().name()
	switch {
	case c == GenericNack:
		return "generic_nack"
	case name == "":
		return fmt.Sprintf("command 0x%08x", uint32(c))
	case c.IsResponse():
		return name + "_resp"
	}
	return name
}

// isBind reports whether a command opens a session.
func (c Command) isBind() bool {
	return c == BindReceiver || c == BindTransmitter || c == BindTransceiver
}

// PDU is a unit of the protocol.
type PDU struct {
	Command  Command
	Status   Status // of a response; 0 in a request
	Sequence uint32 // names a request; its response has the same
	// Bind is there if the command is one of bind_*.
	Bind *Bind
	// Message is there if the command is submit_sm or deliver_sm.
	Message *Message
	// Name is in a response the name of the service centre (bind_*) or of the
	// message (submit_sm); "" if it has none.
	Name string
	// TLVs are the optional parameters, in their order.
	TLVs []TLV
}

// Respond makes the response to a request.
func (p *PDU) Respond(s Status) *PDU {
	return &PDU{Command: p.Command.Response(), Status: s, Sequence: p.Sequence}
}

// Bind is what opens a session (section 4.1).
type Bind struct {
	SystemID, Password, SystemType string
	Version                        byte // 0x34
	TON, NPI                       byte // of AddressRange
	AddressRange                   string
}

// String has no password, so that none comes into a log.
func (b *Bind) String() string {
	return "system_id=" + strconv.Quote(b.SystemID) + " system_type=" + strconv.Quote(b.SystemType)
}

// GoString has none either.
func (b *Bind) GoString() string { return b.String() }

// Party is the address of a sender or a receiver: a number, or the name of a
// sender. TON and NPI say how it is to be read (sections 5.2.5 and 5.2.6).
type Party struct {
	TON, NPI byte
	Address  string
}

// Message is what submit_sm and deliver_sm carry (sections 4.4 and 4.6).
type Message struct {
	ServiceType        string
	Source, Dest       Party
	Class              byte // esm_class
	Protocol           byte
	Priority           byte
	Schedule, Validity string // times in the form of section 7.1.1
	Registered         byte   // registered_delivery: 1 asks for a receipt
	Replace            byte
	Coding             byte // data_coding
	Default            byte // sm_default_msg_id
	Text               []byte
}

// Values of esm_class (section 5.2.12).
const (
	ClassUDH     byte = 0x40 // the text begins with a user data header
	classType    byte = 0x3c
	ClassReceipt byte = 0x04 // of deliver_sm: the text is a receipt
)

// Values of data_coding (section 5.2.19).
const (
	CodingDefault byte = 0
	CodingUCS2    byte = 8
)

// Version is what a bind says of the protocol.
const Version byte = 0x34

// TLV is an optional parameter: tag, length, value (section 3.2.4).
type TLV struct {
	Tag   uint16
	Value []byte
}

// Tags of optional parameters (section 5.3.2).
const (
	TagReceiptedID    uint16 = 0x001e
	TagNetworkError   uint16 = 0x0423
	TagMessagePayload uint16 = 0x0424
	TagMessageState   uint16 = 0x0427
)

// Find gives the value of the first optional parameter with a tag; nil if there
// is none.
func (p *PDU) Find(tag uint16) []byte {
	for _, t := range p.TLVs {
		if t.Tag == tag {
			return t.Value
		}
	}
	return nil
}

// Text is the text of a message as octets, wherever it stands: a long one is in an
// optional parameter.
func (p *PDU) Text() []byte {
	if p.Message == nil || len(p.Message.Text) == 0 {
		return p.Find(TagMessagePayload)
	}
	return p.Message.Text
}
