package packet

import (
	"bytes"
	"encoding/binary"
)

// PublishTopic gives the topic of a PUBLISH as it stands in the bytes, without
// having checked the packet: for who looks a name up before it is worth a
// string. It is nil if the packet is too short.
func PublishTopic(r Raw) []byte {
	d := reader{b: r.Body}
	return d.binary()
}

// ParsePublish reads a PUBLISH. The payload and the correlation data point into
// the bytes. p is overwritten, but p.Topic is kept if it is the topic of the
// packet already: who puts a name there that he has (PublishTopic), or reads one
// packet after the other into the same p, saves the copy.
//
// A topic alias and subscription identifiers are read in both directions;
// whether this side may get them is for the caller to decide.
func ParsePublish(v Version, r Raw, p *Publish) error {
	name := p.Topic
	*p = Publish{QoS: QoS(r.Flags >> 1 & 3), Retain: r.Flags&1 != 0}
	p.Dup = p.QoS > 0 && r.Flags&dup != 0
	d := open(v, r, PUBLISH)
	topic := d.text()
	// Such a name is well-formed text, so the code that says what is wrong is
	// that of the topic (MQTT-3.3.2-2, MQTT-4.7.1-1).
	d.check(bytes.IndexByte(topic, '+') < 0 && bytes.IndexByte(topic, '#') < 0, TopicNameInvalid, "the topic has a wildcard")
	d.check(p.QoS <= 2, MalformedPacket, "a PUBLISH with QoS 3")
	if p.QoS > 0 {
		p.ID = d.id()
	}
	if v >= V5 {
		d.properties(inPublish, &p.Props)
	}
	if len(topic) == 0 && d.err == nil {
		d.check(v >= V5, TopicNameInvalid, "the topic is empty")
		d.check(p.Props.TopicAlias != nil, ProtocolError, "neither a topic nor an alias")
	}
	if d.err != nil {
		return d.err
	}
	if string(topic) != name {
		name = string(topic)
	}
	p.Topic, p.Payload = name, d.b
	return nil
}

func (p *Publish) parse(v Version, r Raw) error { return ParsePublish(v, r, p) }

// AppendTo writes the packet.
func (p *Publish) AppendTo(b []byte, v Version) []byte {
	b, _ = AppendPublish(b, v, p)
	return b
}

// AppendPublish writes the packet and tells where in it, counted from its first
// byte, the packet identifier stands; 0 if it has none. See AppendWithID.
func AppendPublish(b []byte, v Version, p *Publish) (out []byte, id int) {
	first := len(b)
	flags := byte(p.QoS&3) << 1
	if p.Dup && p.QoS > 0 {
		flags |= dup
	}
	if p.Retain {
		flags |= 1
	}
	guess := len(p.Topic) + len(p.Payload) + 4
	if v >= V5 {
		guess += p.Props.size()
	}
	b, at := begin(b, PUBLISH, flags, guess)
	b = appendString(b, p.Topic)
	if p.QoS > 0 {
		b = appendUint16(b, p.ID)
	}
	if v >= V5 {
		b = appendProperties(b, inPublish, &p.Props)
	}
	b = finish(append(b, p.Payload...), at, varintLen(guess))
	return b, IDOffset(b[first:])
}

// IDOffset finds the packet identifier in a whole PUBLISH that this package
// wrote: its distance from the first byte, 0 if there is none.
func IDOffset(frame []byte) int {
	if len(frame) == 0 || frame[0]&0x06 == 0 {
		return 0
	}
	at := 1
	for at < len(frame) && frame[at] >= 0x80 {
		at++
	}
	at++
	if at+2 > len(frame) {
		return 0
	}
	return at + 2 + int(binary.BigEndian.Uint16(frame[at:]))
}

// AppendWithID writes a copy of a PUBLISH with another packet identifier, which
// stands at the offset id (AppendPublish, IDOffset), and as one that is sent
// again or not. Without an identifier (offset 0) it is a plain copy.
func AppendWithID(b, frame []byte, offset int, id uint16, again bool) []byte {
	first := len(b)
	b = append(b, frame...)
	if offset == 0 {
		return b
	}
	b[first] &^= dup
	if again {
		b[first] |= dup
	}
	binary.BigEndian.PutUint16(b[first+offset:], id)
	return b
}
