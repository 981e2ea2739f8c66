package packet

import (
	"bytes"
	"testing"
)

func BenchmarkParsePublish(b *testing.B) {
	for _, c := range []struct {
		name  string
		v     Version
		props Properties
	}{
		{"3.1.1", V311, Properties{}},
		{"5.0", V5, Properties{}},
		{"5.0 with properties", V5, Properties{ContentType: "text/plain", MessageExpiry: new(uint32(60)), User: []Pair{{"a", "b"}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame, _ := AppendPublish(nil, c.v, &Publish{Topic: "sensors/room 7/temperature", QoS: 1, ID: 1, Payload: bytes.Repeat([]byte("x"), 200), Props: c.props})
			var p Publish
			b.ReportAllocs()
			for b.Loop() {
				raw, _, err := Split(frame, 1<<16)
				if err == nil {
					err = ParsePublish(c.v, raw, &p)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	for _, v := range []Version{V311, V5} {
		b.Run(map[Version]string{V311: "3.1.1", V5: "5.0"}[v], func(b *testing.B) {
			p := Publish{Topic: "sensors/room 7/temperature", QoS: 1, ID: 1, Payload: bytes.Repeat([]byte("x"), 200)}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = AppendPublish(buf[:0], v, &p)
			}
		})
	}
}

func BenchmarkAck(b *testing.B) {
	var buf []byte
	var a Ack
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendAck(buf[:0], V5, PUBACK, 7, Success)
		raw, _, err := Split(buf, 100)
		if err == nil {
			err = ParseAck(V5, raw, &a)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
