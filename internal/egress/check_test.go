package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestTricks is the table of ways around the rules. Each is refused by the
// check of the text, before anything is resolved.
func TestTricks(t *testing.T) {
	c := client(t, Config{})
	for _, row := range []struct{ name, url, why string }{
		{"empty", "", "https://"},
		{"no scheme", "example.com/hook", "https://"},
		{"protocol-relative", "//example.com/hook", "https://"},
		{"http", "http://example.com/", "goes over http"},
		{"file", "file:///etc/passwd", "https://"},
		{"gopher", "gopher://example.com:70/_x", "https://"},
		{"ftp", "ftp://example.com/", "https://"},
		{"data", "data:text/plain,x", "https://"},
		{"unix", "unix:///run/docker.sock", "https://"},
		{"javascript", "javascript:alert(1)", "https://"},
		{"opaque", "https:example.com", "names no host"},
		{"no host", "https:///path", "names no host"},
		{"port only", "https://:443/", "not a host name"},
		{"user", "https://user@example.com/", "user"},
		{"user and password", "https://a:b@example.com/", "user"},
		{"host as user", "https://example.com@127.0.0.1/", "user"},
		{"empty user", "https://@127.0.0.1/", "user"},
		{"encoded at", "https://example.com%40127.0.0.1/", "not a URL"},
		{"fragment", "https://example.com/#x", "fragment"},
		{"empty fragment", "https://example.com#@127.0.0.1/", "fragment"},
		{"backslash", `https://example.com\@127.0.0.1/`, "character"},
		{"blank", "https://exa mple.com/", "character"},
		{"tab", "https://127.0.0.1\t/", "character"},
		{"line break", "https://example.com/\r\nHost: x", "character"},
		{"zero byte", "https://example.com\x00.evil/", "character"},
		{"too long", "https://example.com/" + strings.Repeat("a", maxURL), "longer"},

		{"loopback", "https://127.0.0.1/", "loopback"},
		{"other loopback", "https://127.8.8.8/", "loopback"},
		{"this host", "https://0.0.0.0/", "this machine"},
		{"0/8", "https://0.1.2.3/", "this machine"},
		{"private 10", "https://10.0.0.1/", "private"},
		{"private 172", "https://172.31.255.255/", "private"},
		{"private 192", "https://192.168.1.1/", "private"},
		{"carrier", "https://100.64.0.1/", "carrier"},
		{"carrier end", "https://100.127.255.255/", "carrier"},
		{"metadata", "https://169.254.169.254/latest/meta-data/", "metadata"},
		{"metadata Alibaba", "https://100.100.100.200/", "metadata"},
		{"metadata Oracle", "https://192.0.0.192/", "metadata"},
		{"link-local", "https://169.254.1.1/", "link-local"},
		{"protocols", "https://192.0.0.8/", "protocols"},
		{"documentation 1", "https://192.0.2.1/", "documentation"},
		{"documentation 2", "https://198.51.100.1/", "documentation"},
		{"documentation 3", "https://203.0.113.1/", "documentation"},
		{"6to4 relay", "https://192.88.99.1/", "6to4"},
		{"measurements", "https://198.19.255.255/", "measurements"},
		{"multicast", "https://239.255.255.250/", "multicast"},
		{"reserved", "https://240.0.0.1/", "reserved"},
		{"broadcast", "https://255.255.255.255/", "broadcast"},

		{"decimal", "https://2130706433/", "unusual form"},
		{"octal", "https://0177.0.0.1/", "unusual form"},
		{"octal whole", "https://017700000001/", "unusual form"},
		{"hex", "https://0x7f000001/", "unusual form"},
		{"hex parts", "https://0x7f.0x0.0x0.0x1/", "unusual form"},
		{"hex, nothing behind", "https://1.0x/", "unusual form"},
		{"two parts", "https://127.1/", "unusual form"},
		{"three parts", "https://127.0.1/", "unusual form"},
		{"five parts", "https://127.0.0.0.1/", "unusual form"},
		{"too large part", "https://127.0.0.256/", "unusual form"},
		{"mixed", "https://127.0x0.0.1/", "unusual form"},
		{"number at the end of a name", "https://example.127/", "unusual form"},
		{"trailing dot", "https://127.0.0.1./", "not a host name"},
		{"name with trailing dot", "https://localhost./", "not a host name"},
		{"two dots", "https://example..com/", "not a host name"},
		{"leading dot", "https://.example.com/", "not a host name"},
		{"leading hyphen", "https://-example.com/", "not a host name"},
		{"long label", "https://" + strings.Repeat("a", 64) + ".com/", "not a host name"},
		{"long name", "https://" + strings.Repeat("a.", 130) + "com/", "not a host name"},
		{"fullwidth digits", "https://１２７.０.０.１/", "character"},
		{"circled digits", "https://①②⑦.⓪.⓪.①/", "character"},
		{"ideographic full stop", "https://127。0。0。1/", "character"},
		{"IDN", "https://bücher.example/", "character"},
		{"soft hyphen", "https://local\u00adhost/", "character"},
		{"encoded host", "https://%31%32%37.0.0.1/", "not a URL"},
		{"encoded fullwidth", "https://%EF%BC%91.0.0.1/", "not a host name"},
		{"comma", "https://127.0.0.1,example.com/", "not a host name"},

		{"IPv6 loopback", "https://[::1]/", "loopback"},
		{"IPv6 loopback, long", "https://[0:0:0:0:0:0:0:1]/", "loopback"},
		{"IPv6 unspecified", "https://[::]/", "this machine"},
		{"mapped", "https://[::ffff:127.0.0.1]/", "form of IPv6"},
		{"mapped in hex", "https://[::ffff:7f00:1]/", "form of IPv6"},
		{"mapped public", "https://[::ffff:8.8.8.8]/", "form of IPv6"},
		{"compatible", "https://[::127.0.0.1]/", "public internet"},
		{"compatible in hex", "https://[::7f00:1]/", "public internet"},
		{"translated (SIIT)", "https://[::ffff:0:127.0.0.1]/", "public internet"},
		{"NAT64", "https://[64:ff9b::7f00:1]/", "translates"},
		{"NAT64 public", "https://[64:ff9b::8.8.8.8]/", "translates"},
		{"NAT64 local use", "https://[64:ff9b:1::a00:1]/", "translates"},
		{"6to4", "https://[2002:7f00:1::]/", "6to4"},
		{"Teredo", "https://[2001:0:53aa:64c::1]/", "Teredo"},
		{"ORCHID", "https://[2001:20::1]/", "protocols"},
		{"IPv6 documentation", "https://[2001:db8::1]/", "documentation"},
		{"IPv6 documentation, new", "https://[3fff::1]/", "documentation"},
		{"unique local", "https://[fd12:3456::1]/", "private"},
		{"IPv6 metadata", "https://[fd00:ec2::254]/", "metadata"},
		{"IPv6 link-local", "https://[fe80::1]/", "link-local"},
		{"zone", "https://[fe80::1%25eth0]/", "network interface"},
		{"zone of a public address", "https://[2606:4700::1%25lo]/", "network interface"},
		{"site-local", "https://[fec0::1]/", "site-local"},
		{"IPv6 multicast", "https://[ff02::1]/", "multicast"},
		{"discard", "https://[100::1]/", "public internet"},
		{"SRv6", "https://[5f00::1]/", "public internet"},
		{"IPv4 in brackets", "https://[127.0.0.1]/", "not a URL"},
		{"no IPv6 in brackets", "https://[example.com]/", "not a URL"},
		{"IPv6 without brackets", "https://::1/", "not a URL"},
		{"unclosed bracket", "https://[::1/", "not a URL"},

		{"another port", "https://example.com:22/", "port 22"},
		{"another port of the web", "https://example.com:8443/", "port 8443"},
		{"port 0", "https://example.com:0/", "no good port"},
		{"port with zeros", "https://example.com:00443/", "no good port"},
		{"port too large", "https://example.com:65979/", "no good port"},
		{"signed port", "https://example.com:+443/", "not a URL"},
		{"port as a word", "https://example.com:https/", "not a URL"},
		{"colon without port", "https://example.com:/", "no port"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, err := c.Check(row.url)
			if err == nil {
				t.Fatalf("%q is let through, as %v", row.url, u)
			}
			if herald.CodeOf(err) != herald.CodeInvalidRequest || !strings.Contains(err.Error(), row.why) {
				t.Errorf("%q: %v, want one about %q", row.url, err, row.why)
			}
		})
	}
}

