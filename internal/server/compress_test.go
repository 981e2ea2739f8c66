package server

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/device"
	"github.com/herald-push/herald/internal/config"
)

// metered counts the bytes of a connection.
type metered struct {
	net.Conn
	in, out *atomic.Int64
}

func (m metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.in.Add(int64(n))
	return n, err
}

func (m metered) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.out.Add(int64(n))
	return n, err
}

// The Go SDK compresses where it is asked to and the server agrees, in both
// directions, and goes on without where not.
func TestDeviceCompresses(t *testing.T) {
	for name, c := range map[string]struct{ offers, agrees, compressed bool }{
		"both": {true, true, true}, "the device does not": {false, true, false}, "the server does not": {true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := startEdge(t, func(cfg *config.Config) { cfg.Live.Compression = c.agrees })
			cl, err := client.New(n.srv.URL(), client.MasterSecret(string(n.app.AppKey), n.app.MasterSecret), client.Options{HTTPClient: n.client})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cl.UpdateApp(t.Context(), client.AppUpdate{Topics: herald.TopicRules{Publish: []herald.TopicFilter{"#"}}}); err != nil {
				t.Fatal(err)
			}
			var in, out atomic.Int64
			transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return metered{conn, &in, &out}, err
			}}
			defer transport.CloseIdleConnections()
			dev, err := device.Register(t.Context(), device.Options{URL: n.srv.URL(), AppKey: n.app.AppKey, HTTPClient: &http.Client{Transport: transport}, Compression: c.offers})
			if err != nil {
				t.Fatal(err)
			}
			if err := dev.Subscribe("chat"); err != nil {
				t.Fatal(err)
			}
			heard := make(chan string, 16)
			ctx, stop := context.WithCancel(t.Context())
			var listening sync.WaitGroup
			listening.Go(func() {
				if err := dev.Listen(ctx, device.Handler{
					OnMessage: func(_ context.Context, m device.Message) error { heard <- string(m.Data); return nil },
					OnTopic:   func(_ context.Context, p device.Publication) { heard <- string(p.Data) },
				}); err != nil {
					t.Error(err)
				}
			})
			defer func() { stop(); listening.Wait() }()
			n.subscribed(cl, "chat", 1)

			const long = 8 << 10
			moved := func(what string, bytes int64) {
				t.Helper()
				if compressed := bytes < long; compressed != c.compressed {
					t.Errorf("%s took %d bytes", what, bytes)
				}
			}
			for i := range 2 { // no context is taken over from one to the next
				data, err := json.Marshal(strings.Repeat("word ", long/5) + string(rune('a'+i)))
				if err != nil {
					t.Fatal(err)
				}
				was := in.Load()
				if _, err := cl.Send(t.Context(), client.Message{Audience: herald.Audience{RegistrationIDs: []herald.RegistrationID{dev.ID()}}, Data: data}); err != nil {
					t.Fatal(err)
				}
				n.hear("the device", heard, string(data))
				moved("a message", in.Load()-was)
				was = out.Load()
				if err := dev.Publish("chat", data); err != nil {
					t.Fatal(err)
				}
				n.hear("the device", heard, string(data))
				moved("a publication", out.Load()-was)
			}
		})
	}
}
