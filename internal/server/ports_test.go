package server

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

func TestRawTCP(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	conn, err := net.Dial("tcp", n.srv.TCP())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	lines := bufio.NewScanner(conn)
	expect := func(text string) {
		t.Helper()
		if !lines.Scan() || !strings.Contains(lines.Text(), text) {
			t.Fatalf("got %s, %v, want %s", lines.Text(), lines.Err(), text)
		}
	}
	_, _ = fmt.Fprintf(conn, `{"type":"hello","token":%q}`+"\n", d.Token)
	expect(`"type":"welcome"`)
	m := n.send(`{"audience":"all","notification":{"title":"by wire"}}`)
	expect(fmt.Sprintf(`"id":"%s"`, m.ID))
	_, _ = fmt.Fprintf(conn, `{"type":"ack","ids":["%s"]}`+"\n", m.ID)
	n.counts(fmt.Sprint(m.ID), `done 1 {"received":1}`)
	n.stop() // a client is told to come back, then why the connection ends
	expect(`"type":"reconnect"`)
	expect(`{"type":"close","code":4012`)
	n.stop = nil
	if err := <-n.done; err != nil {
		t.Error(err)
	}
}

func openWith(t *testing.T, change func(*config.Server)) (*Server, error) {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	change(&cfg.Server)
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func TestRawTCPPort(t *testing.T) {
	s, err := openWith(t, func(c *config.Server) { c.TCP = "" })
	if err != nil || s.ports[0].listener != nil || s.TCP() != "" {
		t.Errorf("an empty server.tcp does not switch it off: %v", err)
	}
	if _, err := openWith(t, func(c *config.Server) { c.TCP = "0.0.0.0:0" }); herald.CodeOf(err) != herald.CodeForbidden {
		t.Errorf("raw TCP beyond loopback without an app: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := openWith(t, func(c *config.Server) { c.TCP = taken.Addr().String() }); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("a port that is taken: %v", err)
	}
	s, err = openWith(t, func(c *config.Server) { c.TCP, c.NextPort = taken.Addr().String(), true })
	if err != nil || s.ports[0].listener.Addr().String() == taken.Addr().String() {
		t.Errorf("the next free port is not taken: %v", err)
	}
}

// TestMQTTPort: a broker that is there already keeps nobody from starting, as
// long as nobody has asked for the port.
func TestMQTTPort(t *testing.T) {
	s, err := openWith(t, func(c *config.Server) { c.MQTT = "" })
	if err != nil || s.MQTT() != "" {
		t.Errorf("an empty server.mqtt does not switch it off: %v", err)
	}
	if _, err := openWith(t, func(c *config.Server) { c.MQTT = "0.0.0.0:0" }); herald.CodeOf(err) != herald.CodeForbidden {
		t.Errorf("MQTT beyond loopback without an app: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := openWith(t, func(c *config.Server) { c.MQTT = taken.Addr().String() }); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("a port that is taken: %v", err)
	}
	s, err = openWith(t, func(c *config.Server) {})
	if err != nil || s.MQTT() == "" {
		t.Fatalf("there is no MQTT: %v", err)
	}
	p := port{key: "server.mqtt", address: taken.Addr().String(), optional: true}
	for _, usual := range []bool{true, false} {
		s.ports = []port{p}
		if err := s.bindPort(t.Context(), &s.ports[0], usual); (err == nil) != usual || s.MQTT() != "" {
			t.Errorf("at the default address %v: %v", usual, err)
		}
	}
}

// TestPollAcknowledgesAtOnce gives each cursor back as fast as it can: nothing
// comes twice, and everything counts as received.
func TestPollAcknowledgesAtOnce(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	var answer struct {
		Frames []frame `json:"frames"`
		Cursor string  `json:"cursor"`
	}
	ids := map[string]bool{}
	for i := range 20 {
		m := n.send(`{"audience":"all","notification":{"title":"poll"}}`)
		if status := n.call("GET", "/v1/live/poll?wait=60&cursor="+answer.Cursor, d.Token, nil, &answer); status != 200 || len(answer.Frames) != 1 {
			t.Fatalf("poll %d answered %d %+v", i, status, answer)
		}
		if f := answer.Frames[0]; f.ID != fmt.Sprint(m.ID) {
			t.Fatalf("poll %d gave message %s, want %s", i, f.ID, m.ID)
		}
		ids[fmt.Sprint(m.ID)] = true
	}
	if n.call("GET", "/v1/live/poll?cursor="+answer.Cursor, d.Token, nil, &answer); len(answer.Frames) != 0 {
		t.Fatalf("it comes again: %+v", answer.Frames)
	}
	for id := range ids {
		n.counts(id, `done 1 {"received":1}`)
	}
}
