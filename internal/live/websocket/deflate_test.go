package websocket_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/wire"
)

const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// deflatedFrame is a client's frame whose data is said to be compressed.
func deflatedFrame(op ws.OpCode, data []byte) []byte {
	f := ws.MaskFrame(ws.NewFrame(op, true, data))
	f.Header.Rsv = ws.Rsv(true, false, false)
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, f)
	return b.Bytes()
}

// bomb is what becomes 16 MiB.
func bomb() []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, 16<<20))
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// TestLiveDeflated is the suite again, with clients that compress whatever
// they send.
func TestLiveDeflated(t *testing.T) {
	t.Parallel() // beside the other suite: both wait for time-outs
	h := harness(t, true)
	h.Garbage = append(h.Garbage, []livetest.Garbage{
		{Name: "what cannot be decompressed", Bytes: deflatedFrame(ws.OpText, []byte{6, 0}), Code: wire.CloseInvalidData},
		{Name: "a bomb", Bytes: deflatedFrame(ws.OpText, bomb()), Code: wire.CloseTooBig},
		{Name: "a compressed ping", Bytes: deflatedFrame(ws.OpPing, nil), Code: wire.CloseProtocol},
	}...)
	livetest.Run(t, h)
}

// handshake gives what is answered to a request.
func handshake(tr *websocket.Transport, hub *live.Hub, token, offer string) (live.Response, error) {
	r := httptest.NewRequest("GET", tr.Path(), nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Authorization": {"Bearer " + token},
	}
	if offer != "" {
		r.Header.Set("Sec-WebSocket-Extensions", offer)
	}
	resp, _, err := tr.Upgrade(hub, r)
	return resp, err
}

func TestAgreement(t *testing.T) {
	world := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	token := world.Join(herald.PlatformWeb).Token
	for _, c := range []struct {
		name, token, offer, want string
		off                      bool
	}{
		{name: "a device", token: token, offer: "permessage-deflate; client_max_window_bits", want: agreed},
		{name: "a device with a token to replace", token: "old-" + token, offer: "permessage-deflate", want: agreed},
		{name: "a device that offers nothing", token: token},
		{name: "a device that offers what cannot be met", token: token, offer: "permessage-deflate; server_max_window_bits=9"},
		{name: "nobody yet", offer: "permessage-deflate"},
		{name: "a bad token", token: "token-of-nobody", offer: "permessage-deflate"},
		{name: "switched off", token: token, offer: "permessage-deflate", off: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := websocket.New(websocket.Config{NoCompression: c.off})
			resp, err := handshake(tr, hub, c.token, c.offer)
			if err != nil || resp.Status != http.StatusSwitchingProtocols {
				t.Fatalf("%d, %v", resp.Status, err)
			}
			if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != c.want {
				t.Fatalf("answer %q, want %q", got, c.want)
			}
		})
	}
	resp, err := handshake(websocket.New(websocket.Config{NoCompression: true}), hub, token, "permessage-deflate;")
	if resp.Status != http.StatusBadRequest || herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Fatalf("a malformed header is answered with %d, %v", resp.Status, err)
	}
}

