package live

import (
	"net/netip"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// place is what a connection has of the hub from admit to leave. Until its
// client has authenticated it counts as a stranger at its address.
type place struct {
	hub    *Hub
	origin string // of the page that opened it, to be judged by its app; "" for none

	client netip.Addr // set before it is served; zero: not known

	mu   sync.Mutex // guards from
	from netip.Addr // where it counts as a stranger; zero: nowhere
}

// strangers counts connections whose clients have not authenticated.
type strangers struct {
	mu sync.Mutex // guards at
	at map[netip.Addr]int
}

// admit counts a connection that a listener is about to serve, or says why it
// must not. Who was admitted calls leave when the connection is gone.
func (h *Hub) admit() (*place, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining || h.closed:
		e := herald.Errorf(herald.CodeDraining, "Connect again after the time in Retry-After.", "this server is going away")
		e.RetryAfter = 5 * time.Second
		return nil, e
	case h.opts.MaxConnections > 0 && h.links >= h.opts.MaxConnections:
		e := herald.Errorf(herald.CodeRateLimited, "Connect again after the time in Retry-After.", "this server has as many connections as it may")
		e.RetryAfter = 30 * time.Second
		return nil, e
	}
	h.links++
	return &place{hub: h}, nil
}

// leave gives the place back.
func (p *place) leave() {
	p.known()
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.hub.links--; p.hub.links == 0 && p.hub.idle != nil {
		close(p.hub.idle)
	}
}

// arrive counts the connection at the address of its client, or says that it
// has too many already. An unknown address is not counted.
func (p *place) arrive(client netip.Addr) error {
	p.client = client
	most := p.hub.opts.AddressConnections
	if most <= 0 || !client.IsValid() {
		return nil
	}
	site := edge.Site(client)
	s := &p.hub.strangers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[site] >= most {
		e := herald.Errorf(herald.CodeRateLimited, "Send the token with the request, or hello at once; behind a proxy, name it in server.trusted_proxies.",
			"this address has as many connections as it may that have not authenticated")
		e.RetryAfter = 5 * time.Second
		return e
	}
	if s.at == nil {
		s.at = map[netip.Addr]int{}
	}
	s.at[site]++
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = site
	return nil
}

// known says that the client has authenticated, or is gone.
func (p *place) known() {
	p.mu.Lock()
	site := p.from
	p.from = netip.Addr{}
	p.mu.Unlock()
	if !site.IsValid() {
		return
	}
	s := &p.hub.strangers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[site]--; s.at[site] == 0 {
		delete(s.at, site)
	}
}

// mayTry tells whether a token of this client may be checked now: not while
// its address has had too many refused, whether it is good or not.
func (p *place) mayTry() error {
	if f := p.hub.opts.Failures; f != nil && p.client.IsValid() {
		return f.Allow(p.client)
	}
	return nil
}

// tried counts the token of this client if it was refused.
func (p *place) tried(token string, err error) {
	if f := p.hub.opts.Failures; f != nil && p.client.IsValid() && token != "" && herald.CodeOf(err) == herald.CodeUnauthorized {
		f.Wrong(p.client)
	}
}

// guest is a Conn that a listener has admitted. A session asks it before it
// checks a token and tells it what came of it and whose it is, and is refused
// if the page may not use that app.
type guest interface {
	mayTry() error
	tried(token string, err error)
	entered(herald.AppKey) error
}

func (c *conn) mayTry() error {
	if c.place == nil {
		return nil
	}
	return c.place.mayTry()
}

func (c *conn) tried(token string, err error) {
	if c.place != nil {
		c.place.tried(token, err)
	}
}

func (c *conn) entered(app herald.AppKey) error {
	if c.place == nil {
		return nil
	}
	if allow := c.hub.opts.AllowApp; c.place.origin != "" && allow != nil && !allow(app, c.place.origin) {
		return errOrigin()
	}
	c.place.known()
	return nil
}

func errOrigin() *herald.Error {
	return herald.Errorf(herald.CodeForbidden, "Add the origin to those that the app allows.", "this web origin may not connect")
}
