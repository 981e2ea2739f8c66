package packet

// ParseAck reads a PUBACK, PUBREC, PUBREL or PUBCOMP. In the short forms of
// MQTT 5.0 (section 3.4.2) the code is Success.
func ParseAck(v Version, r Raw, a *Ack) error {
	*a = Ack{Type: r.Type}
	d := open(v, r, PUBACK, PUBREC, PUBREL, PUBCOMP)
	a.ID = d.id()
	if v >= V5 && len(d.b) > 0 {
		a.Code = Code(d.byte())
		d.reason(r.Type, a.Code)
		if len(d.b) > 0 {
			d.properties(1<<r.Type, &a.Props)
		}
	}
	return d.end()
}

func (a *Ack) parse(v Version, r Raw) error { return ParseAck(v, r, a) }

// AppendTo writes the packet in the shortest form.
func (a *Ack) AppendTo(b []byte, v Version) []byte {
	if v < V5 || a.Props.Reason == "" && len(a.Props.User) == 0 {
		return AppendAck(b, v, a.Type, a.ID, a.Code)
	}
	b, at := begin(b, a.Type, ackFlags(a.Type), 0)
	b = append(appendUint16(b, a.ID), byte(a.Code))
	return finish(appendProperties(b, 1<<a.Type, &a.Props), at, 1)
}

// AppendAck writes a PUBACK, PUBREC, PUBREL or PUBCOMP without properties.
func AppendAck(b []byte, v Version, t Type, id uint16, code Code) []byte {
	if v < V5 || code == Success {
		return append(b, byte(t)<<4|ackFlags(t), 2, byte(id>>8), byte(id))
	}
	return append(b, byte(t)<<4|ackFlags(t), 3, byte(id>>8), byte(id), byte(code))
}

// ackFlags are the flags of the fixed header, which for a PUBREL are not zero
// (MQTT-3.6.1-1).
func ackFlags(t Type) byte {
	if t == PUBREL {
		return 0x02
	}
	return 0
}
