package egress

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func TestDial(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	open := client(t, Config{Allow: []string{"loopback"}, Resolver: &dns{answers: [][]string{{"127.0.0.1"}}}})
	for _, row := range []struct {
		name, address string
		c             *Client
		ports         []uint16
		why           string
	}{
		{"a port of the protocol", address, open, []uint16{port}, ""},
		{"by name", "smsc.example.com" + address[strings.LastIndex(address, ":"):], open, []uint16{port}, ""},
		{"a port of the operator", address, client(t, Config{Allow: []string{"loopback"}, Ports: []string{"any"}}), nil, ""},
		{"neither", address, open, nil, "does not call"},
		{"another port", address, open, []uint16{1}, "does not call"},
		{"loopback", address, client(t, Config{}), []uint16{port}, "loopback"},
		{"a name that leads to loopback", "smsc.example.com:443", client(t, Config{Resolver: &dns{answers: [][]string{{"127.0.0.1"}}}}), nil, "loopback"},
		{"no port", "smsc.example.com", open, []uint16{port}, "host and a port"},
		{"port 0", "smsc.example.com:0", open, []uint16{2775}, "no good port"},
		{"a port with a nought before", "smsc.example.com:0443", open, []uint16{443}, "no good port"},
		{"an unusual form", "127.1:443", open, nil, "unusual form"},
		{"a user", "a@b:443", open, nil, "not a host name"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, err := row.c.Dial(t.Context(), "tcp", row.address, row.ports...)
			if err == nil {
				_ = conn.Close()
			}
			if row.why == "" && err != nil || row.why != "" && (err == nil || !strings.Contains(err.Error(), row.why) || herald.CodeOf(err) != herald.CodeInvalidRequest) {
				t.Errorf("got %v, want %q", err, row.why)
			}
		})
	}
	_ = l.Close()
	var lost *Unanswered
	if _, err := open.Dial(t.Context(), "tcp", address, port); !errors.As(err, &lost) || lost.Asked {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open.Dial(ctx, "tcp", address, port); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
