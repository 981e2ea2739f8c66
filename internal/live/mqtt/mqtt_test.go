package mqtt_test

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire"
	"github.com/herald-push/herald/internal/wire/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is the beginning of a PUBLISH.
var begin = (&packet.Publish{Topic: "chat/7", Payload: make([]byte, 100)}).AppendTo(nil, packet.V5)

var garbage = []livetest.Garbage{
	{Name: "not JSON", Bytes: []byte("hello\n"), Code: live.CloseProtocol},
	{Name: "not UTF-8", Bytes: []byte("\x82\x09\x00\x01\x00\x00\x03a\xC0\x80\x00"), Code: live.CloseProtocol}, // SUBSCRIBE
	{Name: "too large", Bytes: append([]byte{0x30, 0xFF, 0xFF, 0x7F}, make([]byte, 100)...), Code: live.CloseProtocol},
	{Name: "binary", Bytes: []byte{0x00, 0x00}, Code: live.CloseProtocol},
	{Name: "a request", Bytes: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Code: live.CloseProtocol},
	{Name: "a second CONNECT", Bytes: (&packet.Connect{Version: packet.V5}).AppendTo(nil, packet.V5), Code: live.CloseProtocol},
	{Name: "a packet of a server", Bytes: []byte{0xD0, 0x00}, Code: live.CloseProtocol},
	{Name: "an AUTH without a method", Bytes: []byte{0xF0, 0x00}, Code: live.CloseProtocol},
	{Name: "an endless length", Bytes: []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, Code: live.CloseProtocol},
}

func TestRaw(t *testing.T) {
	t.Parallel() // beside the other suite: both wait for time-outs
	livetest.Run(t, livetest.Harness{
		New:     func() live.Transport { return mqtt.New(mqtt.Config{}).Raw() },
		Dial:    dialer{}.dial,
		TwoWay:  true,
		Packets: true,
		Begin:   begin,
		Garbage: garbage,
	})
}

func TestWebSocket(t *testing.T) {
	t.Parallel() // as above
	binary := func(b []byte) []byte {
		var out bytes.Buffer
		if err := ws.WriteFrame(&out, ws.MaskFrame(ws.NewBinaryFrame(b))); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	var list []livetest.Garbage
	for _, g := range garbage {
		list = append(list, livetest.Garbage{Name: g.Name, Bytes: binary(g.Bytes), Code: g.Code})
	}
	var text bytes.Buffer
	if err := ws.WriteFrame(&text, ws.MaskFrame(ws.NewTextFrame([]byte("hello")))); err != nil {
		t.Fatal(err)
	}
	list = append(list,
		livetest.Garbage{Name: "a text message", Bytes: text.Bytes(), Code: wire.CloseUnsupported},
		livetest.Garbage{Name: "no frame at all", Bytes: bytes.Repeat([]byte{0xFF}, 64), Code: wire.CloseProtocol},
	)
	livetest.Run(t, livetest.Harness{
		New:     func() live.Transport { return mqtt.New(mqtt.Config{}).WebSocket() },
		Dial:    dialer{true}.dial,
		TwoWay:  true,
		Packets: true,
		Begin:   binary(begin),
		Garbage: list,
	})
}
