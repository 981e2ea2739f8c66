package config

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/herald-push/herald/internal/edge"
)

// validateEdge checks what TLS and proxies need of each other.
func (c Config) validateEdge(bad func(key, remedy, format string, args ...any)) {
	if _, err := edge.ParseProxies(c.Server.TrustedProxies); err != nil {
		bad("server.trusted_proxies", "Write addresses, networks such as 10.0.0.0/8, loopback or private; not everybody.", "%s", strings.TrimPrefix(err.Error(), "server.trusted_proxies: "))
	}
	if c.Server.ProxyProtocol && len(c.Server.TrustedProxies) == 0 {
		bad("server.proxy_protocol", "Name the proxies in server.trusted_proxies.", "is on, and nobody is trusted to use it")
	}
	t, files, acme := c.TLS, c.TLS.Cert != "" || c.TLS.Key != "", len(c.TLS.ACMEDomains) > 0
	switch {
	case files && acme:
		bad("tls.acme_domains", "Keep tls.cert and tls.key, or tls.acme_domains.", "stands beside tls.cert or tls.key")
	case files && t.Cert == "":
		bad("tls.cert", "Name the PEM file of the certificate.", "is missing beside tls.key")
	case files && t.Key == "":
		bad("tls.key", "Name the PEM file of the certificate's key.", "is missing beside tls.cert")
	case acme && c.Server.HTTPS == "":
		bad("server.https", "Set it, usually to 0.0.0.0:443.", "is empty, and tls.acme_domains needs it")
	case !files && !acme && c.Server.HTTPS != "":
		bad("server.https", "Set tls.cert and tls.key, or tls.acme_domains.", "needs a certificate")
	case !files && !acme && c.Server.TCPTLS != "":
		bad("server.tcp_tls", "Set tls.cert and tls.key, or tls.acme_domains.", "needs a certificate")
	case !files && !acme && c.Server.MQTTTLS != "":
		bad("server.mqtt_tls", "Set tls.cert and tls.key, or tls.acme_domains.", "needs a certificate")
	}
	for _, d := range t.ACMEDomains {
		if !domain(d) {
			bad("tls.acme_domains", "Write host names such as push.example.com, without scheme, port and wildcard.", "%.60q is not a host name", d)
		}
	}
	if at := strings.IndexByte(t.ACMEEmail, '@'); t.ACMEEmail != "" && (at < 1 || at == len(t.ACMEEmail)-1 || strings.ContainsAny(t.ACMEEmail, " ,<>")) {
		bad("tls.acme_email", "Write one address, for example admin@example.com.", "%.60q is not a mail address", t.ACMEEmail)
	}
	if u, err := url.Parse(t.ACMECA); t.ACMECA != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		bad("tls.acme_ca", "Write the URL of its directory, beginning with https://.", "%.80q is not the address of a certificate authority", t.ACMECA)
	}
}

// domain reports whether a name is one of the DNS, with a dot in it, or an IP
// address, which some authorities certify too (RFC 8738).
func domain(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}) {
			return false
		}
	}
	return true
}

// edgeWarnings says what is allowed at the edge and probably not meant.
func (c Config) edgeWarnings() []string {
	var out []string
	if len(c.TLS.ACMEDomains) > 0 && !atPort(c.Server.HTTPS, 443) && !atPort(c.Server.HTTP, 80) {
		out = append(out, "tls.acme_domains: the authority connects to port 443 of each name, and server.https has another. Something must lead port 443 there.")
	}
	if c.TLS.Cert != "" && c.Server.HTTPS == "" && c.Server.TCPTLS == "" && c.Server.MQTTTLS == "" {
		out = append(out, "tls.cert is set and nothing uses it: server.https, server.tcp_tls and server.mqtt_tls are empty.")
	}
	return out
}

func atPort(address string, want int) bool {
	port, err := splitAddress(address)
	return err == nil && port == want
}
