package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/herald-push/herald"
)

// Proxies is a set of addresses that are believed about where a connection
// comes from. The zero value believes nobody.
type Proxies struct{ prefixes []netip.Prefix }

// named are the words that stand for networks: loopback (RFC 1122 section
// 3.2.1.3, RFC 4291 section 2.5.3), and those that the internet does not route
// (RFC 1918, RFC 4193, and link-local of RFC 3927 and RFC 4291).
func named(word string) []string {
	switch word {
	case "loopback":
		return []string{"127.0.0.0/8", "::1/128"}
	case "private":
		return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"}
	}
	return nil
}

// ParseProxies reads a list of addresses, networks in CIDR notation, and the
// words loopback and private. The error is a *herald.Error.
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, entry := range list {
		texts := named(entry)
		if texts == nil {
			texts = []string{entry}
		}
		for _, text := range texts {
			prefix, ok := parsePrefix(text)
			if !ok {
				return Proxies{}, herald.Invalid("server.trusted_proxies", "Write addresses, networks such as 10.0.0.0/8, loopback or private.", "%.60q is no address and no network", entry)
			}
			if prefix.Bits() == 0 {
				return Proxies{}, herald.Invalid("server.trusted_proxies", "Name the addresses of your proxies; whoever is trusted can claim any address.", "%.60q is everybody", entry)
			}
			p.prefixes = append(p.prefixes, prefix)
		}
	}
	return p, nil
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if ip := prefix.Addr(); ip.Is4In6() {
			if prefix.Bits() < 96 {
				return netip.Prefix{}, false
			}
			prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
		}
		return prefix.Masked(), true
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, false
	}
	ip = ip.Unmap()
	return netip.PrefixFrom(ip, ip.BitLen()), true
}

// Empty reports whether nobody is trusted.
func (p Proxies) Empty() bool { return len(p.prefixes) == 0 }

// Trusts reports whether an address is believed.
func (p Proxies) Trusts(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(p.prefixes, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// Client is the address of the client that a request comes from: the peer of
// the connection or, if that is trusted, what it and the trusted ones before it
// say in X-Forwarded-For. It is the zero Addr if the peer is unknown.
func (p Proxies) Client(r *http.Request) netip.Addr {
	peer := parseNode(r.RemoteAddr)
	if p.Empty() || !p.Trusts(peer) {
		return peer
	}
	return p.forwarded(peer, r.Header.Values("X-Forwarded-For"))
}

// forwarded walks the list from its end, where the nearest proxy has written
// the address that it saw. An entry counts as long as everything to the right
// of it is trusted; the first that is not trusted is the client. What is no
// address ends the walk, because nobody vouches for what stands before it.
func (p Proxies) forwarded(peer netip.Addr, headers []string) netip.Addr {
	client := peer
	for _, line := range slices.Backward(headers) {
		for line != "" {
			rest, entry := "", line
			if comma := strings.LastIndexByte(line, ','); comma >= 0 {
				rest, entry = line[:comma], line[comma+1:]
			}
			line = rest
			if entry = strings.Trim(entry, " \t"); entry == "" {
				continue // an empty element of a list (RFC 9110 section 5.6.1.2)
			}
			ip := parseNode(entry)
			if !ip.IsValid() {
				return client
			}
			if client = ip; !p.Trusts(ip) {
				return client
			}
		}
	}
	return client
}

// parseNode reads an address as proxies write it: alone, in brackets, or with
// a port. It is the zero Addr if it is none.
func parseNode(s string) netip.Addr {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().WithZone("")
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if ip, err := netip.ParseAddr(inner); err == nil && ip.Is6() {
				return ip.Unmap().WithZone("")
			}
		}
	}
	return netip.Addr{}
}

// Address is that of a net.Addr; the zero Addr if it is not one of IP.
func Address(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	return parseNode(a.String())
}

// Site is what limits count as one place: an IPv4 address, or the /64 of an
// IPv6 address, because a site has as many of those as it likes.
func Site(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}
