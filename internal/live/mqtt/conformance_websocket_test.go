package mqtt_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TestConformanceWebSocket shows the statements of section 6.
func TestConformanceWebSocket(t *testing.T) {
	world := livetest.NewWorld()
	world.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"#"}})
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(context.Background()) })
	mux := http.NewServeMux()
	live.Mount(mux, hub, mqtt.New(mqtt.Config{}).WebSocket())
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		hub.Close()
		web.Close()
		running.Wait()
	})
	on := server{web.URL + "/mqtt", joins(world)}
	dial := func(t *testing.T, protocols ...string) (*websocket.Conn, *http.Response, error) {
		t.Helper()
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		c, answer, err := websocket.Dial(t.Context(), on.address, &websocket.DialOptions{Subprotocols: protocols, HTTPClient: &http.Client{Transport: transport}})
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		return c, answer, err
	}
	for v, name := range versionNames {
		s := &stage{T: t, v: v, on: on, prefix: "w" + strings.ReplaceAll(name, ".", ""), logins: map[string]login{}}
		t.Run("the subprotocol/"+name, func(t *testing.T) { // 3.1.1: 6.0.0-4, 5.0: 6.0.0-4
			for _, offered := range []string{"mqtt", "mqttv3.1"} {
				c, _, err := dial(t, "other", offered)
				if err != nil || c.Subprotocol() != offered {
					t.Fatalf("%v, %v", c, err)
				}
			}
		})
		t.Run("no subprotocol/"+name, func(t *testing.T) {
			for _, offered := range [][]string{nil, {"other"}} {
				_, answer, err := dial(t, offered...)
				if err == nil || answer == nil || answer.StatusCode != http.StatusBadRequest {
					t.Fatalf("%v, %v", answer, err)
				}
			}
		})
		t.Run("a text message/"+name, func(t *testing.T) {
			c, _, err := dial(t, "mqtt")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, b, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
				t.Fatalf("%x, %v", b, err)
			}
		})
		t.Run("packets and messages/"+name, func(t *testing.T) {
			c, _, err := dial(t, "mqtt")
			if err != nil {
				t.Fatal(err)
			}
			login := s.login("b")
			b := login.AppendTo(nil, v)
			b = (&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: s.topic("a")}}}).AppendTo(b, v)
			b = (&packet.Publish{Topic: s.topic("a"), Payload: []byte("x")}).AppendTo(b, v)
			// One byte in a message, then a part of one packet and all of others.
			for _, part := range [][]byte{b[:1], b[1:2], b[2:9], b[9:]} {
				if err := c.Write(t.Context(), websocket.MessageBinary, part); err != nil {
					t.Fatal(err)
				}
			}
			m := mqtttest.New(t, websocket.NetConn(t.Context(), c, websocket.MessageBinary), v)
			m.ExpectConnack(packet.Success)
			mqtttest.Expect[packet.Suback](m)
			m.ExpectPublish(s.topic("a"), "x", 0)
		})
	}
}
