package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const headerSize = 16

// MaxSize is how large a unit may be that is read or written, in octets; the
// protocol has no limit of its own. The largest that anybody needs is a text of
// some parts in an optional parameter.
const MaxSize = 16 << 10

// ErrFrame is the cause of an error after which nothing more can be read: where the
// next unit begins is not known.
var ErrFrame = errors.New("smpp: the length of a unit is impossible")

// Malformed is the error of a unit that was read whole and cannot be understood.
// What follows can be read.
type Malformed struct {
	Command  Command
	Sequence uint32
	// Status is what to answer a request with.
	Status Status
	why    string
}

func (e *Malformed) Error() string { return fmt.Sprintf("smpp: %s: %s", e.Command, e.why) }

// Read reads one unit. The error is a *Malformed, ErrFrame, or one of the reader:
// io.EOF if nothing came at all.
func Read(r io.Reader) (*PDU, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < headerSize || n > MaxSize {
		return nil, fmt.Errorf("%w: %d octets", ErrFrame, n)
	}
	b := make([]byte, n)
	copy(b, size[:])
	if _, err := io.ReadFull(r, b[4:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return Decode(b)
}

// Decode reads a unit out of its octets, which the answer shares. The error is a
// *Malformed, or ErrFrame if the length in it is not that of b.
func Decode(b []byte) (*PDU, error) {
	if len(b) < headerSize || len(b) > MaxSize || binary.BigEndian.Uint32(b) != uint32(len(b)) {
		return nil, ErrFrame
	}
	p := &PDU{Command: Command(binary.BigEndian.Uint32(b[4:])), Status: Status(binary.BigEndian.Uint32(b[8:])), Sequence: binary.BigEndian.Uint32(b[12:])}
	r := reader{b: b[headerSize:], status: BadCommandLength}
	switch c := p.Command; {
	case !c.known():
		return nil, &Malformed{p.Command, p.Sequence, BadCommand, "is not known"}
	case c.isBind():
		p.Bind = r.bind()
	case c == SubmitSM, c == DeliverSM:
		p.Message = r.message()
	case c.IsResponse() && c.request().hasName() && len(r.b) > 0:
		p.Name = r.text("the name", nameLimit(c.request()))
	}
	p.TLVs = r.tlvs()
	if r.why != "" {
		return nil, &Malformed{p.Command, p.Sequence, r.status, r.why}
	}
	return p, nil
}

// reader takes fields from b until one of them is bad.
type reader struct {
	b      []byte
	why    string // the first that is bad; "" for none
	status Status
}

func (r *reader) fail(s Status, format string, args ...any) {
	if r.why == "" {
		r.why, r.status, r.b = fmt.Sprintf(format, args...), s, nil
	}
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(BadCommandLength, "it ends too early")
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// text reads a C-octet string.
func (r *reader) text(name string, limit int) string {
	end := bytes.IndexByte(r.b[:min(len(r.b), limit+1)], 0)
	if end < 0 {
		r.fail(BadCommandLength, "%s does not end within %d octets", name, limit+1)
		return ""
	}
	s := string(r.b[:end])
	r.b = r.b[end+1:]
	return s
}

func (r *reader) octets(n int) []byte {
	if len(r.b) < n {
		r.fail(BadMessageLength, "a value of %d octets has %d", n, len(r.b))
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) party(name string) Party {
	return Party{TON: r.byte(), NPI: r.byte(), Address: r.text(name, maxAddress)}
}

func (r *reader) bind() *Bind {
	return &Bind{
		SystemID: r.text("system_id", maxSystemID), Password: r.text("password", maxPassword), SystemType: r.text("system_type", maxSystemType),
		Version: r.byte(), TON: r.byte(), NPI: r.byte(), AddressRange: r.text("address_range", maxAddressRange),
	}
}

func (r *reader) message() *Message {
	m := &Message{
		ServiceType: r.text("service_type", maxServiceType), Source: r.party("source_addr"), Dest: r.party("destination_addr"),
		Class: r.byte(), Protocol: r.byte(), Priority: r.byte(), Schedule: r.text("schedule_delivery_time", maxTime), Validity: r.text("validity_period", maxTime),
		Registered: r.byte(), Replace: r.byte(), Coding: r.byte(), Default: r.byte(),
	}
	n := int(r.byte())
	if n > maxText {
		r.fail(BadMessageLength, "a text of %d octets", n)
		return m
	}
	m.Text = r.octets(n)
	return m
}

// tlvs reads the optional parameters, which go to the end.
func (r *reader) tlvs() (list []TLV) {
	for len(r.b) > 0 {
		if len(r.b) < 4 {
			r.fail(BadTLVs, "a parameter is cut off")
			return nil
		}
		tag, n := binary.BigEndian.Uint16(r.b), int(binary.BigEndian.Uint16(r.b[2:]))
		if r.b = r.b[4:]; len(r.b) < n {
			r.fail(BadTLVs, "parameter 0x%04x of %d octets has %d", tag, n, len(r.b))
			return nil
		}
		list = append(list, TLV{tag, r.octets(n)})
	}
	return list
}