func TestGoodURLs(t *testing.T) {
	c := client(t, Config{})
	for _, raw := range []string{
		"https://example.com", "https://example.com/hook?key=a%20b", "https://EXAMPLE.com:443/", "https://a_b.example.com/",
		"https://xn--bcher-kva.example/", "https://8.8.8.8/", "https://[2606:4700::1111]/x", "https://[2606:4700::1111]:443/", "https://1password.com/", "https://a.0xyz/",
	} {
		if _, err := c.Check(raw); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	c = client(t, Config{Allow: []string{"10.0.0.0/8", "loopback", "64:ff9b::/96"}, Ports: []string{"443", "8080"}, HTTP: true})
	for raw, good := range map[string]bool{
		"http://10.1.2.3:8080/": true, "https://10.1.2.3/": true, "http://127.0.0.1:8080/": true, "http://[::1]:8080/": true,
		"http://10.1.2.3/": false, "https://192.168.0.1/": false, "https://[64:ff9b::808:808]/": true,
		"https://[64:ff9b::a01:203]/": true, "https://[64:ff9b::c0a8:1]/": false, "http://169.254.169.254:8080/": false,
	} {
		if _, err := c.Check(raw); (err == nil) != good {
			t.Errorf("%s: %v", raw, err)
		}
	}
	c = client(t, Config{Allow: []string{"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}, Ports: []string{"any"}})
	for raw, good := range map[string]bool{
		"https://10.1.2.3:1/": true, "https://[fe80::1]:2/": true, "https://169.254.169.254/": false, "https://0.0.0.0/": false,
		"https://[fd00:ec2::254]/": false, "https://[::]/": false, "https://224.0.0.1/": false,
	} {
		if _, err := c.Check(raw); (err == nil) != good {
			t.Errorf("everything open: %s: %v", raw, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{
		{Allow: []string{"0.0.0.0/0"}}, {Allow: []string{"::/0"}}, {Allow: []string{"example.com"}}, {Allow: []string{"10.0.0.0/33"}},
		{Allow: []string{""}}, {Allow: []string{"::ffff:10.0.0.0/104"}}, {Allow: []string{"fe80::1%eth0"}},
		{Ports: []string{"0"}}, {Ports: []string{"https"}}, {Ports: []string{"65536"}}, {Ports: []string{""}},
	} {
		if _, err := New(bad); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	list, err := ParseAllow([]string{"10.1.2.3", "private"})
	if err != nil || len(list) != 5 || list[0] != netip.MustParsePrefix("10.1.2.3/32") {
		t.Errorf("%v %v", list, err)
	}
}

// FuzzCheck holds that whatever passes names a host in one way only, which
// leads where it seems to.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://example.com/", "https://[::1]:443/", "https://127.0.0.1/", "https://0x7f.1/", "https://a@b/", "https://example.com:443#x", "https://1.2.3.4"} {
		f.Add(s)
	}
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.Check(raw)
		if err != nil {
			if herald.CodeOf(err) != herald.CodeInvalidRequest {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		again, err := c.Check(u.String())
		if err != nil || again.Host != u.Host {
			t.Fatalf("%q is %q, and then %v, %v", raw, u, again, err)
		}
		if u.Scheme != "https" || u.User != nil || (u.Port() != "" && u.Port() != "443") {
			t.Fatalf("%q is let through as %q", raw, u)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (!ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is4In6()) {
			t.Fatalf("%q leads to %v", raw, ip)
		}
	})
}

// TestKnownOrigin: an address of the origin that was judged last is read as it is
// by a client that has judged nothing.
func TestKnownOrigin(t *testing.T) {
	cfg := Config{Allow: []string{"loopback"}, Ports: []string{"any"}}
	c := client(t, cfg)
	for _, raw := range []string{
		"https://push.example.com:2197/3/device/0a", "https://push.example.com:2197/3/device/0b", "https://push.example.com:2197//x/../y",
		"https://push.example.com:2197/a%2Fb", "https://push.example.com:2197/a?b=c", "https://push.example.com:2197/a[1]!", "https://push.example.com:2197",
		"https://push.example.com:2197.evil/x", "https://push.example.com:21970/x", "https://push.example.com:2197@evil/x", "https://push.example.com:2197/a#b",
		"https://PUSH.example.com:2197/x", "https://push.example.com/x", "http://push.example.com:2197/x", "https://push.example.com:2197/x y", "https://push.example.com:2197/\\",
		"https://127.0.0.1:2197/x", "https://127.0.0.1:2197/y", "https://10.0.0.1:2197/x", "https://10.0.0.1:2197/x", "https://[::1]:2197/x", "https://[::1]:2197/y",
	} {
		got, gotErr := c.Check(raw)
		want, wantErr := client(t, cfg).Check(raw)
		if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() || gotErr == nil && *got != *want {
			t.Errorf("%s: %+v, %v; want %+v, %v", raw, got, gotErr, want, wantErr)
		}
	}
}
