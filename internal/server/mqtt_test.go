package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TestMQTT: a device is sent its messages over the port of MQTT and over
// WebSocket, and acknowledges them.
func TestMQTT(t *testing.T) {
	n := startNode(t, t.TempDir())
	for _, way := range []string{"port", "websocket"} {
		t.Run(way, func(t *testing.T) {
			address := n.srv.MQTT()
			if way == "websocket" {
				address = strings.TrimPrefix(n.srv.URL(), "http://")
			}
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			c := &mqttClient{T: t, conn: conn, in: bufio.NewReader(conn)}
			if way == "websocket" {
				c.upgrade()
			}
			d := n.register(api.RegisterRequest{})
			c.send(&packet.Connect{
				Version: packet.V5, CleanStart: true, KeepAlive: 60, ClientID: string(d.RegistrationID),
				Username: string(n.app.AppKey), HasUsername: true, Password: []byte(d.Token), HasPassword: true,
			})
			if a, ok := c.read().(*packet.Connack); !ok || a.Code != packet.Success {
				t.Fatalf("got %+v", a)
			}
			m := n.send(`{"audience":{"registration_ids":["` + string(d.RegistrationID) + `"]},"notification":{"title":"by MQTT"}}`)
			p, ok := c.read().(*packet.Publish)
			if !ok || p.QoS != 1 || p.Topic != "herald/push" || !strings.Contains(string(p.Payload), fmt.Sprintf(`"id":"%s"`, m.ID)) {
				t.Fatalf("got %+v", p)
			}
			c.send(&packet.Ack{Type: packet.PUBACK, ID: p.ID})
			n.counts(fmt.Sprint(m.ID), `done 1 {"received":1}`)
		})
	}
}

type mqttClient struct {
	*testing.T
	conn net.Conn
	in   *bufio.Reader
	ws   bool
}

func (c *mqttClient) upgrade() {
	c.Helper()
	_, _ = io.WriteString(c.conn, "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		c.Fatalf("got %+v, %v", resp, err)
	}
	c.ws = true
}

func (c *mqttClient) send(p interface {
	AppendTo(b []byte, v packet.Version) []byte
}) {
	c.Helper()
	b := p.AppendTo(nil, packet.V5)
	var err error
	if c.ws {
		err = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewBinaryFrame(b)))
	} else {
		_, err = c.conn.Write(b)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// read reads the next packet; over WebSocket each comes in a message of its own.
func (c *mqttClient) read() any {
	c.Helper()
	var b []byte
	for {
		var piece []byte
		if c.ws {
			f, err := ws.ReadFrame(c.in)
			if err != nil {
				c.Fatal(err)
			}
			piece = f.Payload
		} else {
			one, err := c.in.ReadByte()
			if err != nil {
				c.Fatal(err)
			}
			piece = []byte{one}
		}
		b = append(b, piece...)
		raw, size, err := packet.Split(b, 1<<20)
		if err != nil {
			c.Fatal(err)
		}
		if size == 0 {
			continue
		}
		p, err := packet.Parse(packet.V5, raw)
		if err != nil {
			c.Fatal(err)
		}
		return p
	}
}
