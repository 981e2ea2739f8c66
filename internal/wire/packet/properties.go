package packet

// where is the set of packets that may have a property: a bit for each Type,
// and bit 0 for the will in a CONNECT.
type where uint16

const (
	inWill    where = 1
	inConnect where = 1 << CONNECT
	inConnack where = 1 << CONNACK
	inPublish where = 1 << PUBLISH
	inSubscr  where = 1 << SUBSCRIBE
	inDisconn where = 1 << DISCONNECT
	inAuth    where = 1 << AUTH
	inMessage       = inPublish | inWill
	inAnswer        = inConnack | 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBACK | 1<<UNSUBACK | inDisconn | inAuth
	inAll           = inAnswer | inMessage | inConnect | inSubscr | 1<<UNSUBSCRIBE
)

// lastProperty is the largest identifier of a property.
const lastProperty = 0x2A

// property finds a property by its identifier (MQTT 5.0 section 2.2.2.2): the
// packets that may have it, and the address of its field, whose Go type is also
// how it is written. The field is nil if there is no such property.
func (p *Properties) property(id byte) (in where, field any) {
	switch id {
	case 0x01:
		return inMessage, &p.PayloadFormat
	case 0x02:
		return inMessage, &p.MessageExpiry
	case 0x03:
		return inMessage, &p.ContentType
	case 0x08:
		return inMessage, &p.ResponseTopic
	case 0x09:
		return inMessage, &p.CorrelationData
	case 0x0B:
		return inPublish | inSubscr, &p.SubscriptionIDs
	case 0x11:
		return inConnect | inConnack | inDisconn, &p.SessionExpiry
	case 0x12:
		return inConnack, &p.AssignedClient
	case 0x13:
		return inConnack, &p.ServerKeepAlive
	case 0x15:
		return inConnect | inConnack | inAuth, &p.AuthMethod
	case 0x16:
		return inConnect | inConnack | inAuth, &p.AuthData
	case 0x17:
		return inConnect, &p.RequestProblem
	case 0x18:
		return inWill, &p.WillDelay
	case 0x19:
		return inConnect, &p.RequestResponse
	case 0x1A:
		return inConnack, &p.ResponseInfo
	case 0x1C:
		return inConnack | inDisconn, &p.ServerReference
	case 0x1F:
		return inAnswer, &p.Reason
	case 0x21:
		return inConnect | inConnack, &p.ReceiveMaximum
	case 0x22:
		return inConnect | inConnack, &p.TopicAliasMax
	case 0x23:
		return inPublish, &p.TopicAlias
	case 0x24:
		return inConnack, &p.MaximumQoS
	case 0x25:
		return inConnack, &p.RetainAvailable
	case 0x26:
		return inAll, &p.User
	case 0x27:
		return inConnect | inConnack, &p.MaxPacketSize
	case 0x28:
		return inConnack, &p.WildcardSubs
	case 0x29:
		return inConnack, &p.SubscriptionID
	case 0x2A:
		return inConnack, &p.SharedSubs
	}
	return 0, nil
}

// properties reads the properties of a packet into p, which has none yet.
func (d *reader) properties(in where, p *Properties) {
	list := reader{b: d.take(int(d.varint()))}
	var seen uint64
	for len(list.b) > 0 {
		id := list.varint()
		if id > lastProperty {
			list.fail(MalformedPacket, "an unknown property")
			break
		}
		allowed, field := p.property(byte(id))
		switch {
		case field == nil:
			list.fail(MalformedPacket, "an unknown property")
		case allowed&in == 0:
			list.fail(MalformedPacket, "a property that this packet cannot have")
		case seen&(1<<id) != 0 && id != 0x26 && (id != 0x0B || in != inPublish):
			list.fail(ProtocolError, "a property twice")
		default:
			list.value(field)
			list.checkValue(byte(id), p)
		}
		seen |= 1 << id
	}
	if e := list.err; e != nil {
		d.fail(e.Code, e.Text)
	}
	d.check(p.AuthData == nil || p.AuthMethod != "", ProtocolError, "authentication data without a method")
}

