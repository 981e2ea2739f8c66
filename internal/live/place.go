package live

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// Place is what a connection has of the hub from [Hub.Admit] to Leave. Until
// its client has authenticated it counts as a stranger at its address; what is
// known of it as such is forgotten then. Its methods may be called from any
// goroutine. A nil Place, that of a connection in a test, allows everything.
type Place struct {
	hub     *Hub
	unknown atomic.Pointer[stranger] // nil when the client has authenticated
}

// stranger is what is known of a connection whose client has not authenticated.
type stranger struct {
	origin string     // of the page that opened it, to be judged by its app; "" for none
	client netip.Addr // zero: not known
	from   netip.Addr // where it is counted; zero: nowhere
}

// strangers counts connections whose clients have not authenticated.
type strangers struct {
	mu sync.Mutex // guards at
	at map[netip.Addr]int
}

// Admit counts a connection that a listener is about to serve, or says why it
// must not: a *herald.Error. Who was admitted calls Leave when the connection is
// gone.
func (h *Hub) Admit() (*Place, error) {
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
	return &Place{hub: h}, nil
}

// Hub is the hub that has admitted the connection.
func (p *Place) Hub() *Hub { return p.hub }

// Leave gives the place back. It is called once.
func (p *Place) Leave() {
	p.known()
	p.hub.left()
}

// left gives back the place of who has authenticated.
func (h *Hub) left() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links--; h.links == 0 && h.idle != nil {
		close(h.idle)
	}
}

// Arrive counts the connection at the address of its client, or says that it
// has too many already: a *herald.Error. An unknown address is not counted. It
// is called once, before the connection is served.
func (p *Place) Arrive(client netip.Addr) error {
	most := p.hub.opts.AddressConnections
	if most <= 0 || !client.IsValid() {
		p.unknown.Store(&stranger{client: client})
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
	p.unknown.Store(&stranger{client: client, from: site})
	return nil
}

// known says that the client has authenticated, or is gone.
func (p *Place) known() {
	if p == nil {
		return
	}
	u := p.unknown.Swap(nil)
	if u == nil || !u.from.IsValid() {
		return
	}
	s := &p.hub.strangers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[u.from]--; s.at[u.from] == 0 {
		delete(s.at, u.from)
	}
}

// opened notes the page that opened the connection; it is called before the
// connection is served.
func (p *Place) opened(origin string) {
	if u := p.unknown.Load(); u != nil {
		u.origin = origin
	}
}

// stranger gives what is known of the client, the zero value if that is who it
// is.
func (p *Place) stranger() stranger {
	if p != nil {
		if u := p.unknown.Load(); u != nil {
			return *u
		}
	}
	return stranger{}
}

// mayTry tells whether a token of this client may be checked now: not while
// its address has had too many refused, whether it is good or not.
func (p *Place) mayTry() error {
	if u := p.stranger(); u.client.IsValid() && p.hub.opts.Failures != nil {
		return p.hub.opts.Failures.Allow(u.client)
	}
	return nil
}

// MayTry tells whether what the client of a connection presents may be checked
// now, and Tried counts it if the error says that it was refused: for who checks
// more than tokens.
func MayTry(c Conn) error { return placeOf(c).mayTry() }

// Tried is the other part of [MayTry].
func Tried(c Conn, err error) { placeOf(c).tried("-", err) }

// tried counts the token of this client if it was refused.
func (p *Place) tried(token string, err error) {
	if u := p.stranger(); u.client.IsValid() && p.hub.opts.Failures != nil && token != "" && herald.CodeOf(err) == herald.CodeUnauthorized {
		p.hub.opts.Failures.Wrong(u.client)
	}
}

// entered says that the client has authenticated for an app. The error is that
// the page may not use it.
func (p *Place) entered(app herald.AppKey) error {
	if u := p.stranger(); u.origin != "" && p.hub.opts.AllowApp != nil && !p.hub.opts.AllowApp(app, u.origin) {
		return errOrigin()
	}
	p.known()
	return nil
}

// Admitted is an add-on of a Conn that has a place of the hub.
type Admitted interface {
	// Place may be nil.
	Place() *Place
}

func placeOf(c Conn) *Place {
	if a, ok := c.(Admitted); ok {
		return a.Place()
	}
	return nil
}

func errOrigin() *herald.Error {
	return herald.Errorf(herald.CodeForbidden, "Add the origin to those that the app allows.", "this web origin may not connect")
}
