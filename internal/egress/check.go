package egress

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
)

// maxURL is how long an address may be, in bytes.
const maxURL = 2048

// refuse makes the error for an address that is not called.
func refuse(remedy, format string, args ...any) *herald.Error {
	return herald.Invalid("url", remedy, format, args...)
}

const plainURL = "Write it as https://host/path, with a host name or a usual IP address."

// Check judges the text of an address, without asking the DNS: so much can be
// said when a user gives it. What the host leads to is judged at each call. The
// error is a *herald.Error about the field url.
func (c *Client) Check(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, refuse("Shorten it.", "is longer than %d bytes", maxURL)
	}
	for i := range len(raw) {
		// Programs disagree about what a backslash, a blank or a letter beyond
		// ASCII in a host means; nobody needs them.
		if b := raw[i]; b <= ' ' || b >= 0x7f || b == '\\' {
			return nil, refuse("Write host names in the form xn--…, and percent-encode the rest.", "contains a character that has no place in a URL (RFC 3986)")
		}
	}
	if u := c.known(raw); u != nil {
		return u, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, refuse(plainURL, "is not a URL")
	}
	switch {
	case u.Scheme == "http" && !c.http:
		return nil, refuse("Use https; or have the operator set egress.http.", "goes over http, which anybody on the way can read")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, refuse(plainURL, "does not begin with https://")
	case u.Opaque != "" || u.Host == "":
		return nil, refuse(plainURL, "names no host")
	case u.User != nil:
		return nil, refuse("Leave out the user; webhooks are signed.", "contains a user or a password")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, refuse("Leave out # and what follows.", "contains a fragment")
	}
	if err := c.checkPort(u); err != nil {
		return nil, err
	}
	if err := c.checkHost(u); err != nil {
		return u, err
	}
	if origin := u.Scheme + "://" + u.Host; strings.HasPrefix(raw, origin+"/") {
		c.last.Store(&origin)
	}
	return u, nil
}

// plainPath is what stands for itself in a path (RFC 3986 section 3.3).
const plainPath = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:"

// known gives an address of the origin that was judged last, with a plain path:
// of a vendor that is called ten thousand times a second, only that differs. It is
// nil for any other.
func (c *Client) known(raw string) *url.URL {
	origin := c.last.Load()
	if origin == nil {
		return nil
	}
	path, ok := strings.CutPrefix(raw, *origin)
	if !ok || path == "" || path[0] != '/' || strings.Trim(path, plainPath) != "" {
		return nil
	}
	scheme, host, _ := strings.Cut(*origin, "://")
	return &url.URL{Scheme: scheme, Host: host, Path: path}
}

func (c *Client) checkPort(u *url.URL) error {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return refuse("Leave out the colon.", "has a colon and no port")
		}
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return refuse("Write a port from 1 to 65535, or none.", "has no good port")
	}
	if len(c.ports) > 0 && !slices.Contains(c.ports, uint16(n)) {
		return refuse("Use one of the ports in the operator's egress.ports.", "goes to port %d, which this server does not call", n)
	}
	return nil
}

func (c *Client) checkHost(u *url.URL) error {
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") || strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		switch {
		case err != nil || !ip.Is6() || !strings.HasPrefix(u.Host, "["):
			return refuse(plainURL, "has no good IPv6 address")
		case ip.Is4In6():
			return refuse("Write the IPv4 address.", "has an IPv4 address in the form of IPv6")
		}
		return c.checkAddress(ip)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return c.checkAddress(ip)
	}
	return checkName(host)
}

func (c *Client) checkAddress(ip netip.Addr) error {
	if why := c.rules.why(ip); why != "" {
		return refuse("Use an address on the public internet; or have the operator add the network to egress.allow.", "leads to %s, which %s", ip, why)
	}
	return nil
}

// checkName accepts names of the DNS as hosts use them (RFC 1123 section 2.1),
// with an underscore here and there. What some programs take for an IP address,
// because its last label is a number, is refused: 127.1, 0x7f.1, 2130706433.
func checkName(host string) error {
	bad := refuse(plainURL, "%.80q is not a host name", host)
	if len(host) > 253 {
		return bad
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return bad // a dot at the end makes an empty label
		}
		for i := range len(label) {
			b := label[i]
			if b != '-' && b != '_' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
				return bad
			}
		}
		last = strings.ToLower(label)
	}
	digits, hex := strings.CutPrefix(last, "0x")
	if strings.Trim(last, "0123456789") == "" || hex && strings.Trim(digits, "0123456789abcdef") == "" {
		return refuse("Write an IP address as four decimal numbers from 0 to 255.", "%.80q is an unusual form of an IP address", host)
	}
	return nil
}
