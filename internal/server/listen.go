package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/live"
)

// portTries is how many further ports are tried when one is taken.
const portTries = 20

// port is the port of a transport that has one of its own.
type port struct {
	key       string // of the configuration
	address   string // "": none
	transport live.Server
	tls       bool
	optional  bool         // at its default it is nothing that the server needs
	listener  net.Listener // nil until it is bound
}

// listen binds the ports.
func (s *Server) listen(ctx context.Context) (err error) {
	if err := s.mayListen(); err != nil {
		return err
	}
	if s.http, err = s.bind(ctx, s.cfg.Server.HTTP, "server.http"); err != nil {
		return err
	}
	if s.ops, err = s.bind(ctx, s.cfg.Server.Ops, "server.ops"); err != nil {
		return err
	}
	if s.cfg.Server.HTTPS != "" {
		if s.https, err = s.bind(ctx, s.cfg.Server.HTTPS, "server.https"); err != nil {
			return err
		}
		s.log.InfoContext(ctx, "listening", "transport", "https", "address", s.https.Addr().String())
	}
	if err := s.bindPorts(ctx); err != nil {
		return err
	}
	if err := s.openCerts(); err != nil {
		return err
	}
	s.url = s.cfg.Server.PublicURL
	if s.url == "" {
		s.url = "http://" + dialable(s.http.Addr())
	}
	s.token = herald.NewSecret(32)
	return s.folder.writeRun(runInfo{URL: s.url, Ops: "http://" + dialable(s.ops.Addr()), Token: s.token})
}

// bindPorts binds the ports of transports that have one of their own. Where
// HTTP takes any free port, because several servers share the machine, an
// address that was left at its default does too. One at which another program
// may well listen keeps nobody from starting, as long as it is the default.
func (s *Server) bindPorts(ctx context.Context) error {
	_, anyPort := strings.CutSuffix(s.cfg.Server.HTTP, ":0")
	usual := map[string]bool{}
	for _, d := range ports(config.Default().Server, s.broker) {
		for i := range s.ports {
			p := &s.ports[i]
			if d.address == "" || p.key != d.key || p.address != d.address {
				continue
			}
			usual[p.key] = true
			if anyPort {
				host, _, _ := net.SplitHostPort(d.address)
				p.address = net.JoinHostPort(host, "0")
			}
		}
	}
	for i := range s.ports {
		p := &s.ports[i]
		if p.address == "" {
			continue
		}
		if err := s.bindPort(ctx, p, usual[p.key]); err != nil {
			return err
		}
	}
	return nil
}

// bindPort binds one; usual tells that its address is the default.
func (s *Server) bindPort(ctx context.Context, p *port, usual bool) error {
	l, err := s.bind(ctx, p.address, p.key)
	switch {
	case err == nil:
		p.listener = l
		s.log.InfoContext(ctx, "listening", "transport", p.transport.Name(), "address", l.Addr().String())
	case p.optional && usual && herald.CodeOf(err) == herald.CodeConflict:
		s.log.WarnContext(ctx, "another program has the port, and the server goes on without it: choose another one with "+p.key, "address", p.address)
	default:
		return err
	}
	return nil
}

// mayListen keeps a server that nobody has set up on loopback.
func (s *Server) mayListen() error {
	if s.cfg.Server.AllowOpen || len(s.registry.Apps()) > 0 {
		return nil
	}
	if err := onLoopback("server.http", s.cfg.Server.HTTP); err != nil {
		return err
	}
	if s.cfg.Server.HTTPS != "" {
		if err := onLoopback("server.https", s.cfg.Server.HTTPS); err != nil {
			return err
		}
	}
	for _, p := range s.ports {
		if p.address != "" {
			if err := onLoopback(p.key, p.address); err != nil {
				return err
			}
		}
	}
	return onLoopback("server.ops", s.cfg.Server.Ops)
}

func onLoopback(key, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return herald.Invalid(key, "Write host:port, such as 127.0.0.1:7700.", "%.60q is not an address", addr)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return herald.Errorf(herald.CodeForbidden,
		"Make an app first with herald app create, or listen on 127.0.0.1, or set server.allow_open.",
		"the server has no app yet and would listen on %s, beyond this machine", addr)
}

func (s *Server) bind(ctx context.Context, addr, key string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, herald.Invalid(key, "Write host:port, such as 127.0.0.1:7700.", "%.60q is not an address", addr)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, herald.Invalid(key, "Use a port from 0 to 65535.", "%.20q is not a port", port)
	}
	tries := 1
	if s.cfg.Server.NextPort && first != 0 {
		tries += portTries
	}
	var last error
	for i := range tries {
		l, err := live.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(first)+i)))
		if err == nil {
			return l, nil
		}
		if last = err; !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if errors.Is(last, syscall.EADDRINUSE) {
		return nil, herald.Errorf(herald.CodeConflict, "Stop who listens there, or choose another port with "+key+".", "the address %s is taken", addr)
	}
	return nil, herald.Errorf(herald.CodeInternal, "Check "+key+".", "cannot listen on %s: %v", addr, last)
}

// dialable is an address at which the listener can be reached from here.
func dialable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	host := t.IP.String()
	if t.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(t.Port))
}

func serve(srv *http.Server, l net.Listener) error { return served(l, srv.Serve(l)) }

func served(l net.Listener, err error) error {
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("server: serving %s: %w", l.Addr(), err)
	}
	return nil
}

// shutdown finishes requests until ctx ends, then cuts the rest.
func shutdown(ctx context.Context, srv *http.Server) error {
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}

// servers makes the HTTP servers of both ports. Time-outs bound what a slow or
// hostile client can hold; connections that become live leave net/http and
// have limits of their own.
func (s *Server) servers() (web, ops *http.Server) {
	web = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: quietLog(s.log), Protocols: protocols(),
	}
	if s.certs != nil {
		web.Handler = s.certs.Challenge(web.Handler)
		web.TLSConfig = s.certs.TLS("h2", "http/1.1")
	}
	ops = &http.Server{
		Handler: s.opsRoutes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: quietLog(s.log),
	}
	return web, ops
}
