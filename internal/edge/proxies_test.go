package edge

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func proxies(t testing.TB, list ...string) Proxies {
	t.Helper()
	p, err := ParseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseProxies(t *testing.T) {
	for _, c := range []struct {
		name, list, in, out string
	}{
		{"address", "192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1", "192.0.2.2 ::1"},
		{"network", "192.0.2.77/24", "192.0.2.1", "192.0.3.1"},
		{"IPv6", "2001:db8::/32", "2001:db8:1::2", "2001:db9::"},
		{"mapped address", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"mapped network", "::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"},
		{"loopback", "loopback", "127.0.0.9 ::1", "10.0.0.1"},
		{"private", "private", "10.1.2.3 172.31.0.1 192.168.9.9 fd00::1 fe80::1%eth0", "127.0.0.1 172.32.0.1 192.0.2.1"},
		{"several", "loopback 192.0.2.1", "127.0.0.1 192.0.2.1", "192.0.2.2"},
		{"nobody", "", "", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := proxies(t, strings.Fields(c.list)...)
			if p.Empty() != (c.list == "") {
				t.Errorf("Empty is %v", p.Empty())
			}
			for _, s := range strings.Fields(c.in) {
				if !p.Trusts(netip.MustParseAddr(s)) {
					t.Errorf("%s is not trusted", s)
				}
			}
			for _, s := range strings.Fields(c.out) {
				if p.Trusts(netip.MustParseAddr(s)) {
					t.Errorf("%s is trusted", s)
				}
			}
		})
	}
	if proxies(t, "loopback").Trusts(netip.Addr{}) {
		t.Error("an unknown address is trusted")
	}
	for _, bad := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.1:80", "fe80::1%eth0", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "::ffff:0.0.0.0/90"} {
		_, err := ParseProxies([]string{bad})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != "server.trusted_proxies" || e.Remedy == "" {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func TestClient(t *testing.T) {
	p := proxies(t, "10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"no proxy", "192.0.2.1:5", nil, "192.0.2.1"},
		{"the header of a stranger", "192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		{"one proxy", "10.0.0.1:5", []string{"192.0.2.1"}, "192.0.2.1"},
		{"what the client has made up", "10.0.0.1:5", []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", "10.0.0.1:5", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two headers are one list", "10.0.0.1:5", []string{"203.0.113.9, 192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"all are trusted", "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a proxy without the header", "10.0.0.1:5", nil, "10.0.0.1"},
		{"an empty header", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"empty elements", "10.0.0.1:5", []string{" ,192.0.2.1,, ", ","}, "192.0.2.1"},
		{"garbage ends the walk", "10.0.0.1:5", []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"only garbage", "10.0.0.1:5", []string{"unknown"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:5", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"IPv6", "[fd00::1]:5", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", "10.0.0.1:5", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 with a port", "10.0.0.1:5", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"IPv4 in brackets is garbage", "10.0.0.1:5", []string{"[192.0.2.1]"}, "10.0.0.1"},
		{"no peer", "pipe", []string{"192.0.2.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.headers}}
			if got := p.Client(r).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	r := &http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}}
	if got := (Proxies{}).Client(r).String(); got != "10.0.0.1" {
		t.Errorf("with nobody trusted it is %s", got)
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		a    net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, "192.0.2.1"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 5}, "fe80::1"},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "invalid IP"},
		{nil, "invalid IP"},
	} {
		if got := Address(c.a).String(); got != c.want {
			t.Errorf("%v gives %s, want %s", c.a, got, c.want)
		}
	}
}

// FuzzForwarded holds that the header of a stranger changes nothing, and that
// a trusted peer's gives an address that stands in it, or the peer's own.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1, 10.0.0.2", "[2001:db8::7]:80,unknown,10.1.1.1", ",,, ,", "::ffff:192.0.2.1"} {
		f.Add(s, s)
	}
	p := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"X-Forwarded-For": {first, second}}
		if got := p.Client(&http.Request{RemoteAddr: "192.0.2.1:1", Header: h}); got.String() != "192.0.2.1" {
			t.Fatalf("a stranger became %s", got)
		}
		got := p.Client(&http.Request{RemoteAddr: "10.0.0.1:1", Header: h})
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("got %v", got)
		}
		if got.String() == "10.0.0.1" {
			return
		}
		for _, e := range strings.Split(first+","+second, ",") {
			if parseNode(strings.Trim(e, " \t")) == got {
				return
			}
		}
		t.Fatalf("%s stands nowhere in %q, %q", got, first, second)
	})
}
