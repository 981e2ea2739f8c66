package packet

// Return is the return code that MQTT 3.1.1 section 3.2.2.3 has for a reason to
// refuse a connection. ok is false if it has none: then the connection is closed
// without a CONNACK (MQTT-3.2.2-6 of 3.1.1).
func (c Code) Return() (code byte, ok bool) {
	switch c {
	case Success:
		return 0, true
	case UnsupportedVersion:
		return 1, true
	case ClientIDNotValid:
		return 2, true
	case UnspecifiedError, ImplementationError, ServerUnavailable, ServerBusy, ServerShuttingDown, QuotaExceeded,
		UseAnotherServer, ServerMoved, ConnectionRateExceeded:
		return 3, true
	case BadUserNameOrPassword:
		return 4, true
	case NotAuthorized, Banned, BadAuthenticationMethod:
		return 5, true
	}
	return 0, false
}

// returned is the way back, for who reads a CONNACK.
func returned(code byte) (c Code, ok bool) {
	codes := [...]Code{Success, UnsupportedVersion, ClientIDNotValid, ServerUnavailable, BadUserNameOrPassword, NotAuthorized}
	if int(code) >= len(codes) {
		return 0, false
	}
	return codes[code], true
}

// ParseConnack reads a CONNACK.
func ParseConnack(v Version, r Raw, c *Connack) error {
	*c = Connack{}
	d := open(v, r, CONNACK)
	flags := d.byte()
	d.check(flags <= 1, MalformedPacket, "reserved flags of a CONNACK")
	c.SessionPresent = flags == 1 && v > V31
	code := d.byte()
	d.check(code == 0 || !c.SessionPresent, ProtocolError, "a session is present and the connection refused") // MQTT-3.2.2-6
	if v >= V5 {
		c.Code = Code(code)
		d.reason(CONNACK, c.Code)
		d.properties(inConnack, &c.Props)
		return d.end()
	}
	known := false
	c.Code, known = returned(code)
	d.check(known, ProtocolError, "an unknown return code")
	return d.end()
}

func (c *Connack) parse(v Version, r Raw) error { return ParseConnack(v, r, c) }

// AppendTo writes the packet. Before 5.0 it writes nothing if there is no return
// code for the reason (Code.Return). A refusal never says that a session is
// present (MQTT-3.2.2-6), and MQTT 3.1 knows nothing of that.
func (c *Connack) AppendTo(b []byte, v Version) []byte {
	var flags byte
	if c.SessionPresent && !c.Code.Failed() && v > V31 {
		flags = 1
	}
	if v < V5 {
		code, ok := c.Code.Return()
		if !ok {
			return b
		}
		return single(b, CONNACK, 0, flags, code)
	}
	b, at := begin(b, CONNACK, 0, 0)
	b = appendProperties(append(b, flags, byte(c.Code)), inConnack, &c.Props)
	return finish(b, at, 1)
}
