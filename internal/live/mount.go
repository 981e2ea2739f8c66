package live

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// Mount serves transports on a mux of net/http. A request that a transport
// upgrades leaves net/http: its socket, or over HTTP/2 its stream, is driven
// here until it ends.
func Mount(mux *http.ServeMux, hub *Hub, transports ...Endpoint) {
	for _, t := range transports {
		mux.Handle(t.Path(), &mounted{hub, t})
	}
}

type mounted struct {
	hub *Hub
	end Endpoint
}

// ServeHTTP checks what all transports have in common, then asks the transport.
func (m *mounted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.allowOrigin(w, r) {
		writeProblem(w, errOrigin(), 0)
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodOptions:
		preflight(w)
		return
	default:
		w.Header().Set("Allow", "GET, OPTIONS")
		writeProblem(w, herald.Errorf(herald.CodeInvalidRequest, "Use GET.", "the method %.16s is not for this address", r.Method), http.StatusMethodNotAllowed)
		return
	}
	p, err := m.hub.Admit()
	if err != nil {
		writeProblem(w, err, 0)
		return
	}
	err = p.Arrive(m.hub.opts.Address(r))
	token := requestToken(r)
	if err == nil && token != "" {
		err = p.mayTry()
	}
	if err != nil {
		p.Leave()
		writeProblem(w, err, 0)
		return
	}
	if origin := r.Header.Get("Origin"); !ownPage(r, origin) {
		p.opened(origin)
	}
	switch t := m.end.(type) {
	case Upgrader:
		if !m.upgrade(w, r, t, p, token) {
			p.Leave()
		}
	case Poller:
		held, err := m.hub.poll(w, r, t, p)
		if err != nil {
			p.tried(token, err)
			writeProblem(w, err, 0)
		}
		if !held {
			p.Leave()
		}
	}
}

// ownPage reports whether an origin is of the host that was asked: a page of
// this server, which may talk to it whatever its apps say.
func ownPage(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// allowOrigin answers the CORS protocol (Fetch standard, section 3.2) for the
// request's own origin. No credential of a browser is ambient here, so that is
// enough for any origin that may connect at all.
func (m *mounted) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	w.Header().Add("Vary", "Origin")
	if allow := m.hub.opts.AllowOrigin; allow != nil && !ownPage(r, origin) && !allow(r) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

func preflight(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Methods", "GET")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Cache-Control, Last-Event-ID")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// upgrade reports whether the request became a connection, which then
// leaves its place in the hub itself.
func (m *mounted) upgrade(w http.ResponseWriter, r *http.Request, up Upgrader, p *Place, token string) bool {
	resp, handler, err := up.Upgrade(m.hub, r)
	for name, values := range resp.Header {
		// HTTP/2 has no such fields (RFC 9113 section 8.2.2).
		if r.ProtoMajor == 1 || name != "Upgrade" && name != "Connection" {
			w.Header()[name] = values
		}
	}
	if err != nil {
		p.tried(token, err)
		writeProblem(w, err, resp.Status)
		return false
	}
	if t, ok := w.(Taker); ok {
		t.Take(responseHead(resp, w.Header()), handler, p)
		return true
	}
	rc := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		if socket, rw, err := rc.Hijack(); err == nil {
			// What the client sent after the head is in net/http's buffer.
			early, _ := rw.Reader.Peek(rw.Reader.Buffered())
			m.drive(socket, bytes.Clone(early), responseHead(resp, w.Header()), handler, p)
			return true
		}
	}
	if resp.Status != http.StatusOK {
		writeProblem(w, herald.Errorf(herald.CodeInvalidRequest, "Connect with HTTP/1.1.", "the connection cannot leave HTTP here"), http.StatusUpgradeRequired)
		return false
	}
	defer p.Leave()
	w.WriteHeader(resp.Status)
	if rc.Flush() != nil {
		return true
	}
	l := newStreamLink(w, rc, r)
	defer l.close()
	c := newConn(m.hub, handler, l)
	c.place = p
	c.serve(nil)
	return true
}

// drive gives a socket that has left net/http to the driver, or to the portable
// one if that cannot drive it.
func (m *mounted) drive(socket net.Conn, early, head []byte, handler Handler, p *Place) {
	if !m.hub.opts.Driver.Adopt(socket, early, head, handler, p) {
		Portable{}.Adopt(socket, early, head, handler, p)
	}
}

// responseHead writes the head of a response over HTTP/1.1. A body that
// streams ends with the connection (RFC 9112 section 6.3).
func responseHead(resp Response, header http.Header) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", resp.Status, http.StatusText(resp.Status))
	if resp.Status != http.StatusSwitchingProtocols {
		header.Set("Connection", "close")
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	_ = header.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}
