package packet

// The flags of a CONNECT (MQTT 5.0 section 3.1.2.3).
const (
	flagReserved   = 0x01
	flagClean      = 0x02
	flagWill       = 0x04
	flagWillRetain = 0x20
	flagPassword   = 0x40
	flagUsername   = 0x80
)

// ParseConnect reads a CONNECT. The password, the payload of the will and other
// binary data point into the bytes. If it fails, c.Version is the version that
// the answer has to have (also for a version that does not exist), or 0 if the
// client did not get as far as to say one.
func ParseConnect(r Raw, c *Connect) error {
	*c = Connect{}
	d := open(V31, r, CONNECT)
	d.version(c)
	if d.err == nil {
		d.check(!r.Long || c.Version < V5, MalformedPacket, "the remaining length takes more bytes than it needs")
	}
	flags := d.byte()
	c.KeepAlive = d.uint16()
	d.connectFlags(c.Version, flags)
	c.CleanStart = flags&flagClean != 0
	if c.Version >= V5 {
		d.properties(inConnect, &c.Props)
	}
	c.ClientID = d.string()
	if flags&flagWill != 0 {
		c.Will = &Will{QoS: QoS(flags >> 3 & 3), Retain: flags&flagWillRetain != 0}
		if c.Version >= V5 {
			d.properties(inWill, &c.Will.Props)
		}
		c.Will.Topic = d.string()
		c.Will.Payload = d.binary()
		d.check(ValidTopicName(c.Will.Topic), TopicNameInvalid, "the topic of the will is no topic name")
	}
	// In MQTT 3.1 the length counts more than the flags (its section 3.1):
	// clients that are still older set the flags and have no fields.
	has := func(flag byte) bool { return flags&flag != 0 && (c.Version != V31 || len(d.b) > 0) }
	if c.HasUsername = has(flagUsername); c.HasUsername {
		c.Username = d.string()
	}
	if c.HasPassword = has(flagPassword); c.HasPassword {
		c.Password = d.binary()
	}
	return d.end()
}

func (c *Connect) parse(_ Version, r Raw) error { return ParseConnect(r, c) }

// version reads the name and the level of the protocol.
func (d *reader) version(c *Connect) {
	name, level := d.text(), d.byte()
	if d.err != nil {
		return
	}
	want := "MQTT"
	switch {
	case level < byte(V311):
		c.Version, want = V31, "MQIsdp"
	case level == byte(V311):
		c.Version = V311
	default:
		c.Version = V5
	}
	if string(name) != want || level != byte(c.Version) {
		d.fail(UnsupportedVersion, "the protocol is not MQTT 3.1, 3.1.1 or 5.0")
	}
}

func (d *reader) connectFlags(v Version, flags byte) {
	if d.err != nil {
		return
	}
	will := QoS(flags >> 3 & 3)
	d.check(flags&flagReserved == 0 || v == V31, MalformedPacket, "the reserved flag of a CONNECT")
	d.check(will <= 2, MalformedPacket, "a will with QoS 3")
	d.check(flags&flagWill != 0 || will == 0 && flags&flagWillRetain == 0, MalformedPacket, "flags of a will without a will")
	d.check(v >= V5 || flags&(flagUsername|flagPassword) != flagPassword, MalformedPacket, "a password without a user name")
}

// AppendTo writes the packet in its own version, which is c.Version if that is
// set and else v.
func (c *Connect) AppendTo(b []byte, v Version) []byte {
	if c.Version != 0 {
		v = c.Version
	}
	b, at := begin(b, CONNECT, 0, 0)
	name := "MQTT"
	if v == V31 {
		name = "MQIsdp"
	}
	b = append(appendString(b, name), byte(v), c.flags())
	b = appendUint16(b, c.KeepAlive)
	if v >= V5 {
		b = appendProperties(b, inConnect, &c.Props)
	}
	b = appendString(b, c.ClientID)
	if c.Will != nil {
		if v >= V5 {
			b = appendProperties(b, inWill, &c.Will.Props)
		}
		b = appendString(appendString(b, c.Will.Topic), c.Will.Payload)
	}
	if c.HasUsername {
		b = appendString(b, c.Username)
	}
	if c.HasPassword {
		b = appendString(b, c.Password)
	}
	return finish(b, at, 1)
}

func (c *Connect) flags() (f byte) {
	if c.CleanStart {
		f |= flagClean
	}
	if c.Will != nil {
		f |= flagWill | byte(c.Will.QoS)<<3
		if c.Will.Retain {
			f |= flagWillRetain
		}
	}
	if c.HasPassword {
		f |= flagPassword
	}
	if c.HasUsername {
		f |= flagUsername
	}
	return f
}
