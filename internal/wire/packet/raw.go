package packet

// Raw is one control packet whose body has not been read yet.
type Raw struct {
	Type  Type
	Flags byte // the low four bits of the first byte
	Body  []byte
	// Long is set if the remaining length took more bytes than it needs, which
	// MQTT 5.0 forbids (MQTT-1.5.5-1) and the older versions do not.
	Long bool
}

// maxVarint is the largest number in a variable byte integer (MQTT 5.0 section
// 1.5.5).
const maxVarint = 1<<28 - 1

// Split finds the first whole control packet in b and tells how many bytes it
// takes; n is 0 as long as bytes are missing. A packet of more than max bytes,
// its header included, is refused as soon as its length can be read, and a first
// byte that begins no packet at once.
func Split(b []byte, max int) (p Raw, n int, err error) {
	if len(b) == 0 {
		return Raw{}, 0, nil
	}
	p.Type, p.Flags = Type(b[0]>>4), b[0]&0x0F
	if e := p.checkFlags(); e != nil {
		return Raw{}, 0, e
	}
	size, used := 0, 0
	for {
		if used == 4 {
			return Raw{}, 0, malformed("the remaining length takes more than four bytes")
		}
		if 1+used == len(b) {
			return Raw{}, 0, nil
		}
		c := b[1+used]
		size |= int(c&0x7F) << (7 * used)
		used++
		if c < 0x80 {
			p.Long = c == 0 && used > 1
			break
		}
	}
	n = 1 + used + size
	if n > max {
		return Raw{}, 0, &Error{PacketTooLarge, "the packet is larger than allowed"}
	}
	if len(b) < n {
		return Raw{}, 0, nil
	}
	p.Body = b[1+used : n : n]
	return p, n, nil
}

// dup is the flag of a PUBLISH that is sent again. In MQTT 3.1 (section 2.1) it
// may be set in a few other packets too.
const dup = 0x08

// checkFlags checks the first byte (MQTT 5.0 section 2.1.3) as far as all
// versions agree.
func (r *Raw) checkFlags() *Error {
	switch r.Type {
	case PUBLISH:
		if r.Flags&0x06 == 0x06 {
			return malformed("a PUBLISH with QoS 3")
		}
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		if r.Flags&^dup != 0x02 {
			return malformed("reserved flags in the fixed header")
		}
	case 0:
		return malformed("packet type 0")
	default:
		if r.Flags != 0 {
			return malformed("reserved flags in the fixed header")
		}
	}
	return nil
}

// checkVersion checks what the versions do not agree about.
func (r *Raw) checkVersion(v Version) *Error {
	switch {
	case r.Long && v >= V5:
		return malformed("the remaining length takes more bytes than it needs")
	case r.Type == AUTH && v < V5:
		return malformed("packet type 15")
	case r.Type == PUBLISH && v > V31 && r.Flags&0x0E == dup:
		return malformed("a PUBLISH with QoS 0 that is sent again") // MQTT-3.3.1-2
	case r.Type != PUBLISH && v > V31 && r.Flags&dup != 0:
		return malformed("reserved flags in the fixed header")
	}
	return nil
}

// Parse reads a packet into a value of its type, of which it returns the
// address. The version is that of the connection; a CONNECT says its own. The
// error is an *Error.
func Parse(v Version, r Raw) (any, error) {
	var p interface{ parse(Version, Raw) error }
	switch r.Type {
	case CONNECT:
		p = new(Connect)
	case CONNACK:
		p = new(Connack)
	case PUBLISH:
		p = new(Publish)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		p = new(Ack)
	case SUBSCRIBE:
		p = new(Subscribe)
	case SUBACK:
		p = new(Suback)
	case UNSUBSCRIBE:
		p = new(Unsubscribe)
	case UNSUBACK:
		p = new(Unsuback)
	case PINGREQ, PINGRESP:
		p = new(Ping)
	case DISCONNECT:
		p = new(Disconnect)
	case AUTH:
		p = new(Auth)
	default:
		return nil, malformed("packet type 0")
	}
	if err := p.parse(v, r); err != nil {
		return nil, err
	}
	return p, nil
}

func malformed(text string) *Error { return &Error{MalformedPacket, text} }