// server serves a hub over a real socket.
func server(t *testing.T) (*livetest.World, *live.Hub, *httptest.Server) {
	world := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	mux := http.NewServeMux()
	live.Mount(mux, hub, websocket.New(websocket.Config{Path: "/ws"}))
	srv := httptest.NewServer(mux)
	done := make(chan error, 1)
	go func() { done <- hub.Run(context.Background()) }()
	t.Cleanup(func() {
		hub.Close()
		srv.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return world, hub, srv
}

// frames reads what the server sends, as it is on the wire.
type frames struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func follow(t *testing.T, srv *httptest.Server, m livetest.Member, deflate bool) frames {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c, err := dialer{deflate}.dial(t.Context(), livetest.Dial{Conn: conn, Path: "/ws", Token: m.Token})
	if err != nil {
		t.Fatal(err)
	}
	if c.(*client).deflates != deflate {
		t.Fatalf("compression agreed: %v, want %v", !deflate, deflate)
	}
	return frames{t, conn, c.(*client).r}
}

// next gives the type of the next frame, whether it was compressed, and what
// it took on the wire.
func (f frames) next() (kind string, compressed bool, raw []byte) {
	f.t.Helper()
	m, err := ws.ReadFrame(f.r)
	if err != nil {
		f.t.Fatal(err)
	}
	raw = m.Payload
	if compressed = m.Header.Rsv1(); compressed {
		if m, err = wsflate.DecompressFrame(m); err != nil {
			f.t.Fatal(err)
		}
	}
	var head struct{ Type string }
	if err := json.Unmarshal(m.Payload, &head); err != nil {
		f.t.Fatalf("%q: %v", m.Payload, err)
	}
	return head.Type, compressed, raw
}

func (f frames) expect(kind string, compressed bool) (raw []byte) {
	f.t.Helper()
	gotKind, got, raw := f.next()
	if gotKind != kind || got != compressed {
		f.t.Fatalf("got %s, compressed: %v, want %s, compressed: %v", gotKind, got, kind, compressed)
	}
	return raw
}

// TestWhatIsCompressed: long messages and publications, for who agreed, and
// nothing that the server says about the session.
func TestWhatIsCompressed(t *testing.T) {
	world, hub, srv := server(t)
	members := []livetest.Member{world.Join(herald.PlatformWeb), world.Join(herald.PlatformWeb), world.Join(herald.PlatformWeb)}
	plain, one, two := follow(t, srv, members[0], false), follow(t, srv, members[1], true), follow(t, srv, members[2], true)
	for _, f := range []frames{plain, one, two} {
		f.expect("welcome", false)
		if _, err := f.conn.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"subscribe","topics":["news"]}`))))); err != nil {
			t.Fatal(err)
		}
		f.expect("subscribed", false)
	}
	deliver := func(send livetest.Send) {
		send.To = members
		if _, err := hub.Deliver(t.Context(), world.Accept(send)); err != nil {
			t.Fatal(err)
		}
	}
	for _, short := range []livetest.Send{{Content: livetest.Text("short")}, {Content: livetest.Text("short"), Volatile: true}} {
		deliver(short)
		for _, f := range []frames{plain, one, two} {
			f.expect("message", false)
		}
	}
	deliver(livetest.Send{Content: livetest.Text(strings.Repeat("Hello ", 100))})
	var shared []byte
	for i, f := range []frames{plain, one, two} {
		raw := f.expect("message", i > 0)
		if i == 0 && len(raw) < 600 || i > 0 && len(raw) > 400 {
			t.Errorf("client %d got %d bytes", i, len(raw))
		}
		if i == 2 && !bytes.Equal(raw, shared) {
			t.Error("two sessions got different frames")
		}
		shared = raw
	}
	hub.Publish(livetest.App, live.Publication{Topic: "news", Data: json.RawMessage(`"` + strings.Repeat("Hello ", 100) + `"`)})
	for i, f := range []frames{plain, one, two} {
		f.expect("topic", i > 0)
	}
}

// TestWithAnotherClient speaks to the client that the Go SDK uses, over a real
// socket, with everything that it offers in its handshake.
func TestWithAnotherClient(t *testing.T) {
	for _, c := range []struct {
		name string
		mode coder.CompressionMode
		want string
	}{
		{"no compression", coder.CompressionDisabled, ""},
		{"no context takeover", coder.CompressionNoContextTakeover, agreed},
		{"context takeover, which it does not get", coder.CompressionContextTakeover, agreed},
	} {
		t.Run(c.name, func(t *testing.T) {
			world, _, srv := server(t)
			m := world.Join(herald.PlatformLinux)
			var sent []herald.MessageID
			for _, text := range []string{strings.Repeat("ü", 9000), "short", strings.Repeat("again and ", 1000)} {
				sent = append(sent, world.Accept(livetest.Send{Content: livetest.Text(text), To: []livetest.Member{m}}).Msg.ID)
			}
			conn, resp, err := coder.Dial(t.Context(), srv.URL+"/ws", &coder.DialOptions{
				HTTPHeader:      http.Header{"Authorization": {"Bearer " + m.Token}},
				CompressionMode: c.mode, CompressionThreshold: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Sec-WebSocket-Extensions"); conn.Subprotocol() != "" || got != c.want {
				t.Fatalf("head is %v", resp.Header)
			}
			conn.SetReadLimit(1 << 20)
			for _, want := range []string{`"type":"welcome"`, sent[0].String(), sent[1].String(), sent[2].String()} {
				kind, b, err := conn.Read(t.Context())
				if err != nil || kind != coder.MessageText || !bytes.Contains(b, []byte(want)) {
					t.Fatalf("got %s %.80s, %v", kind, b, err)
				}
			}
			for _, id := range sent { // three, so that a context could be missed
				if err := conn.Write(t.Context(), coder.MessageText, []byte(`{"type":"ack","ids":["`+id.String()+`"]}`)); err != nil {
					t.Fatal(err)
				}
			}
			// Fragments: a writer sends what it has, as it is flushed.
			w, err := conn.Writer(t.Context(), coder.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{`{"type":"ack","ids":["`, strings.Repeat(sent[0].String()+`","`, 500), sent[0].String() + `"]}`} {
				if _, err := io.WriteString(w, part); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(coder.StatusNormalClosure, "bye"); err != nil { // waits for the echo
				t.Fatal(err)
			}
			for _, id := range sent {
				if !world.Received(id, m) {
					t.Errorf("message %s was not received", id)
				}
			}
		})
	}
}
