package packet

import (
	"bytes"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		max, n      int
		code        Code // of the error; 0 for none
	}{
		{"nothing", "", 100, 0, 0},
		{"one byte", "\xc0", 100, 0, 0},
		{"a packet without a body", "\xc0\x00", 100, 2, 0},
		{"a packet and more", "\xc0\x00\xc0", 100, 2, 0},
		{"a body that is missing", "\x30\x05\x00\x01t", 100, 0, 0},
		{"a whole body", "\x30\x03\x00\x01t", 100, 5, 0},
		{"as large as allowed", "\x30\x03\x00\x01t", 5, 5, 0},
		{"too large", "\x30\x03\x00\x01t", 4, 0, PacketTooLarge},
		{"too large and not there yet", "\x30\xff\xff\x7f", 1 << 16, 0, PacketTooLarge},
		{"the length is cut", "\x30\xff\xff", 1 << 16, 0, 0},
		{"the length is cut after four bytes", "\x30\xff\xff\xff", 1 << 30, 0, 0},
		{"a length of four bytes", "\x30\xff\xff\xff\x7f", 1 << 30, 0, 0},
		{"a length of five bytes", "\x30\xff\xff\xff\xff\x01", 1 << 30, 0, MalformedPacket},
		{"a length of five bytes that is cut", "\x30\xff\xff\xff\xff", 1 << 30, 0, MalformedPacket},
		{"a length of two bytes", "\x30\x80\x01" + strings.Repeat("x", 128), 1 << 16, 131, 0},
		{"another protocol", "GET / HTTP/1.1", 1 << 16, 0, MalformedPacket},
		{"TLS", "\x16", 1 << 16, 0, MalformedPacket},
		{"reserved flags at the first byte", "\x21", 100, 0, MalformedPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, n, err := Split([]byte(c.bytes), c.max)
			if c.code != 0 {
				wantCode(t, err, c.code)
				return
			}
			if err != nil || n != c.n {
				t.Fatalf("%d, %v; want %d", n, err, c.n)
			}
			if n > 0 && (!strings.HasSuffix(c.bytes[:n], string(raw.Body)) || cap(raw.Body) != len(raw.Body)) {
				t.Errorf("the body is %x", raw.Body)
			}
		})
	}
}

// TestLongLength checks that 5.0 alone refuses a remaining length that takes
// more bytes than it needs.
func TestLongLength(t *testing.T) {
	b := []byte("\xc0\x80\x00")
	for v, want := range map[Version]Code{V31: 0, V311: 0, V5: MalformedPacket} {
		if _, err := read(v, b); want != 0 {
			wantCode(t, err, want)
		} else if err != nil {
			t.Errorf("version %d: %v", v, err)
		}
	}
	connect := []byte("\x10\x8d\x00\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00")
	_, err := read(V5, connect)
	wantCode(t, err, MalformedPacket)
	connect = []byte("\x10\x8c\x80\x00\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
	if _, err := read(V5, connect); err != nil {
		t.Error(err)
	}
}

// TestOld checks what MQTT 3.1 allows and later versions do not.
func TestOld(t *testing.T) {
	for _, c := range []sample{
		{"dup of a pubrel", V31, 0x6a, "\x00\x01"},
		{"dup of a subscribe", V31, 0x8a, "\x00\x01\x00\x01a\x00"},
		{"dup of an unsubscribe", V31, 0xaa, "\x00\x01\x00\x01a"},
		{"dup with QoS 0", V31, 0x38, "\x00\x01t"},
		{"reserved connect flag", V31, 0x10, "\x00\x06MQIsdp\x03\x03\x00\x00\x00\x01a"},
		{"flags of fields that are absent", V31, 0x10, "\x00\x06MQIsdp\x03\xc2\x00\x00\x00\x01a"},
		{"flag of a password that is absent", V31, 0x10, "\x00\x06MQIsdp\x03\xc2\x00\x00\x00\x01a\x00\x01u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := read(c.v, c.bytes())
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := p.(*Connect); ok && (c.HasPassword || c.HasUsername != (c.Username == "u")) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestLengths writes packets on both sides of the sizes at which the remaining
// length and the length of the properties take a byte more.
func TestLengths(t *testing.T) {
	for _, n := range []int{0, 1, 100, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 200, 16360, 16370, 16375, 16376,
		16377, 16378, 16379, 16380, 16381, 16382, 16383, 16384, 16385, 32768, 1 << 21} {
		for _, p := range []appender{
			&Publish{Topic: "t", QoS: 1, ID: 5, Payload: bytes.Repeat([]byte("x"), n)},
			&Publish{Topic: "t", Payload: []byte("x"), Props: Properties{User: []Pair{{"a", strings.Repeat("x", min(n, 1<<15))}}}},
			&Publish{Topic: "t", Payload: []byte("x"), Props: Properties{CorrelationData: make([]byte, min(n, 1<<15)), ContentType: "x", TopicAlias: new(uint16(1))}},
			&Connack{Props: Properties{Reason: strings.Repeat("x", min(n, 1<<15)), MaximumQoS: new(byte(0))}},
		} {
			b := p.AppendTo(nil, V5)
			raw, took, err := Split(b, 1<<22)
			if err != nil || took != len(b) || raw.Long {
				t.Fatalf("%d: Split took %d of %d bytes: %v", n, took, len(b), err)
			}
			q, err := Parse(V5, raw)
			if err != nil {
				t.Fatalf("%d: %v", n, err)
			}
			if again := q.(appender).AppendTo(nil, V5); !bytes.Equal(again, b) {
				t.Fatalf("%d: written again as %.40x, not %.40x", n, again, b)
			}
		}
	}
}
