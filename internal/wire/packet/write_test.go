package packet

import (
	"strings"
	"testing"
)

// TestReturn checks what becomes of reason codes in a CONNACK before 5.0.
func TestReturn(t *testing.T) {
	for _, c := range []struct {
		code Code
		want string // the packet; empty if there is none
	}{
		{Success, "\x20\x02\x01\x00"},
		{UnsupportedVersion, "\x20\x02\x00\x01"},
		{ClientIDNotValid, "\x20\x02\x00\x02"},
		{ServerBusy, "\x20\x02\x00\x03"},
		{ConnectionRateExceeded, "\x20\x02\x00\x03"},
		{BadUserNameOrPassword, "\x20\x02\x00\x04"},
		{Banned, "\x20\x02\x00\x05"},
		{MalformedPacket, ""},
		{PacketTooLarge, ""},
	} {
		if got := string((&Connack{SessionPresent: true, Code: c.code, Props: Properties{Reason: "x"}}).AppendTo(nil, V311)); got != c.want {
			t.Errorf("%v: %x, want %x", c.code, got, c.want)
		}
	}
	if got := string((&Connack{SessionPresent: true}).AppendTo(nil, V31)); got != "\x20\x02\x00\x00" {
		t.Errorf("3.1: %x", got)
	}
	if got := string((&Connack{SessionPresent: true, Code: Banned}).AppendTo(nil, V5)); got != "\x20\x03\x00\x8a\x00" {
		t.Errorf("5.0: %x", got)
	}
}

// TestDowngrade checks what older versions leave out.
func TestDowngrade(t *testing.T) {
	props := Properties{Reason: "no", User: []Pair{{"a", "b"}}}
	for _, c := range []struct {
		name string
		p    appender
		want string
	}{
		{"suback", &Suback{ID: 1, Codes: []Code{1, NotAuthorized, TopicFilterInvalid}, Props: props}, "\x90\x05\x00\x01\x01\x80\x80"},
		{"unsuback", &Unsuback{ID: 1, Codes: []Code{0, 0x11}, Props: props}, "\xb0\x02\x00\x01"},
		{"puback", &Ack{Type: PUBACK, ID: 1, Code: NotAuthorized, Props: props}, "\x40\x02\x00\x01"},
		{"publish", &Publish{Topic: "t", Payload: []byte("x"), Props: Properties{ContentType: "c"}}, "\x30\x04\x00\x01tx"},
		{"publish with dup and QoS 0", &Publish{Dup: true, Topic: "t"}, "\x30\x03\x00\x01t"},
		{"subscribe", &Subscribe{ID: 1, List: []Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainHandling: 2}}, Props: props}, "\x82\x06\x00\x01\x00\x01a\x01"},
		{"unsubscribe", &Unsubscribe{ID: 1, Filters: []string{"a"}, Props: props}, "\xa2\x05\x00\x01\x00\x01a"},
		{"disconnect", &Disconnect{Code: ServerBusy, Props: props}, "\xe0\x00"},
		{"auth", &Auth{Code: ContinueAuthentication}, ""},
		{"connect", &Connect{ClientID: "a", Will: &Will{Topic: "t", Props: props}, Props: props}, "\x10\x12\x00\x04MQTT\x04\x04\x00\x00\x00\x01a\x00\x01t\x00\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(c.p.AppendTo(nil, V311)); got != c.want {
				t.Errorf("%x, want %x", got, c.want)
			}
		})
	}
}

// TestOmitted checks that a packet is written without properties that it cannot
// have, and that long texts are cut and do not break it.
func TestOmitted(t *testing.T) {
	p := Publish{Topic: "t", Payload: []byte("x"), Props: Properties{SessionExpiry: new(uint32(1)), WillDelay: 1, Reason: "r", SubscriptionIDs: []uint32{1 << 31}}}
	if got := string(p.AppendTo(nil, V5)); got != "\x30\x0a\x00\x01t\x05\x0b\xff\xff\xff\x7fx" {
		t.Errorf("%x", got)
	}
	b := (&Unsubscribe{ID: 1, Filters: []string{strings.Repeat("x", 70000), "y"}}).AppendTo(nil, V311)
	raw, _, err := Split(b, 1<<17)
	var u Unsubscribe
	if err != nil || ParseUnsubscribe(V311, raw, &u) != nil || len(u.Filters) != 2 || len(u.Filters[0]) != 65535 || u.Filters[1] != "y" {
		t.Errorf("%v, %d filters", err, len(u.Filters))
	}
}

