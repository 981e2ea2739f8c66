package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLive(t *testing.T) {
	t.Parallel() // beside the other suite: both wait for time-outs
	h := harness(t, false)
	h.Garbage = append(h.Garbage, livetest.Garbage{Name: "compression that was not agreed", Bytes: deflatedFrame(ws.OpText, []byte{0}), Code: wire.CloseProtocol})
	livetest.Run(t, h)
}

func TestBehindNginx(t *testing.T) {
	t.Parallel() // as above
	livetest.RunBehindNginx(t, harness(t, true))
}

// TestFrames plays the table of RFC 6455 and RFC 7692.
func TestFrames(t *testing.T) { livetest.RunFrames(t, harness(t, false)) }

// harness is that of clients which offer compression, or do not. What it sends
// as garbage is compressed too.
func harness(t *testing.T, deflate bool) livetest.Harness {
	text := func(b []byte) ws.Frame {
		f := ws.NewTextFrame(b)
		if deflate {
			var err error
			if f, err = wsflate.CompressFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	masked := func(f ws.Frame) []byte {
		var b bytes.Buffer
		if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	return livetest.Harness{
		New:    func() live.Transport { return websocket.New(websocket.Config{}) },
		Dial:   dialer{deflate}.dial,
		TwoWay: true,
		Begin:  masked(ws.NewTextFrame(bytes.Repeat([]byte(" "), 100)))[:30],
		Garbage: []livetest.Garbage{
			{Name: "not JSON", Bytes: masked(text([]byte("not JSON"))), Code: live.CloseProtocol},
			{Name: "not UTF-8", Bytes: masked(text([]byte("\xC0\x80"))), Code: wire.CloseInvalidData},
			{Name: "too large", Bytes: masked(text(bytes.Repeat([]byte(" "), 17<<10))), Code: wire.CloseTooBig},
			{Name: "binary", Bytes: masked(ws.NewBinaryFrame([]byte(`{"type":"ping"}`))), Code: wire.CloseUnsupported},
			{Name: "a request", Bytes: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Code: wire.CloseProtocol},
			{Name: "no frame at all", Bytes: bytes.Repeat([]byte{0xFF}, 64), Code: wire.CloseProtocol},
			{Name: "a continuation of nothing", Bytes: masked(ws.NewFrame(ws.OpContinuation, true, nil)), Code: wire.CloseProtocol},
			{Name: "an endless frame", Bytes: []byte{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, Code: wire.CloseTooBig},
		},
	}
}

// client is written with another implementation's codec, so that a mistake of
// our own cannot cancel itself out.
type client struct {
	conn     net.Conn
	r        *bufio.Reader
	deflates bool // permessage-deflate was agreed
}

// dialer opens sessions, and offers compression or does not.
type dialer struct{ deflate bool }

func (o dialer) dial(ctx context.Context, d livetest.Dial) (livetest.Client, error) {
	q := url.Values{}
	for name, v := range map[string]string{"access_token": d.Token, "cursor": d.Cursor, "ack": string(d.Ack)} {
		if v != "" {
			q.Set(name, v)
		}
	}
	d.AddTopics(q)
	header := http.Header{}
	if d.Origin != "" {
		header.Set("Origin", d.Origin)
	}
	var refused error
	dialer := ws.Dialer{
		Protocols: []string{"other", websocket.Subprotocol},
		Header:    ws.HandshakeHeaderHTTP(header),
		OnStatusError: func(status int, _ []byte, r io.Reader) {
			refused = &livetest.Refused{Status: status}
			if resp, err := http.ReadResponse(bufio.NewReader(r), nil); err == nil {
				refused = livetest.ReadRefusal(resp)
			}
		},
	}
	if o.deflate {
		dialer.Extensions = append(dialer.Extensions, wsflate.Parameters{}.Option())
	}
	u := &url.URL{Scheme: "ws", Host: "herald.test", Path: d.Path, RawQuery: q.Encode()}
	r, hs, err := dialer.Upgrade(d.Conn, u)
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	if hs.Protocol != websocket.Subprotocol {
		return nil, errors.New("the subprotocol was not chosen")
	}
	if r == nil {
		r = bufio.NewReader(d.Conn)
	}
	return &client{d.Conn, r, len(hs.Extensions) > 0}, nil
}

func (c *client) Next() (livetest.Frame, error) {
	var f livetest.Frame
	m, err := ws.ReadFrame(c.r)
	if err != nil {
		return f, err
	}
	if m.Header.Rsv != 0 {
		if !c.deflates || m.Header.OpCode != ws.OpText {
			return f, errors.New("a frame that must not be compressed")
		}
		if m, err = wsflate.DecompressFrame(m); err != nil {
			return f, err
		}
	}
	switch m.Header.OpCode {
	case ws.OpClose:
		code, _ := ws.ParseCloseFrameData(m.Payload)
		return f, &livetest.Closed{Code: int(code)}
	case ws.OpPing:
		f.Type = "ping"
		return f, nil
	case ws.OpText:
		d := json.NewDecoder(bytes.NewReader(m.Payload))
		d.DisallowUnknownFields()
		return f, d.Decode(&f)
	}
	return f, errors.New("a frame that no client expects")
}

func (c *client) Send(frame string) error {
	m := ws.NewTextFrame([]byte(frame))
	if c.deflates {
		var err error
		if m, err = wsflate.CompressFrame(m); err != nil {
			return err
		}
	}
	return ws.WriteFrame(c.conn, ws.MaskFrame(m))
}

func TestRefusedHandshake(t *testing.T) {
	tr := websocket.New(websocket.Config{})
	r := httptest.NewRequest("GET", tr.Path(), nil)
	resp, _, err := tr.Upgrade(nil, r)
	if err == nil || resp.Status != http.StatusUpgradeRequired || resp.Header.Get("Sec-WebSocket-Version") != "13" {
		t.Fatalf("%+v, %v", resp, err)
	}
	r = httptest.NewRequest("GET", tr.Path()+"?ack=all", nil)
	r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	if _, _, err = tr.Upgrade(nil, r); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Fatal(err)
	}
}
