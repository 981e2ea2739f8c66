package packet

// ParsePing reads a PINGREQ or a PINGRESP.
func ParsePing(v Version, r Raw, p *Ping) error {
	p.Type = r.Type
	d := open(v, r, PINGREQ, PINGRESP)
	return d.end()
}

func (p *Ping) parse(v Version, r Raw) error { return ParsePing(v, r, p) }

// AppendTo writes the packet.
func (p *Ping) AppendTo(b []byte, _ Version) []byte { return single(b, p.Type, 0) }

// ParseDisconnect reads a DISCONNECT. In the short forms of MQTT 5.0 (section
// 3.14.2) the code is Success.
func ParseDisconnect(v Version, r Raw, p *Disconnect) error {
	*p = Disconnect{}
	d := open(v, r, DISCONNECT)
	if v >= V5 && len(d.b) > 0 {
		p.Code = Code(d.byte())
		d.reason(DISCONNECT, p.Code)
		if len(d.b) > 0 {
			d.properties(inDisconn, &p.Props)
		}
	}
	return d.end()
}

func (p *Disconnect) parse(v Version, r Raw) error { return ParseDisconnect(v, r, p) }

// AppendTo writes the packet in the shortest form.
func (p *Disconnect) AppendTo(b []byte, v Version) []byte {
	if v < V5 {
		return single(b, DISCONNECT, 0)
	}
	first := len(b)
	b, at := begin(b, DISCONNECT, 0, 0)
	b = finish(appendProperties(append(b, byte(p.Code)), inDisconn, &p.Props), at, 1)
	if b[first+1] == 2 { // a code and no properties
		b = b[:first]
		if p.Code == Success {
			return single(b, DISCONNECT, 0)
		}
		return single(b, DISCONNECT, 0, byte(p.Code))
	}
	return b
}

// ParseAuth reads an AUTH, which MQTT 5.0 alone has. In the short form (section
// 3.15.2.1) it has no method.
func ParseAuth(v Version, r Raw, a *Auth) error {
	*a = Auth{}
	d := open(v, r, AUTH)
	if len(d.b) > 0 {
		a.Code = Code(d.byte())
		d.reason(AUTH, a.Code)
		d.properties(inAuth, &a.Props)
		d.check(a.Props.AuthMethod != "", ProtocolError, "an AUTH without a method")
	}
	return d.end()
}

func (a *Auth) parse(v Version, r Raw) error { return ParseAuth(v, r, a) }

// AppendTo writes the packet in the shortest form; nothing before 5.0.
func (a *Auth) AppendTo(b []byte, v Version) []byte {
	if v < V5 {
		return b
	}
	first := len(b)
	b, at := begin(b, AUTH, 0, 0)
	b = finish(appendProperties(append(b, byte(a.Code)), inAuth, &a.Props), at, 1)
	if b[first+1] == 2 && a.Code == Success {
		return single(b[:first], AUTH, 0)
	}
	return b
}

// reason checks that a reason code is one of those that the packet may have
// (MQTT 5.0 section 2.4).
func (d *reader) reason(t Type, c Code) {
	d.check(c.allowed(t), ProtocolError, "a reason code that this packet cannot have")
}

func (c Code) allowed(t Type) bool {
	switch c {
	case Success:
		return true
	case DisconnectWithWill:
		return t == DISCONNECT
	case GrantedQoS1, GrantedQoS2:
		return t == SUBACK
	case NoMatchingSubscribers:
		return t == PUBACK || t == PUBREC
	case NoSubscriptionExisted:
		return t == UNSUBACK
	case ContinueAuthentication, Reauthenticate:
		return t == AUTH
	case PacketIDNotFound:
		return t == PUBREL || t == PUBCOMP
	case PacketIDInUse:
		return t == PUBACK || t == PUBREC || t == SUBACK || t == UNSUBACK
	case UnspecifiedError, ImplementationError, NotAuthorized:
		return t != PUBREL && t != PUBCOMP && t != AUTH
	case TopicFilterInvalid:
		return t == SUBACK || t == UNSUBACK || t == DISCONNECT
	case TopicNameInvalid, PayloadFormatInvalid:
		return t == CONNACK || t == PUBACK || t == PUBREC || t == DISCONNECT
	case QuotaExceeded:
		return t == CONNACK || t == PUBACK || t == PUBREC || t == SUBACK || t == DISCONNECT
	case SharedSubsNotSupported, SubscriptionIDsNotSupport, WildcardSubsNotSupported:
		return t == SUBACK || t == DISCONNECT
	case UnsupportedVersion, ClientIDNotValid, BadUserNameOrPassword, ServerUnavailable, Banned:
		return t == CONNACK
	case KeepAliveTimeout, SessionTakenOver, ReceiveMaximumExceeded, TopicAliasInvalid, MessageRateTooHigh,
		AdministrativeAction, MaximumConnectTime, ServerShuttingDown:
		return t == DISCONNECT
	case MalformedPacket, ProtocolError, ServerBusy, BadAuthenticationMethod, PacketTooLarge, RetainNotSupported,
		QoSNotSupported, UseAnotherServer, ServerMoved, ConnectionRateExceeded:
		return t == CONNACK || t == DISCONNECT
	}
	return false
}