// TestWithID checks that a frame can be sent once more with another identifier.
func TestWithID(t *testing.T) {
	for _, size := range []int{0, 1, 120, 200, 20000} {
		p := Publish{Dup: true, Topic: "a/b", QoS: 2, ID: 7, Payload: []byte(strings.Repeat("x", size)), Props: Properties{ContentType: "c"}}
		for _, v := range []Version{V31, V311, V5} {
			frame, at := AppendPublish([]byte("head"), v, &p)
			frame = frame[4:]
			if at != IDOffset(frame) {
				t.Fatalf("%d and %d", at, IDOffset(frame))
			}
			for _, again := range []bool{false, true} {
				other := AppendWithID([]byte("head"), frame, at, 0x1234, again)[4:]
				q := p
				q.ID, q.Dup = 0x1234, again
				if want := q.AppendTo(nil, v); string(other) != string(want) {
					t.Fatalf("%.40x, want %.40x", other, want)
				}
			}
		}
	}
	frame, at := AppendPublish(nil, V5, &Publish{Topic: "t"})
	if copied := AppendWithID(nil, frame, at, 5, true); at != 0 || string(copied) != string(frame) {
		t.Errorf("QoS 0: offset %d, copied as %x", at, copied)
	}
	for _, b := range []string{"", "\x32", "\x32\xff", "\x32\x03\x00"} {
		if at := IDOffset([]byte(b)); at != 0 {
			t.Errorf("%x: offset %d", b, at)
		}
	}
}

// TestTopicKept checks that a topic that the reader knows is not copied.
func TestTopicKept(t *testing.T) {
	raw, _, err := Split([]byte("\x32\x08\x00\x03a/b\x00\x01x"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(PublishTopic(raw)); got != "a/b" {
		t.Errorf("the topic is %q", got)
	}
	if got := PublishTopic(Raw{Body: []byte("\x00\x05a")}); got != nil {
		t.Errorf("the topic is %q", got)
	}
	p := Publish{Topic: "a/b"}
	if n := testing.AllocsPerRun(10, func() {
		if err := ParsePublish(V311, raw, &p); err != nil || p.Topic != "a/b" || p.ID != 1 || string(p.Payload) != "x" {
			t.Fatalf("%+v, %v", p, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.Topic = "else"
	if err := ParsePublish(V311, raw, &p); err != nil || p.Topic != "a/b" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCodeAndErrorText(t *testing.T) {
	if got := (&Error{ProtocolError, "x"}).Error(); got != "packet: reason code 0x82: x" {
		t.Error(got)
	}
	if Success.Failed() || !Code(0x80).Failed() || GrantedQoS2.Failed() {
		t.Error("Failed is wrong")
	}
}

// TestCodes checks which reason codes each packet may have (MQTT 5.0 section
// 2.4), by reading each packet with each code.
func TestCodes(t *testing.T) {
	connack := "\x00\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8c\x90\x95\x97\x99\x9a\x9b\x9c\x9d\x9f"
	puback := "\x00\x10\x80\x83\x87\x90\x91\x97\x99"
	for _, c := range []struct {
		name, codes string
		packet      func(c byte) sample
	}{
		{"connack", connack, func(c byte) sample { return sample{first: 0x20, body: "\x00" + string([]byte{c}) + "\x00"} }},
		{"puback", puback, func(c byte) sample { return sample{first: 0x40, body: "\x00\x01" + string([]byte{c})} }},
		{"pubrec", puback, func(c byte) sample { return sample{first: 0x50, body: "\x00\x01" + string([]byte{c})} }},
		{"pubrel", "\x00\x92", func(c byte) sample { return sample{first: 0x62, body: "\x00\x01" + string([]byte{c})} }},
		{"pubcomp", "\x00\x92", func(c byte) sample { return sample{first: 0x70, body: "\x00\x01" + string([]byte{c})} }},
		{"suback", "\x00\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2", func(c byte) sample { return sample{first: 0x90, body: "\x00\x01\x00" + string([]byte{c})} }},
		{"unsuback", "\x00\x11\x80\x83\x87\x8f\x91", func(c byte) sample { return sample{first: 0xb0, body: "\x00\x01\x00" + string([]byte{c})} }},
		{"disconnect", "\x00\x04\x80\x81\x82\x83\x87\x89\x8b\x8c\x8d\x8e\x8f\x90\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2",
			func(c byte) sample { return sample{first: 0xe0, body: string([]byte{c})} }},
		{"auth", "\x00\x18\x19", func(c byte) sample { return sample{first: 0xf0, body: string([]byte{c}) + "\x04\x15\x00\x01m"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := range 256 {
				_, err := read(V5, c.packet(byte(n)).bytes())
				if want := strings.IndexByte(c.codes, byte(n)) >= 0; want != (err == nil) {
					t.Errorf("code %#02x: %v", n, err)
				} else if !want {
					wantCode(t, err, ProtocolError)
				}
			}
		})
	}
}

// TestCut checks that no packet can be read if its last bytes are missing.
func TestCut(t *testing.T) {
	for _, c := range goldens {
		if c.first>>4 == byte(PUBLISH) {
			continue // the payload may have any length
		}
		t.Run(c.name, func(t *testing.T) {
			for n := range len(c.body) {
				s := c.sample
				s.body = s.body[:n]
				if p, err := read(c.v, s.bytes()); err == nil && !shortForm(p) {
					t.Errorf("the first %d of %d bytes are %+v", n, len(c.body), p)
				}
			}
		})
	}
}

// shortForm reports whether a packet may well be a whole one after a cut.
func shortForm(p any) bool {
	switch p := p.(type) {
	case *Ack, *Disconnect, *Auth, *Subscribe, *Suback, *Unsubscribe, *Unsuback:
		return true
	case *Connect:
		return p.Version == V31
	}
	return false
}
