package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
	"github.com/herald-push/herald/internal/edge/certs"
	"github.com/herald-push/herald/internal/live"
)

// openCerts makes the source of certificates, once the ports are known.
func (s *Server) openCerts() error {
	t := s.cfg.TLS
	if t.Cert == "" && len(t.ACMEDomains) == 0 {
		return nil
	}
	c := certs.Config{
		Cert: t.Cert, Key: t.Key, Domains: t.ACMEDomains, Email: t.ACMEEmail, Authority: t.ACMECA, Root: t.ACMERoot,
		Folder: s.folder.certificates(), Log: s.log,
	}
	if s.https != nil {
		c.Host, _, _ = net.SplitHostPort(s.cfg.Server.HTTPS)
		c.TLSPort = portOf(s.https)
	}
	if s.http != nil && portOf(s.http) == 80 {
		c.HTTPPort = 80
	}
	var err error
	s.certs, err = certs.Open(c)
	return err
}

func portOf(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// TCP is the address of the raw TCP transport, as it can be dialled from here;
// "" if there is none.
func (s *Server) TCP() string { return s.portOf("server.tcp") }

// MQTT is that of MQTT.
func (s *Server) MQTT() string { return s.portOf("server.mqtt") }

func (s *Server) portOf(key string) string {
	for _, p := range s.ports {
		if p.listener != nil && p.key == key {
			return dialable(p.listener.Addr())
		}
	}
	return ""
}

// behind lets trusted proxies say for whom they connect, if that is set.
func (s *Server) behind(l net.Listener) net.Listener {
	if s.cfg.Server.ProxyProtocol {
		return s.proxies.Listen(l)
	}
	return l
}

// wrap gives the connections of a transport's own port what they begin with.
func (s *Server) wrap(p port) net.Listener {
	l := s.behind(p.listener)
	if p.tls {
		l = tls.NewListener(l, s.certs.TLS())
	}
	return l
}

// serveTLS serves HTTP/2 and HTTP/1.1, as clients choose by ALPN.
func serveTLS(srv *http.Server, l net.Listener) error {
	if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("server: serving %s: %w", l.Addr(), err)
	}
	return nil
}

// protocols are those of the public port. HTTP/2 without TLS is for proxies
// that speak nothing else to their servers (RFC 9113 section 3.3).
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// parseProxies reads who is trusted.
func (s *Server) parseProxies() (err error) {
	s.proxies, err = edge.ParseProxies(s.cfg.Server.TrustedProxies)
	return err
}

// allowOrigin decides about a browser that wants to connect, by the app that
// its token names. Without a token in the head it may go on: the app decides
// when the first frame has brought one.
func (s *Server) allowOrigin(r *http.Request) bool {
	hello, err := live.RequestHello(r)
	app, named := s.registry.AppOf(hello.Token)
	if err != nil || !named {
		return true
	}
	return s.allowApp(app, r.Header.Get("Origin"))
}

func (s *Server) allowApp(app herald.AppKey, origin string) bool {
	return s.registry.AllowedOrigin(app, origin)
}
