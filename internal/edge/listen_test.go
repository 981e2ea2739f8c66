package edge

import (
	"io"
	"net"
	"testing"

	"github.com/pires/go-proxyproto"
)

// accept gives what a listener makes of a connection that sends some bytes.
func accept(t *testing.T, p Proxies, sent string) (client string, got string, bare bool) {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := p.Listen(plain)
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := io.WriteString(out, sent); err != nil {
		t.Fatal(err)
	}
	if err := out.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	client = Address(in.RemoteAddr()).String()
	b, err := io.ReadAll(in)
	if err != nil {
		return client, "error", false
	}
	_, bare = in.(*net.TCPConn)
	return client, string(b), bare
}

func version2(t *testing.T, source string, command proxyproto.ProtocolVersionAndCommand) string {
	t.Helper()
	from := &net.TCPAddr{IP: net.ParseIP(source), Port: 4711}
	to := &net.TCPAddr{IP: net.ParseIP("203.0.113.1"), Port: 443}
	kind := proxyproto.TCPv4
	if from.IP.To4() == nil {
		kind, to.IP = proxyproto.TCPv6, net.ParseIP("2001:db8::1")
	}
	b, err := (&proxyproto.Header{Version: 2, Command: command, TransportProtocol: kind, SourceAddr: from, DestinationAddr: to}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestListen(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n"
	v2, v6 := version2(t, "192.0.2.1", proxyproto.PROXY), version2(t, "2001:db8::7", proxyproto.PROXY)
	local := version2(t, "192.0.2.1", proxyproto.LOCAL)
	for _, c := range []struct {
		name, trust, sent string
		client, got       string
		bare              bool
	}{
		{"version 1", "loopback", v1 + "hello", "192.0.2.1", "hello", false},
		{"version 2", "loopback", v2 + "hello", "192.0.2.1", "hello", false},
		{"version 2, IPv6", "loopback", v6 + "hello", "2001:db8::7", "hello", false},
		{"a check of the proxy itself", "loopback", local + "hello", "127.0.0.1", "hello", false},
		{"no header", "loopback", "hello", "127.0.0.1", "hello", false},
		{"nothing at all", "loopback", "", "127.0.0.1", "", false},
		{"a broken header", "loopback", "PROXY TCP4 nonsense\r\nhello", "127.0.0.1", "error", false},
		{"half a header", "loopback", v2[:20], "127.0.0.1", "error", false},
		{"a stranger's header is data", "192.0.2.9", v1 + "hello", "127.0.0.1", v1 + "hello", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, got, bare := accept(t, proxies(t, c.trust), c.sent)
			if client != c.client || got != c.got || bare != c.bare {
				t.Errorf("got client %s, data %q, bare %v", client, got, bare)
			}
		})
	}
}