// value reads one property into its field.
func (d *reader) value(field any) {
	switch f := field.(type) {
	case **byte: // all of them are flags
		c := d.flag()
		*f = &c
	case *byte:
		*f = d.flag()
	case **uint16:
		n := d.uint16()
		*f = &n
	case *uint16:
		*f = d.uint16()
	case **uint32:
		n := d.uint32()
		*f = &n
	case *uint32:
		*f = d.uint32()
	case *string:
		*f = d.string()
	case *[]byte:
		*f = d.binary()
	case *[]uint32:
		*f = append(*f, d.varint())
	case *[]Pair:
		*f = append(*f, Pair{d.string(), d.string()})
	}
}

// checkValue checks what the type of a property leaves open.
func (d *reader) checkValue(id byte, p *Properties) {
	if d.err != nil {
		return
	}
	switch id {
	case 0x08: // MQTT-3.3.2-14
		d.check(ValidTopicName(p.ResponseTopic), ProtocolError, "a response topic that is no topic name")
	case 0x0B:
		d.check(p.SubscriptionIDs[len(p.SubscriptionIDs)-1] != 0, ProtocolError, "subscription identifier 0")
	case 0x21:
		d.check(*p.ReceiveMaximum != 0, ProtocolError, "receive maximum 0")
	case 0x23: // MQTT-3.3.2-8
		d.check(*p.TopicAlias != 0, TopicAliasInvalid, "topic alias 0")
	case 0x27:
		d.check(*p.MaxPacketSize != 0, ProtocolError, "maximum packet size 0")
	}
}

// appendProperties writes those properties that the packet may have; the others
// are left out.
func appendProperties(b []byte, in where, p *Properties) []byte {
	at := len(b)
	b = append(b, 0)
	if p.none() {
		return b
	}
	for id := byte(1); id <= lastProperty; id++ {
		if allowed, field := p.property(id); allowed&in != 0 {
			b = appendValue(b, id, field)
		}
	}
	return finish(b, at, 1)
}

// none reports whether there are no properties at all, which is the usual case
// and so need not walk through them.
func (p *Properties) none() bool {
	return p.PayloadFormat == nil && p.MessageExpiry == nil && p.ContentType == "" && p.ResponseTopic == "" && p.CorrelationData == nil &&
		p.SubscriptionIDs == nil && p.SessionExpiry == nil && p.AssignedClient == "" && p.ServerKeepAlive == nil && p.AuthMethod == "" &&
		p.AuthData == nil && p.RequestProblem == nil && p.WillDelay == 0 && p.RequestResponse == 0 && p.ResponseInfo == "" &&
		p.ServerReference == "" && p.Reason == "" && p.ReceiveMaximum == nil && p.TopicAliasMax == 0 && p.TopicAlias == nil &&
		p.MaximumQoS == nil && p.RetainAvailable == nil && p.User == nil && p.MaxPacketSize == nil && p.WildcardSubs == nil &&
		p.SubscriptionID == nil && p.SharedSubs == nil
}

// appendValue writes a property unless it is absent.
func appendValue(b []byte, id byte, field any) []byte {
	switch f := field.(type) {
	case **byte:
		if *f != nil {
			b = append(b, id, **f)
		}
	case *byte:
		if *f != 0 {
			b = append(b, id, *f)
		}
	case **uint16:
		if *f != nil {
			b = appendUint16(append(b, id), **f)
		}
	case *uint16:
		if *f != 0 {
			b = appendUint16(append(b, id), *f)
		}
	case **uint32:
		if *f != nil {
			b = appendUint32(append(b, id), **f)
		}
	case *uint32:
		if *f != 0 {
			b = appendUint32(append(b, id), *f)
		}
	case *string:
		if *f != "" {
			b = appendString(append(b, id), *f)
		}
	case *[]byte:
		if *f != nil {
			b = appendString(append(b, id), *f)
		}
	case *[]uint32:
		for _, n := range *f {
			b = appendVarint(append(b, id), min(n, maxVarint))
		}
	case *[]Pair:
		for _, u := range *f {
			b = appendString(appendString(append(b, id), u.Name), u.Value)
		}
	}
	return b
}

// size is about how many bytes the properties of a message take: a guess for
// begin.
func (p *Properties) size() int {
	n := len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData) + 5*len(p.SubscriptionIDs)
	for _, u := range p.User {
		n += 5 + len(u.Name) + len(u.Value)
	}
	return n + 1
}
