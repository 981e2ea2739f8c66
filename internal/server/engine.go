package server

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/engine"
)

// openEngine starts the event loops, unless the portable driver was chosen or
// nothing else can be had.
func (s *Server) openEngine() error {
	if s.cfg.Live.Engine == "portable" {
		return nil
	}
	k, err := engine.NewKernel()
	if err == nil {
		s.engine, err = engine.New(k, engine.Config{NoBatches: !s.cfg.Live.IOUring, Log: s.log})
	}
	switch {
	case err == nil:
		return nil
	case s.cfg.Live.Engine != "":
		return herald.Errorf(herald.CodeInternal, "Leave live.engine out, or set it to portable.", "the engine %s cannot be had: %v", s.cfg.Live.Engine, err)
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		s.log.Warn("connections are driven by goroutines, because event loops cannot be had", "error", err)
	}
	return nil
}

// driver is who takes over connections that have left net/http; nil for nobody.
func (s *Server) driver() live.Driver {
	if s.engine == nil {
		return nil
	}
	return s.engine
}

// hotPaths are the requests that the engine serves itself: those that become
// live connections, and those that come by the thousand.
func (s *Server) hotPaths() map[string][]string {
	hot := map[string][]string{http.MethodPost: {"/v1/messages", "/v1/messages:batch", "/v1/receipts"}}
	for _, t := range transports(s.cfg.Live, s.broker) {
		hot[http.MethodGet] = append(hot[http.MethodGet], t.Path())
	}
	return hot
}

// serveWeb serves the public port without TLS.
func (s *Server) serveWeb(web *http.Server) error {
	l := s.behind(s.http)
	if s.engine == nil {
		return serve(web, l)
	}
	var polls []string
	for _, t := range transports(s.cfg.Live, s.broker) {
		if p, ok := t.(live.Poller); ok {
			polls = append(polls, p.Path())
		}
	}
	return served(l, s.engine.ServeHTTP(l, web, s.hotPaths(), polls...))
}

// serveRaw serves the port of a transport of its own.
func (s *Server) serveRaw(ctx context.Context, l net.Listener, t live.Server) error {
	if s.engine == nil {
		return live.Serve(ctx, l, s.hub, t)
	}
	return s.engine.Serve(ctx, l, s.hub, t)
}
