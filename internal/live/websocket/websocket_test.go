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
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	masked := func(f ws.Frame) []byte {
		var b bytes.Buffer
		if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	livetest.Run(t, livetest.Harness{
		New:    func() live.Transport { return websocket.New(websocket.Config{}) },
		Dial:   dial,
		TwoWay: true,
		Begin:  masked(ws.NewTextFrame(bytes.Repeat([]byte(" "), 100)))[:30],
		Garbage: [][]byte{
			[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
			bytes.Repeat([]byte{0xFF}, 64),
			masked(ws.NewTextFrame([]byte("not JSON"))),
			masked(ws.NewTextFrame([]byte("\xC0\x80"))),
			masked(ws.NewBinaryFrame([]byte(`{"type":"ping"}`))),
			masked(ws.NewTextFrame(bytes.Repeat([]byte(" "), 17<<10))),
			masked(ws.NewFrame(ws.OpContinuation, true, nil)),
			{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
		},
	})
}

// client is written with another implementation's codec, so that a mistake of
// our own cannot cancel itself out.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(ctx context.Context, d livetest.Dial) (livetest.Client, error) {
	q := url.Values{}
	for name, v := range map[string]string{"access_token": d.Token, "cursor": d.Cursor, "ack": string(d.Ack)} {
		if v != "" {
			q.Set(name, v)
		}
	}
	header := http.Header{}
	if d.Origin != "" {
		header.Set("Origin", d.Origin)
	}
	refused := &livetest.Refused{}
	dialer := ws.Dialer{
		Protocols: []string{"other", websocket.Subprotocol},
		Header:    ws.HandshakeHeaderHTTP(header),
		OnStatusError: func(status int, _ []byte, r io.Reader) {
			refused.Status = status
			if resp, err := http.ReadResponse(bufio.NewReader(r), nil); err == nil {
				_ = json.NewDecoder(resp.Body).Decode(refused)
			}
		},
	}
	u := &url.URL{Scheme: "ws", Host: "herald.test", Path: d.Path, RawQuery: q.Encode()}
	r, hs, err := dialer.Upgrade(d.Conn, u)
	if refused.Status != 0 {
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
	return &client{d.Conn, r}, nil
}

func (c *client) Next() (livetest.Frame, error) {
	var f livetest.Frame
	m, err := ws.ReadFrame(c.r)
	if err != nil {
		return f, err
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
	return ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewTextFrame([]byte(frame))))
}

// TestWithAnotherClient speaks to the client that the Go SDK uses, over a real
// socket, with everything that it offers in its handshake.
func TestWithAnotherClient(t *testing.T) {
	world := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	mux := http.NewServeMux()
	live.Mount(mux, hub, websocket.New(websocket.Config{Path: "/ws"}))
	srv := httptest.NewServer(mux)
	done := make(chan error, 1)
	go func() { done <- hub.Run(context.Background()) }()
	defer func() {
		hub.Close()
		srv.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	m := world.Join(herald.PlatformLinux)
	h := world.Accept(livetest.Send{Content: livetest.Text(strings.Repeat("ü", 9000)), To: []livetest.Member{m}})
	c, resp, err := coder.Dial(t.Context(), srv.URL+"/ws", &coder.DialOptions{
		HTTPHeader:      http.Header{"Authorization": {"Bearer " + m.Token}},
		CompressionMode: coder.CompressionContextTakeover, // offered, and not taken
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Subprotocol() != "" || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("head is %v", resp.Header)
	}
	c.SetReadLimit(1 << 20)
	for _, want := range []string{`"type":"welcome"`, h.Msg.ID.String()} {
		kind, b, err := c.Read(t.Context())
		if err != nil || kind != coder.MessageText || !bytes.Contains(b, []byte(want)) {
			t.Fatalf("got %s %.80s, %v", kind, b, err)
		}
	}
	if err := c.Write(t.Context(), coder.MessageText, []byte(`{"type":"ack","ids":["`+h.Msg.ID.String()+`"]}`)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(coder.StatusNormalClosure, "bye"); err != nil { // waits for the echo
		t.Fatal(err)
	}
	if !world.Received(h.Msg.ID, m) {
		t.Fatal("not received")
	}
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
