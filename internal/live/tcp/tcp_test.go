package tcp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLive(t *testing.T) {
	livetest.Run(t, livetest.Harness{
		New:    func() live.Transport { return tcp.New() },
		Dial:   dial,
		TwoWay: true,
		Begin:  []byte(`{"type":"hello","token":"`),
		Garbage: []livetest.Garbage{
			{Name: "not JSON", Bytes: []byte("hello\n"), Code: live.CloseProtocol},
			{Name: "not UTF-8", Bytes: []byte("{\"type\":\"\xC0\x80\"}\n"), Code: live.CloseProtocol},
			{Name: "too large", Bytes: bytes.Repeat([]byte(" "), 17<<10), Code: live.CloseProtocol}, // no end of line in sight
			{Name: "binary", Bytes: []byte("\x00\n"), Code: live.CloseProtocol},
			{Name: "much binary", Bytes: bytes.Repeat([]byte{0xFF}, 64<<10), Code: live.CloseProtocol},
			{Name: "an empty line", Bytes: []byte("\n"), Code: live.CloseProtocol},
			{Name: "two frames in a line", Bytes: []byte(`{"type":"ping"} {"type":"ping"}` + "\n"), Code: live.CloseProtocol},
			{Name: "a request", Bytes: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Code: live.CloseProtocol},
		},
	})
}

// client speaks lines.
type client struct {
	conn  net.Conn
	lines *bufio.Reader
}

// dial says hello beside reading, because a server that refuses does not read.
func dial(_ context.Context, d livetest.Dial) (livetest.Client, error) {
	c := &client{d.Conn, bufio.NewReader(d.Conn)}
	if d.Token == "" {
		return c, nil
	}
	hello := map[string]string{"type": "hello", "token": d.Token}
	if d.Cursor != "" {
		hello["cursor"] = d.Cursor
	}
	if d.Ack != "" {
		hello["ack"] = string(d.Ack)
	}
	b, err := json.Marshal(hello)
	go func() { _ = c.Send(string(b)) }()
	return c, err
}

func (c *client) Send(frame string) error {
	_, err := io.WriteString(c.conn, frame+"\r\n")
	return err
}

func (c *client) Next() (livetest.Frame, error) {
	b, err := c.lines.ReadBytes('\n')
	if err != nil {
		return livetest.Frame{}, err
	}
	return livetest.ParseLine(b)
}

// TestManyLinesAtOnce sends frames cut at every place and several in a packet.
func TestManyLinesAtOnce(t *testing.T) {
	world, address := serve(t)
	m := world.Join(herald.PlatformLinux)
	h := world.Accept(livetest.Send{Content: livetest.Text("ü"), To: []livetest.Member{m}})
	text := `{"type":"hello","token":"` + m.Token + `"}` + "\n" +
		`{"type":"ack","ids":["` + h.Msg.ID.String() + `"]}` + "\r\n" + `{"type":"shout"}` + "\n"
	for cut := range len(text) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		// What was refused is answered last: the frames were taken in order.
		var kinds []string
		for c := (&client{conn, bufio.NewReader(conn)}); len(kinds) == 0 || kinds[len(kinds)-1] != "error"; {
			f, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, f.Type)
		}
		_ = conn.Close()
		if got := strings.Join(kinds, " "); got != "welcome error" && got != "welcome message error" {
			t.Fatalf("cut at %d: %s", cut, got)
		}
	}
	if !world.Received(h.Msg.ID, m) {
		t.Fatal("not received")
	}
}

// serve serves a world on a socket and gives its address.
func serve(t *testing.T) (*livetest.World, string) {
	t.Helper()
	world, _, address := serveHub(t, live.Options{})
	return world, address
}

func serveHub(t *testing.T, o live.Options) (*livetest.World, *live.Hub, string) {
	t.Helper()
	world := livetest.NewWorld()
	o.Directory, o.Backlog, o.Receipts = world, world, world
	hub := live.NewHub(o)
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- hub.Run(context.Background()) }()
	go func() { done <- live.Serve(ctx, l, hub, tcp.New()) }()
	t.Cleanup(func() {
		hub.Close()
		stop()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return world, hub, l.Addr().String()
}

func TestServeSaysThatItsListenerFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	world := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	if err := live.Serve(t.Context(), l, hub, tcp.New()); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "serving tcp") {
		t.Fatal(err)
	}
}
