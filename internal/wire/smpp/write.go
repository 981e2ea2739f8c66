package smpp

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The longest fields, in octets without the one that ends them. System ID and
// password may have 15 and 8 by the specification; service centres give out longer
// ones, which no other field depends on.
const (
	maxSystemID     = 64
	maxPassword     = 64
	maxSystemType   = 12
	maxAddressRange = 40
	maxServiceType  = 5
	maxAddress      = 20
	maxTime         = 16
	maxMessageID    = 64
	maxText         = 254
)

// writer appends fields, and keeps the first that does not go.
type writer struct {
	b   []byte
	err error
}

func (w *writer) byte(b byte) { w.b = append(w.b, b) }

// text writes a C-octet string.
func (w *writer) text(name, s string, limit int) {
	if w.err == nil && (len(s) > limit || strings.IndexByte(s, 0) >= 0) {
		w.err = fmt.Errorf("smpp: %s may have %d octets, none of which is zero", name, limit)
	}
	w.b = append(append(w.b, s...), 0)
}

func (w *writer) party(name string, p Party) {
	w.byte(p.TON)
	w.byte(p.NPI)
	w.text(name, p.Address, maxAddress)
}

// Append writes a unit behind b. The error tells of a field that is too long.
func (p *PDU) Append(b []byte) ([]byte, error) {
	w := writer{b: append(b, make([]byte, headerSize)...)}
	switch c := p.Command; {
	case p.Bind != nil && c.isBind():
		w.bind(p.Bind)
	case p.Message != nil && (c == SubmitSM || c == DeliverSM):
		w.message(p.Message)
	case c.IsResponse() && c.request().hasName() && (p.Status == OK || p.Name != ""):
		// A response that refuses has no body (sections 4.1 and 4.4.2).
		w.text("the name", p.Name, nameLimit(c.request()))
	case c.isBind(), c == SubmitSM, c == DeliverSM:
		return b, fmt.Errorf("smpp: %s has no fields", c)
	}
	for _, t := range p.TLVs {
		if len(t.Value) > 0xffff {
			return b, fmt.Errorf("smpp: a parameter of %d octets", len(t.Value))
		}
		w.b = binary.BigEndian.AppendUint16(w.b, t.Tag)
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(t.Value)))
		w.b = append(w.b, t.Value...)
	}
	if size := len(w.b) - len(b); w.err == nil && size > MaxSize {
		w.err = fmt.Errorf("smpp: %d octets are more than %d", size, MaxSize)
	}
	if w.err != nil {
		return b, w.err
	}
	head := w.b[len(b):]
	binary.BigEndian.PutUint32(head, uint32(len(head)))
	binary.BigEndian.PutUint32(head[4:], uint32(p.Command))
	binary.BigEndian.PutUint32(head[8:], uint32(p.Status))
	binary.BigEndian.PutUint32(head[12:], p.Sequence)
	return w.b, nil
}

// hasName reports whether the response to a command has a name in it.
func (c Command) hasName() bool { return c.isBind() || c == SubmitSM || c == DeliverSM }

func nameLimit(c Command) int {
	if c.isBind() {
		return maxSystemID
	}
	return maxMessageID
}

func (w *writer) bind(b *Bind) {
	w.text("system_id", b.SystemID, maxSystemID)
	w.text("password", b.Password, maxPassword)
	w.text("system_type", b.SystemType, maxSystemType)
	w.byte(b.Version)
	w.byte(b.TON)
	w.byte(b.NPI)
	w.text("address_range", b.AddressRange, maxAddressRange)
}

func (w *writer) message(m *Message) {
	w.text("service_type", m.ServiceType, maxServiceType)
	w.party("source_addr", m.Source)
	w.party("destination_addr", m.Dest)
	w.byte(m.Class)
	w.byte(m.Protocol)
	w.byte(m.Priority)
	w.text("schedule_delivery_time", m.Schedule, maxTime)
	w.text("validity_period", m.Validity, maxTime)
	w.byte(m.Registered)
	w.byte(m.Replace)
	w.byte(m.Coding)
	w.byte(m.Default)
	if w.err == nil && len(m.Text) > maxText {
		w.err = fmt.Errorf("smpp: a text of %d octets is longer than %d", len(m.Text), maxText)
	}
	w.byte(byte(len(m.Text)))
	w.b = append(w.b, m.Text...)
}
