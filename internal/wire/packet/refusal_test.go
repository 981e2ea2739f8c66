package packet

import (
	"errors"
	"testing"
)

// refusals are packets that must not be accepted, and the code of the error.
var refusals = []struct {
	sample
	code Code
}{
	// The fixed header.
	{sample{"type 0", V311, 0x00, ""}, MalformedPacket},
	{sample{"type 15 before 5.0", V311, 0xf0, ""}, MalformedPacket},
	{sample{"flags of a connect", V311, 0x11, "\x00\x04MQTT\x04\x02\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"flags of a puback", V5, 0x42, "\x00\x01"}, MalformedPacket},
	{sample{"flags of a pubrel", V5, 0x60, "\x00\x01"}, MalformedPacket},
	{sample{"flags of a subscribe", V311, 0x80, "\x00\x01\x00\x01a\x00"}, MalformedPacket},
	{sample{"dup of a subscribe", V311, 0x8a, "\x00\x01\x00\x01a\x00"}, MalformedPacket},
	{sample{"flags of an unsubscribe", V311, 0xa3, "\x00\x01\x00\x01a"}, MalformedPacket},
	{sample{"dup of a pubrel", V5, 0x6a, "\x00\x01"}, MalformedPacket},
	{sample{"flags of a pingreq", V311, 0xc1, ""}, MalformedPacket},
	{sample{"flags of a disconnect", V311, 0xe1, ""}, MalformedPacket},
	{sample{"flags of a disconnect 5.0", V5, 0xe8, ""}, MalformedPacket},
	{sample{"flags of an auth", V5, 0xf2, ""}, MalformedPacket},

	// CONNECT.
	{sample{"connect without a body", V311, 0x10, ""}, MalformedPacket},
	{sample{"connect that is cut short", V311, 0x10, "\x00\x04MQTT\x04\x02\x00\x00\x00\x03ab"}, MalformedPacket},
	{sample{"connect that is too long", V311, 0x10, "\x00\x04MQTT\x04\x02\x00\x00\x00\x01ab"}, MalformedPacket},
	{sample{"another protocol name", V311, 0x10, "\x00\x04HTTP\x04\x02\x00\x00\x00\x00"}, UnsupportedVersion},
	{sample{"another protocol name 5.0", V5, 0x10, "\x00\x04mqtt\x05\x02\x00\x00\x00\x00\x00"}, UnsupportedVersion},
	{sample{"the name of 3.1.1 in 3.1", V31, 0x10, "\x00\x04MQTT\x03\x02\x00\x00\x00\x01a"}, UnsupportedVersion},
	{sample{"the name of 3.1 in 3.1.1", V311, 0x10, "\x00\x06MQIsdp\x04\x02\x00\x00\x00\x01a"}, UnsupportedVersion},
	{sample{"level 6", V5, 0x10, "\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00"}, UnsupportedVersion},
	{sample{"level 2", V31, 0x10, "\x00\x06MQIsdp\x02\x02\x00\x00\x00\x01a"}, UnsupportedVersion},
	{sample{"reserved connect flag", V311, 0x10, "\x00\x04MQTT\x04\x03\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"reserved connect flag 5.0", V5, 0x10, "\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"will QoS without a will", V311, 0x10, "\x00\x04MQTT\x04\x0a\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"will retain without a will", V311, 0x10, "\x00\x04MQTT\x04\x22\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"will QoS 3", V311, 0x10, "\x00\x04MQTT\x04\x1e\x00\x00\x00\x00\x00\x01t\x00\x00"}, MalformedPacket},
	{sample{"will without a topic and payload", V311, 0x10, "\x00\x04MQTT\x04\x06\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"will topic with a wildcard", V311, 0x10, "\x00\x04MQTT\x04\x06\x00\x00\x00\x00\x00\x01#\x00\x00"}, TopicNameInvalid},
	{sample{"will topic that is empty", V5, 0x10, "\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, TopicNameInvalid},
	{sample{"will topic that is no UTF-8", V311, 0x10, "\x00\x04MQTT\x04\x06\x00\x00\x00\x00\x00\x01\xff\x00\x00"}, MalformedPacket},
	{sample{"password without user name", V311, 0x10, "\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x01p"}, MalformedPacket},
	{sample{"password without user name 3.1", V31, 0x10, "\x00\x06MQIsdp\x03\x42\x00\x00\x00\x01a\x00\x01p"}, MalformedPacket},
	{sample{"user name flag without a user name", V311, 0x10, "\x00\x04MQTT\x04\x82\x00\x00\x00\x00"}, MalformedPacket},
	{sample{"user name without its flag", V311, 0x10, "\x00\x04MQTT\x04\x02\x00\x00\x00\x00\x00\x01u"}, MalformedPacket},
	{sample{"password flag without a password", V311, 0x10, "\x00\x04MQTT\x04\xc2\x00\x00\x00\x00\x00\x01u"}, MalformedPacket},
	{sample{"user name that is no UTF-8", V311, 0x10, "\x00\x04MQTT\x04\x82\x00\x00\x00\x00\x00\x01\xff"}, MalformedPacket},
	{sample{"client ID with a surrogate", V311, 0x10, "\x00\x04MQTT\x04\x02\x00\x00\x00\x03\xed\xa0\x80"}, MalformedPacket},
	{sample{"client ID with U+0000", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01\x00"}, MalformedPacket},
	{sample{"client ID with an overlong form", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x02\xc0\x80"}, MalformedPacket},
	{sample{"connect 5.0 without properties", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00"}, MalformedPacket},
	{sample{"receive maximum 0", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00"}, ProtocolError},
	{sample{"maximum packet size 0", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x00"}, ProtocolError},
	{sample{"request problem information 2", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x02\x00\x00"}, ProtocolError},
	{sample{"request response information 2", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x02\x19\x02\x00\x00"}, ProtocolError},
	{sample{"authentication data alone", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01d\x00\x00"}, ProtocolError},
	{sample{"session expiry twice", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01\x00\x00"}, ProtocolError},
	{sample{"will delay in a connect", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x05\x18\x00\x00\x00\x01\x00\x00"}, MalformedPacket},
	{sample{"receive maximum in a will", V5, 0x10, "\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x00\x03\x21\x00\x01\x00\x01t\x00\x00"}, MalformedPacket},
	{sample{"will payload format 2", V5, 0x10, "\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x00\x02\x01\x02\x00\x01t\x00\x00"}, ProtocolError},

	// CONNACK.
	{sample{"reserved connack flags", V311, 0x20, "\x02\x00"}, MalformedPacket},
	{sample{"unknown return code", V311, 0x20, "\x00\x06"}, ProtocolError},
	{sample{"session present beside a refusal", V5, 0x20, "\x01\x87\x00"}, ProtocolError},
	{sample{"connack with a code of another packet", V5, 0x20, "\x00\x01\x00"}, ProtocolError},
	{sample{"connack that is too long", V311, 0x20, "\x00\x00\x00"}, MalformedPacket},
	{sample{"maximum QoS 2", V5, 0x20, "\x00\x00\x02\x24\x02"}, ProtocolError},

	// PUBLISH.
	{sample{"QoS 3", V311, 0x36, "\x00\x01t\x00\x01"}, MalformedPacket},
	{sample{"dup with QoS 0", V311, 0x38, "\x00\x01t"}, MalformedPacket},
	{sample{"publish without a topic", V311, 0x30, "\x00"}, MalformedPacket},
	{sample{"topic that is empty", V311, 0x30, "\x00\x00x"}, TopicNameInvalid},
	{sample{"topic that is empty without an alias", V5, 0x30, "\x00\x00\x00x"}, ProtocolError},
	{sample{"topic with +", V311, 0x30, "\x00\x03a/+x"}, TopicNameInvalid},
	{sample{"topic with #", V5, 0x30, "\x00\x01#\x00x"}, TopicNameInvalid},
	{sample{"topic with U+0000", V311, 0x30, "\x00\x02a\x00x"}, MalformedPacket},
	{sample{"topic that is no UTF-8", V311, 0x30, "\x00\x01\x80x"}, MalformedPacket},
	{sample{"publish with packet ID 0", V311, 0x32, "\x00\x01t\x00\x00x"}, ProtocolError},
	{sample{"publish without a packet ID", V311, 0x32, "\x00\x01t\x00"}, MalformedPacket},
	{sample{"topic alias 0", V5, 0x30, "\x00\x01t\x03\x23\x00\x00"}, TopicAliasInvalid},
	{sample{"topic alias twice", V5, 0x30, "\x00\x01t\x06\x23\x00\x01\x23\x00\x01"}, ProtocolError},
	{sample{"payload format 2", V5, 0x30, "\x00\x01t\x02\x01\x02"}, ProtocolError},
	{sample{"response topic with a wildcard", V5, 0x30, "\x00\x01t\x06\x08\x00\x03a/+"}, ProtocolError},
	{sample{"response topic that is empty", V5, 0x30, "\x00\x01t\x03\x08\x00\x00"}, ProtocolError},
	{sample{"content type twice", V5, 0x30, "\x00\x01t\x08\x03\x00\x01a\x03\x00\x01a"}, ProtocolError},
	{sample{"content type that is no UTF-8", V5, 0x30, "\x00\x01t\x04\x03\x00\x01\xff"}, MalformedPacket},
	{sample{"subscription identifier 0", V5, 0x30, "\x00\x01t\x02\x0b\x00"}, ProtocolError},
	{sample{"subscription identifier of five bytes", V5, 0x30, "\x00\x01t\x06\x0b\x80\x80\x80\x80\x01"}, MalformedPacket},
	{sample{"subscription identifier that is too long", V5, 0x30, "\x00\x01t\x03\x0b\x81\x00"}, MalformedPacket},
	{sample{"unknown property", V5, 0x30, "\x00\x01t\x02\x04\x00"}, MalformedPacket},
	{sample{"unknown property 0x2b", V5, 0x30, "\x00\x01t\x02\x2b\x00"}, MalformedPacket},
	{sample{"property that is written too long", V5, 0x30, "\x00\x01t\x03\x81\x00\x01"}, MalformedPacket},
	{sample{"properties longer than the packet", V5, 0x30, "\x00\x01t\x09\x01\x01"}, MalformedPacket},
	{sample{"property longer than the properties", V5, 0x30, "\x00\x01t\x03\x03\x00\x01a"}, MalformedPacket},
	{sample{"user property that is cut short", V5, 0x30, "\x00\x01t\x04\x26\x00\x01a"}, MalformedPacket},
	{sample{"message expiry that is cut short", V5, 0x30, "\x00\x01t\x04\x02\x00\x00\x01"}, MalformedPacket},
	{sample{"session expiry in a publish", V5, 0x30, "\x00\x01t\x05\x11\x00\x00\x00\x01"}, MalformedPacket},

	// The acknowledgements.
	{sample{"puback without an ID", V311, 0x40, "\x00"}, MalformedPacket},
	{sample{"puback with packet ID 0", V5, 0x40, "\x00\x00"}, ProtocolError},
	{sample{"puback that is too long", V311, 0x40, "\x00\x01\x00"}, MalformedPacket},
	{sample{"puback with a code of another packet", V5, 0x40, "\x00\x01\x92"}, ProtocolError},
	{sample{"pubrec with an unknown code", V5, 0x50, "\x00\x01\x7f"}, ProtocolError},
	{sample{"pubrel with a code of another packet", V5, 0x62, "\x00\x01\x80"}, ProtocolError},
	{sample{"pubcomp with properties that are too long", V5, 0x70, "\x00\x01\x00\x00\x00"}, MalformedPacket},
	{sample{"puback with a topic alias", V5, 0x40, "\x00\x01\x00\x03\x23\x00\x01"}, MalformedPacket},

	// SUBSCRIBE and UNSUBSCRIBE.
	{sample{"subscribe without a filter", V311, 0x82, "\x00\x01"}, ProtocolError},
	{sample{"subscribe without a filter 5.0", V5, 0x82, "\x00\x01\x00"}, ProtocolError},
	{sample{"subscribe with packet ID 0", V311, 0x82, "\x00\x00\x00\x01a\x00"}, ProtocolError},
	{sample{"subscribe without a QoS", V311, 0x82, "\x00\x01\x00\x01a"}, MalformedPacket},
	{sample{"subscription with QoS 3", V311, 0x82, "\x00\x01\x00\x01a\x03"}, MalformedPacket},
	{sample{"subscription with QoS 3 5.0", V5, 0x82, "\x00\x01\x00\x00\x01a\x03"}, ProtocolError},
	{sample{"reserved bits beside the QoS", V311, 0x82, "\x00\x01\x00\x01a\x04"}, MalformedPacket},
	{sample{"reserved bits of the options", V5, 0x82, "\x00\x01\x00\x00\x01a\x40"}, MalformedPacket},
	{sample{"retain handling 3", V5, 0x82, "\x00\x01\x00\x00\x01a\x30"}, ProtocolError},
	{sample{"no local on a shared subscription", V5, 0x82, "\x00\x01\x00\x00\x0a$share/g/a\x04"}, ProtocolError},
	{sample{"filter that is no UTF-8", V311, 0x82, "\x00\x01\x00\x01\xc3\x00"}, MalformedPacket},
	{sample{"filter with U+0000", V5, 0x82, "\x00\x01\x00\x00\x01\x00\x00"}, MalformedPacket},
	{sample{"subscribe with identifier 0", V5, 0x82, "\x00\x01\x02\x0b\x00\x00\x01a\x00"}, ProtocolError},
	{sample{"subscribe with two identifiers", V5, 0x82, "\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00"}, ProtocolError},
	{sample{"suback without a code", V311, 0x90, "\x00\x01"}, ProtocolError},
	{sample{"suback with an unknown code", V311, 0x90, "\x00\x01\x03"}, ProtocolError},
	{sample{"suback with a code of another packet", V5, 0x90, "\x00\x01\x00\x11"}, ProtocolError},
	{sample{"unsubscribe without a filter", V311, 0xa2, "\x00\x01"}, ProtocolError},
	{sample{"unsubscribe without a filter 5.0", V5, 0xa2, "\x00\x01\x00"}, ProtocolError},
	{sample{"unsubscribe with packet ID 0", V5, 0xa2, "\x00\x00\x00\x00\x01a"}, ProtocolError},
	{sample{"unsubscribe that is cut short", V5, 0xa2, "\x00\x01\x00\x00\x02a"}, MalformedPacket},
	{sample{"unsuback with a code of another packet", V5, 0xb0, "\x00\x01\x00\x10"}, ProtocolError},
	{sample{"unsuback that is too long", V311, 0xb0, "\x00\x01\x00"}, MalformedPacket},

	// The rest.
	{sample{"pingreq with a body", V311, 0xc0, "\x00"}, MalformedPacket},
	{sample{"disconnect with a body before 5.0", V311, 0xe0, "\x00"}, MalformedPacket},
	{sample{"disconnect with an unknown code", V5, 0xe0, "\x01"}, ProtocolError},
	{sample{"disconnect with a receive maximum", V5, 0xe0, "\x00\x03\x21\x00\x01"}, MalformedPacket},
	{sample{"session expiry twice in a disconnect", V5, 0xe0, "\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01"}, ProtocolError},
	{sample{"auth without a method", V5, 0xf0, "\x18\x00"}, ProtocolError},
	{sample{"auth without properties", V5, 0xf0, "\x18"}, MalformedPacket},
	{sample{"auth with a code of another packet", V5, 0xf0, "\x87\x04\x15\x00\x01m"}, ProtocolError},
	{sample{"auth with a method twice", V5, 0xf0, "\x18\x08\x15\x00\x01m\x15\x00\x01m"}, ProtocolError},
}

// read is what a connection does with bytes.
func read(v Version, b []byte) (any, error) {
	raw, n, err := Split(b, 1<<16)
	if err != nil || n == 0 {
		return nil, err
	}
	return Parse(v, raw)
}

func wantCode(t *testing.T, err error, want Code) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, want one with %v", err, want)
	}
	if e.Code != want || e.Text == "" {
		t.Fatalf("the error is %v, want %v", e, want)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(c.v, c.bytes())
			wantCode(t, err, c.code)
		})
	}
}

// TestWrongType checks that the parser of one packet takes no other.
func TestWrongType(t *testing.T) {
	ping, connect := Raw{Type: PINGREQ}, Raw{Type: CONNECT}
	for name, err := range map[string]error{
		"connect":     ParseConnect(ping, new(Connect)),
		"connack":     ParseConnack(V5, ping, new(Connack)),
		"publish":     ParsePublish(V5, ping, new(Publish)),
		"ack":         ParseAck(V5, ping, new(Ack)),
		"subscribe":   ParseSubscribe(V5, ping, new(Subscribe)),
		"suback":      ParseSuback(V5, ping, new(Suback)),
		"unsubscribe": ParseUnsubscribe(V5, ping, new(Unsubscribe)),
		"unsuback":    ParseUnsuback(V5, ping, new(Unsuback)),
		"disconnect":  ParseDisconnect(V5, ping, new(Disconnect)),
		"auth":        ParseAuth(V5, ping, new(Auth)),
		"ping":        ParsePing(V5, connect, new(Ping)),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, err, ProtocolError) })
	}
	if p, err := Parse(V5, Raw{}); err == nil {
		t.Errorf("type 0 is %v", p)
	}
	wantCode(t, ParsePublish(V5, Raw{Type: PUBLISH, Flags: 6, Body: []byte("\x00\x01t\x00\x01\x00")}, new(Publish)), MalformedPacket)
}

// TestRefusedVersion checks in which version a CONNECT that is refused is
// answered.
func TestRefusedVersion(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       Version
	}{
		{"no version", "\x00\x04MQ", 0},
		{"level 0", "\x00\x06MQIsdp\x00\x00", V31},
		{"level 3 of a bridge", "\x00\x06MQIsdp\x83\x00", V5},
		{"the name of 3.1 in 3.1.1", "\x00\x06MQIsdp\x04\x00", V311},
		{"level 9", "\x00\x04MQTT\x09\x00", V5},
		{"reserved flag", "\x00\x04MQTT\x05\x01\x00\x00\x00\x00\x00", V5},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Connect{Version: 77}
			if err := ParseConnect(Raw{Type: CONNECT, Body: []byte(c.body)}, &p); err == nil || p.Version != c.want {
				t.Errorf("version %d and the error %v, want version %d", p.Version, err, c.want)
			}
		})
	}
}
