package egress

import (
	"net/netip"
	"slices"

	"github.com/herald-push/herald"
)

// network is a range of addresses with the reason why it is not called.
type network struct {
	prefix netip.Prefix
	why    string
}

func networks(list ...[2]string) (out []network) {
	for _, n := range list {
		out = append(out, network{netip.MustParsePrefix(n[0]), n[1]})
	}
	return out
}

// never are addresses that no list of the operator opens: they are nobody's, or
// give the credentials of a machine in a cloud to whoever asks.
func never() []network {
	return networks(
		[2]string{"0.0.0.0/8", "means this machine (RFC 1122 section 3.2.1.3)"},
		[2]string{"224.0.0.0/4", "is multicast (RFC 5771)"},
		[2]string{"255.255.255.255/32", "is broadcast (RFC 919)"},
		[2]string{"169.254.169.254/32", "is the metadata service of clouds"},
		[2]string{"100.100.100.200/32", "is the metadata service of a cloud"},
		[2]string{"192.0.0.192/32", "is the metadata service of a cloud"},
		[2]string{"::/128", "means this machine (RFC 4291 section 2.5.2)"},
		[2]string{"ff00::/8", "is multicast (RFC 4291 section 2.7)"},
		[2]string{"fd00:ec2::254/128", "is the metadata service of a cloud"},
		[2]string{"fd20:ce::254/128", "is the metadata service of a cloud"},
	)
}

// closed are the ranges that are not the public internet: the registries of RFC
// 6890 as they are now. They can be opened by the operator.
func closed() []network {
	return networks(
		[2]string{"10.0.0.0/8", "is private (RFC 1918)"},
		[2]string{"100.64.0.0/10", "is shared by a carrier (RFC 6598)"},
		[2]string{"127.0.0.0/8", "is loopback (RFC 1122 section 3.2.1.3)"},
		[2]string{"169.254.0.0/16", "is link-local (RFC 3927)"},
		[2]string{"172.16.0.0/12", "is private (RFC 1918)"},
		[2]string{"192.0.0.0/24", "is for protocols (RFC 6890)"},
		[2]string{"192.0.2.0/24", "is for documentation (RFC 5737)"},
		[2]string{"192.88.99.0/24", "was a relay of 6to4 (RFC 7526)"},
		[2]string{"192.168.0.0/16", "is private (RFC 1918)"},
		[2]string{"198.18.0.0/15", "is for measurements (RFC 2544)"},
		[2]string{"198.51.100.0/24", "is for documentation (RFC 5737)"},
		[2]string{"203.0.113.0/24", "is for documentation (RFC 5737)"},
		[2]string{"240.0.0.0/4", "is reserved (RFC 1112 section 4)"},
		[2]string{"::1/128", "is loopback (RFC 4291 section 2.5.3)"},
		[2]string{"64:ff9b::/96", "translates to IPv4 (RFC 6052)"},
		[2]string{"64:ff9b:1::/48", "translates to IPv4 (RFC 8215)"},
		[2]string{"2001::/32", "is Teredo, which tunnels to IPv4 (RFC 4380)"},
		[2]string{"2001::/23", "is for protocols (RFC 2928)"},
		[2]string{"2001:db8::/32", "is for documentation (RFC 3849)"},
		[2]string{"2002::/16", "is 6to4, which tunnels to IPv4 (RFC 3056)"},
		[2]string{"3fff::/20", "is for documentation (RFC 9637)"},
		[2]string{"fc00::/7", "is private (RFC 4193)"},
		[2]string{"fe80::/10", "is link-local (RFC 4291 section 2.5.6)"},
		[2]string{"fec0::/10", "was site-local (RFC 3879)"},
	)
}

// translated is where the last 32 bits are an IPv4 address (RFC 6052 section
// 2.1): whoever opens it does not open what lies behind.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// unicast is all of IPv6 that is given to the public internet (RFC 4291 section
// 2.4 and the registry of IANA). What is outside is not called, known or not.
var unicast = netip.MustParsePrefix("2000::/3")

// rules judge addresses.
type rules struct {
	never, closed []network
	open          []netip.Prefix
}

// why says why an address is not called; "" if it is.
func (r *rules) why(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "is no address"
	case ip.Zone() != "":
		return "names a network interface of this machine (RFC 4007)"
	case ip.Is4In6():
		// A system may connect to the IPv4 address in it.
		ip = ip.Unmap()
	}
	if why := in(r.never, ip); why != "" {
		return why
	}
	if slices.ContainsFunc(r.open, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		if translated.Contains(ip) {
			b := ip.As16()
			return r.why(netip.AddrFrom4([4]byte(b[12:])))
		}
		return ""
	}
	if why := in(r.closed, ip); why != "" {
		return why
	}
	if ip.Is6() && !unicast.Contains(ip) {
		return "is not of the public internet (RFC 4291 section 2.4)"
	}
	return ""
}

func in(list []network, ip netip.Addr) string {
	for _, n := range list {
		if n.prefix.Contains(ip) {
			return n.why
		}
	}
	return ""
}

// word gives the networks that a word of the operator stands for. Private
// networks have no link-local addresses: the metadata services of clouds are
// there.
func word(s string) []string {
	switch s {
	case "loopback":
		return []string{"127.0.0.0/8", "::1/128"}
	case "private":
		return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}
	}
	return nil
}

// ParseAllow reads the networks that an operator opens: addresses, networks in
// CIDR notation, and the words loopback and private. The error is a
// *herald.Error.
func ParseAllow(list []string) (out []netip.Prefix, err error) {
	for _, entry := range list {
		texts := word(entry)
		if texts == nil {
			texts = []string{entry}
		}
		for _, text := range texts {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				var ip netip.Addr
				if ip, err = netip.ParseAddr(text); err == nil && ip.Zone() == "" {
					p = netip.PrefixFrom(ip, ip.BitLen())
				}
			}
			if err != nil || !p.IsValid() || p.Addr().Is4In6() {
				return nil, herald.Invalid("egress.allow", "Write addresses, networks such as 10.0.0.0/8, loopback or private.", "%.60q is no address and no network", entry)
			}
			if p.Bits() == 0 {
				return nil, herald.Invalid("egress.allow", "Name the networks that your app servers are in.", "%.60q is every address there is", entry)
			}
			out = append(out, p.Masked())
		}
	}
	return out, nil
}
