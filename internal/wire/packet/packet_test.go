package packet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is one packet as bytes: the first byte and what follows the remaining
// length.
type sample struct {
	name  string
	v     Version
	first byte
	body  string
}

// bytes is the whole packet.
func (s sample) bytes() []byte {
	b := []byte{s.first}
	for n := len(s.body); ; n /= 128 {
		if n < 128 {
			b = append(b, byte(n))
			break
		}
		b = append(b, byte(n%128)+128)
	}
	return append(b, s.body...)
}

// goldens are packets and what they say. Each is both read and written.
var goldens = []struct {
	sample
	packet appender
}{
	{sample{"connect 3.1", V31, 0x10, "\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x03abc"},
		&Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "abc"}},
	{sample{"connect 3.1 with everything", V31, 0x10, "\x00\x06MQIsdp\x03\xec\x00\x00\x00\x01i\x00\x01t\x00\x01p\x00\x01u\x00\x02pw"},
		&Connect{Version: V31, ClientID: "i", Will: &Will{Topic: "t", Payload: []byte("p"), QoS: 1, Retain: true}, Username: "u", HasUsername: true, Password: []byte("pw"), HasPassword: true}},
	{sample{"connect 3.1.1", V311, 0x10, "\x00\x04MQTT\x04\x00\xff\xff\x00\x00"},
		&Connect{Version: V311, KeepAlive: 65535}},
	{sample{"connect 3.1.1 with everything", V311, 0x10, "\x00\x04MQTT\x04\xd6\x00\x0a\x00\x01i\x00\x03t/t\x00\x02\x00\xff\x00\x00\x00\x00"},
		&Connect{Version: V311, CleanStart: true, KeepAlive: 10, ClientID: "i", Will: &Will{Topic: "t/t", Payload: []byte{0, 255}, QoS: 2}, HasUsername: true, Password: []byte{}, HasPassword: true}},
	{sample{"connect 5.0", V5, 0x10, "\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"},
		&Connect{Version: V5, CleanStart: true}},
	{sample{"connect 5.0 with a password and no user name", V5, 0x10, "\x00\x04MQTT\x05\x40\x00\x00\x00\x00\x01i\x00\x01p"},
		&Connect{Version: V5, ClientID: "i", Password: []byte("p"), HasPassword: true}},
	{sample{"connect 5.0 with everything", V5, 0x10, "\x00\x04MQTT\x05\xf4\x00\x1e" +
		"\x29\x11\x00\x00\x00\x3c\x15\x00\x01m\x16\x00\x01d\x17\x00\x19\x01\x21\x00\x14\x22\x00\x0a\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x00\x27\x00\x00\x10\x00\x00\x01i" +
		"\x22\x01\x01\x02\x00\x00\x00\x09\x03\x00\x04text\x08\x00\x01r\x09\x00\x01c\x18\x00\x00\x00\x05\x26\x00\x01a\x00\x01b\x00\x01t\x00\x01p" +
		"\x00\x01u\x00\x01w"},
		&Connect{Version: V5, KeepAlive: 30, ClientID: "i", Username: "u", HasUsername: true, Password: []byte("w"), HasPassword: true,
			Props: Properties{SessionExpiry: new(uint32(60)), AuthMethod: "m", AuthData: []byte("d"), RequestProblem: new(byte(0)), RequestResponse: 1, ReceiveMaximum: new(uint16(20)),
				TopicAliasMax: 10, User: []Pair{{"a", "b"}, {"a", ""}}, MaxPacketSize: new(uint32(4096))},
			Will: &Will{Topic: "t", Payload: []byte("p"), QoS: 2, Retain: true, Props: Properties{PayloadFormat: new(byte(1)), MessageExpiry: new(uint32(9)), ContentType: "text",
				ResponseTopic: "r", CorrelationData: []byte("c"), WillDelay: 5, User: []Pair{{"a", "b"}}}}}},
	{sample{"connack 3.1", V31, 0x20, "\x00\x00"}, &Connack{}},
	{sample{"connack 3.1 refused", V31, 0x20, "\x00\x04"}, &Connack{Code: BadUserNameOrPassword}},
	{sample{"connack 3.1.1", V311, 0x20, "\x01\x00"}, &Connack{SessionPresent: true}},
	{sample{"connack 3.1.1 refused", V311, 0x20, "\x00\x05"}, &Connack{Code: NotAuthorized}},
	{sample{"connack 5.0", V5, 0x20, "\x01\x00\x00"}, &Connack{SessionPresent: true}},
	{sample{"connack 5.0 refused", V5, 0x20, "\x00\x86\x05\x1f\x00\x02no"}, &Connack{Code: BadUserNameOrPassword, Props: Properties{Reason: "no"}}},
	{sample{"connack 5.0 with everything", V5, 0x20, "\x00\x00\x3d" +
		"\x11\xff\xff\xff\xff\x12\x00\x02id\x13\x00\x3c\x15\x00\x01m\x16\x00\x01d\x1a\x00\x01r\x1c\x00\x01s\x1f\x00\x01e\x21\x00\x14\x22\x00\x0a\x24\x01\x25\x00\x26\x00\x01a\x00\x01b\x27\x00\x01\x00\x00\x28\x00\x29\x01\x2a\x00"},
		&Connack{Props: Properties{SessionExpiry: new(uint32(1<<32 - 1)), AssignedClient: "id", ServerKeepAlive: new(uint16(60)), AuthMethod: "m", AuthData: []byte("d"), ResponseInfo: "r",
			ServerReference: "s", Reason: "e", ReceiveMaximum: new(uint16(20)), TopicAliasMax: 10, MaximumQoS: new(byte(1)), RetainAvailable: new(byte(0)), User: []Pair{{"a", "b"}},
			MaxPacketSize: new(uint32(65536)), WildcardSubs: new(byte(0)), SubscriptionID: new(byte(1)), SharedSubs: new(byte(0))}}},
	{sample{"publish 3.1", V31, 0x30, "\x00\x03a/bhello"}, &Publish{Topic: "a/b", Payload: []byte("hello")}},
	{sample{"publish 3.1.1 QoS 0", V311, 0x31, "\x00\x03a/b"}, &Publish{Retain: true, Topic: "a/b", Payload: []byte{}}},
	{sample{"publish 3.1.1 QoS 1", V311, 0x3a, "\x00\x03a/b\x12\x34x"}, &Publish{Dup: true, QoS: 1, ID: 0x1234, Topic: "a/b", Payload: []byte("x")}},
	{sample{"publish 3.1.1 QoS 2", V311, 0x3d, "\x00\x01t\x00\x01x"}, &Publish{Dup: true, Retain: true, QoS: 2, ID: 1, Topic: "t", Payload: []byte("x")}},
	{sample{"publish 5.0", V5, 0x30, "\x00\x01t\x00x"}, &Publish{Topic: "t", Payload: []byte("x")}},
	{sample{"publish 5.0 by alias", V5, 0x32, "\x00\x00\x00\x01\x03\x23\x00\x07x"}, &Publish{QoS: 1, ID: 1, Payload: []byte("x"), Props: Properties{TopicAlias: new(uint16(7))}}},
	{sample{"publish 5.0 with everything", V5, 0x34, "\x00\x01t\x00\x01\x34" +
		"\x01\x01\x02\x00\x00\x00\x09\x03\x00\x04text\x08\x00\x01r\x09\x00\x02\x00\x01\x0b\x01\x0b\xff\xff\xff\x7f\x23\x00\x01\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x01c\x26\x00\x00\x00\x00x"},
		&Publish{QoS: 2, ID: 1, Topic: "t", Payload: []byte("x"), Props: Properties{PayloadFormat: new(byte(1)), MessageExpiry: new(uint32(9)), ContentType: "text", ResponseTopic: "r",
			CorrelationData: []byte{0, 1}, SubscriptionIDs: []uint32{1, 1<<28 - 1}, TopicAlias: new(uint16(1)), User: []Pair{{"a", "b"}, {"a", "c"}, {"", ""}}}}},
	{sample{"puback 3.1", V31, 0x40, "\x00\x01"}, &Ack{Type: PUBACK, ID: 1}},
	{sample{"puback 3.1.1", V311, 0x40, "\xff\xff"}, &Ack{Type: PUBACK, ID: 65535}},
	{sample{"pubrec 3.1.1", V311, 0x50, "\x00\x01"}, &Ack{Type: PUBREC, ID: 1}},
	{sample{"pubrel 3.1.1", V311, 0x62, "\x00\x01"}, &Ack{Type: PUBREL, ID: 1}},
	{sample{"pubcomp 3.1.1", V311, 0x70, "\x00\x01"}, &Ack{Type: PUBCOMP, ID: 1}},
	{sample{"puback 5.0", V5, 0x40, "\x00\x01"}, &Ack{Type: PUBACK, ID: 1}},
	{sample{"puback 5.0 with a code", V5, 0x40, "\x00\x01\x10"}, &Ack{Type: PUBACK, ID: 1, Code: NoMatchingSubscribers}},
	{sample{"pubrec 5.0 with everything", V5, 0x50, "\x00\x01\x87\x0c\x1f\x00\x02no\x26\x00\x01a\x00\x01b"},
		&Ack{Type: PUBREC, ID: 1, Code: NotAuthorized, Props: Properties{Reason: "no", User: []Pair{{"a", "b"}}}}},
	{sample{"pubrel 5.0 with a code", V5, 0x62, "\x00\x01\x92"}, &Ack{Type: PUBREL, ID: 1, Code: PacketIDNotFound}},
	{sample{"pubcomp 5.0 with a reason", V5, 0x70, "\x00\x01\x00\x05\x1f\x00\x02ok"}, &Ack{Type: PUBCOMP, ID: 1, Props: Properties{Reason: "ok"}}},
	{sample{"subscribe 3.1", V31, 0x82, "\x00\x01\x00\x01#\x02"}, &Subscribe{ID: 1, List: []Subscription{{Filter: "#", QoS: 2}}}},
	{sample{"subscribe 3.1.1", V311, 0x82, "\x00\x01\x00\x03a/+\x01\x00\x01b\x00"}, &Subscribe{ID: 1, List: []Subscription{{Filter: "a/+", QoS: 1}, {Filter: "b"}}}},
	{sample{"subscribe 5.0", V5, 0x82, "\x00\x01\x00\x00\x01a\x2e\x00\x0c$share/g/a/+\x11"},
		&Subscribe{ID: 1, List: []Subscription{{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}, {Filter: "$share/g/a/+", QoS: 1, RetainHandling: 1}}}},
	{sample{"subscribe 5.0 with everything", V5, 0x82, "\x00\x01\x0a\x0b\x80\x01\x26\x00\x01a\x00\x01b\x00\x01a\x00"},
		&Subscribe{ID: 1, List: []Subscription{{Filter: "a"}}, Props: Properties{SubscriptionIDs: []uint32{128}, User: []Pair{{"a", "b"}}}}},
	{sample{"suback 3.1", V31, 0x90, "\x00\x01\x00\x01\x02"}, &Suback{ID: 1, Codes: []Code{0, 1, 2}}},
	{sample{"suback 3.1.1", V311, 0x90, "\x00\x01\x02\x80"}, &Suback{ID: 1, Codes: []Code{2, 0x80}}},
	{sample{"suback 5.0", V5, 0x90, "\x00\x01\x05\x1f\x00\x02no\x00\x8f\x87"}, &Suback{ID: 1, Codes: []Code{0, TopicFilterInvalid, NotAuthorized}, Props: Properties{Reason: "no"}}},
	{sample{"unsubscribe 3.1", V31, 0xa2, "\x00\x01\x00\x01a"}, &Unsubscribe{ID: 1, Filters: []string{"a"}}},
	{sample{"unsubscribe 3.1.1", V311, 0xa2, "\x00\x01\x00\x01a\x00\x01b"}, &Unsubscribe{ID: 1, Filters: []string{"a", "b"}}},
	{sample{"unsubscribe 5.0", V5, 0xa2, "\x00\x01\x07\x26\x00\x01a\x00\x01b\x00\x01a"}, &Unsubscribe{ID: 1, Filters: []string{"a"}, Props: Properties{User: []Pair{{"a", "b"}}}}},
	{sample{"unsuback 3.1", V31, 0xb0, "\x00\x01"}, &Unsuback{ID: 1}},
	{sample{"unsuback 3.1.1", V311, 0xb0, "\x00\x01"}, &Unsuback{ID: 1}},
	{sample{"unsuback 5.0", V5, 0xb0, "\x00\x01\x00\x00\x11"}, &Unsuback{ID: 1, Codes: []Code{Success, NoSubscriptionExisted}}},
	{sample{"pingreq 3.1", V31, 0xc0, ""}, &Ping{PINGREQ}},
	{sample{"pingreq 5.0", V5, 0xc0, ""}, &Ping{PINGREQ}},
	{sample{"pingresp 3.1.1", V311, 0xd0, ""}, &Ping{PINGRESP}},
	{sample{"disconnect 3.1", V31, 0xe0, ""}, &Disconnect{}},
	{sample{"disconnect 3.1.1", V311, 0xe0, ""}, &Disconnect{}},
	{sample{"disconnect 5.0", V5, 0xe0, ""}, &Disconnect{}},
	{sample{"disconnect 5.0 with a code", V5, 0xe0, "\x04"}, &Disconnect{Code: DisconnectWithWill}},
	{sample{"disconnect 5.0 with everything", V5, 0xe0, "\x9c\x13\x11\x00\x00\x00\x05\x1c\x00\x01s\x1f\x00\x01e\x26\x00\x01a\x00\x00"},
		&Disconnect{Code: UseAnotherServer, Props: Properties{SessionExpiry: new(uint32(5)), ServerReference: "s", Reason: "e", User: []Pair{{"a", ""}}}}},
	{sample{"auth 5.0", V5, 0xf0, ""}, &Auth{}},
	{sample{"auth 5.0 with everything", V5, 0xf0, "\x18\x10\x15\x00\x01m\x16\x00\x00\x1f\x00\x01e\x26\x00\x00\x00\x00"},
		&Auth{Code: ContinueAuthentication, Props: Properties{AuthMethod: "m", AuthData: []byte{}, Reason: "e", User: []Pair{{}}}}},
}

func TestGolden(t *testing.T) {
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			want := c.bytes()
			raw, n, err := Split(want, len(want))
			if err != nil || n != len(want) {
				t.Fatalf("Split(%x) = %d, %v", want, n, err)
			}
			p, err := Parse(c.v, raw)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.packet, p.(appender)); d != "" {
				t.Errorf("read wrong: %s", d)
			}
			if got := c.packet.AppendTo([]byte("before"), c.v); string(got) != "before"+string(want) {
				t.Errorf("written wrong:\n got %x\nwant %x", got[6:], want)
			}
		})
	}
}
