package packet

import "strings"

// ParseSubscribe reads a SUBSCRIBE. The filters are text and no more: whether
// they are filters (ValidFilter) is answered for each in the SUBACK.
func ParseSubscribe(v Version, r Raw, s *Subscribe) error {
	*s = Subscribe{}
	d := open(v, r, SUBSCRIBE)
	s.ID = d.id()
	if v >= V5 {
		d.properties(inSubscr, &s.Props)
	}
	for len(d.b) > 0 {
		sub := Subscription{Filter: d.string()}
		d.options(v, &sub)
		s.List = append(s.List, sub)
	}
	d.check(len(s.List) > 0, ProtocolError, "a SUBSCRIBE without a filter") // MQTT-3.8.3-2
	return d.end()
}

func (s *Subscribe) parse(v Version, r Raw) error { return ParseSubscribe(v, r, s) }

// options reads the subscription options (MQTT 5.0 section 3.8.3.1).
func (d *reader) options(v Version, s *Subscription) {
	o := d.byte()
	s.QoS = QoS(o & 3)
	if v < V5 {
		d.check(o <= 2, MalformedPacket, "reserved bits beside the QoS, or QoS 3") // MQTT-3.8.3-4 of 3.1.1
		return
	}
	s.NoLocal, s.RetainAsPublished, s.RetainHandling = o&0x04 != 0, o&0x08 != 0, o>>4&3
	d.check(o&0xC0 == 0, MalformedPacket, "reserved bits of the subscription options") // MQTT-3.8.3-5
	d.check(s.QoS <= 2, ProtocolError, "a subscription with QoS 3")
	d.check(s.RetainHandling <= 2, ProtocolError, "retain handling 3")
	d.check(!s.NoLocal || !strings.HasPrefix(s.Filter, sharePrefix), ProtocolError, "no local on a shared subscription") // MQTT-3.8.3-4
}

// AppendTo writes the packet.
func (s *Subscribe) AppendTo(b []byte, v Version) []byte {
	b, at := begin(b, SUBSCRIBE, 0x02, 0)
	b = appendUint16(b, s.ID)
	if v >= V5 {
		b = appendProperties(b, inSubscr, &s.Props)
	}
	for _, sub := range s.List {
		o := byte(sub.QoS & 3)
		if v >= V5 {
			o |= sub.RetainHandling & 3 << 4
			if sub.NoLocal {
				o |= 0x04
			}
			if sub.RetainAsPublished {
				o |= 0x08
			}
		}
		b = append(appendString(b, sub.Filter), o)
	}
	return finish(b, at, 1)
}

// ParseSuback reads a SUBACK.
func ParseSuback(v Version, r Raw, s *Suback) error {
	*s = Suback{}
	d := open(v, r, SUBACK)
	s.ID = d.id()
	if v >= V5 {
		d.properties(1<<SUBACK, &s.Props)
	}
	s.Codes = d.codes(v, SUBACK)
	return d.end()
}

func (s *Suback) parse(v Version, r Raw) error { return ParseSuback(v, r, s) }

// codes reads what is left of a packet as a list of codes.
func (d *reader) codes(v Version, t Type) (list []Code) {
	for len(d.b) > 0 {
		c := Code(d.byte())
		if v >= V5 {
			d.reason(t, c)
		} else {
			d.check(c <= GrantedQoS2 || c == UnspecifiedError, ProtocolError, "an unknown return code")
		}
		list = append(list, c)
	}
	d.check(len(list) > 0, ProtocolError, "an answer without a code")
	return list
}

// AppendTo writes the packet. Before 5.0 every refusal is 0x80 (MQTT-3.9.3-2 of
// 3.1.1; MQTT 3.1 has none, and clients of 3.1 that meet one read no QoS there).
func (s *Suback) AppendTo(b []byte, v Version) []byte {
	b, at := begin(b, SUBACK, 0, 0)
	b = appendUint16(b, s.ID)
	if v >= V5 {
		b = appendProperties(b, 1<<SUBACK, &s.Props)
	}
	for _, c := range s.Codes {
		if v < V5 && c.Failed() {
			c = UnspecifiedError
		}
		b = append(b, byte(c))
	}
	return finish(b, at, 1)
}

// ParseUnsubscribe reads an UNSUBSCRIBE.
func ParseUnsubscribe(v Version, r Raw, u *Unsubscribe) error {
	*u = Unsubscribe{}
	d := open(v, r, UNSUBSCRIBE)
	u.ID = d.id()
	if v >= V5 {
		d.properties(1<<UNSUBSCRIBE, &u.Props)
	}
	for len(d.b) > 0 {
		u.Filters = append(u.Filters, d.string())
	}
	d.check(len(u.Filters) > 0, ProtocolError, "an UNSUBSCRIBE without a filter") // MQTT-3.10.3-2
	return d.end()
}

func (u *Unsubscribe) parse(v Version, r Raw) error { return ParseUnsubscribe(v, r, u) }

// AppendTo writes the packet.
func (u *Unsubscribe) AppendTo(b []byte, v Version) []byte {
	b, at := begin(b, UNSUBSCRIBE, 0x02, 0)
	b = appendUint16(b, u.ID)
	if v >= V5 {
		b = appendProperties(b, 1<<UNSUBSCRIBE, &u.Props)
	}
	for _, f := range u.Filters {
		b = appendString(b, f)
	}
	return finish(b, at, 1)
}

// ParseUnsuback reads an UNSUBACK.
func ParseUnsuback(v Version, r Raw, u *Unsuback) error {
	*u = Unsuback{}
	d := open(v, r, UNSUBACK)
	u.ID = d.id()
	if v >= V5 {
		d.properties(1<<UNSUBACK, &u.Props)
		u.Codes = d.codes(v, UNSUBACK)
	}
	return d.end()
}

func (u *Unsuback) parse(v Version, r Raw) error { return ParseUnsuback(v, r, u) }

// AppendTo writes the packet. Before 5.0 it has no codes.
func (u *Unsuback) AppendTo(b []byte, v Version) []byte {
	if v < V5 {
		return single(b, UNSUBACK, 0, byte(u.ID>>8), byte(u.ID))
	}
	b, at := begin(b, UNSUBACK, 0, 0)
	b = appendProperties(appendUint16(b, u.ID), 1<<UNSUBACK, &u.Props)
	for _, c := range u.Codes {
		b = append(b, byte(c))
	}
	return finish(b, at, 1)
}
