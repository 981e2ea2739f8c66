package providertest

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/sim"
)

// Server is the simulator of a vendor that a test runs, over HTTPS.
type Server struct {
	*sim.Server
	Desk *sim.Desk
}

// Serve runs a simulator until the test ends.
func Serve(t *testing.T, vendor http.Handler) Server {
	t.Helper()
	desk := &sim.Desk{}
	s, err := sim.Serve(t.Context(), "127.0.0.1:0", desk, vendor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return Server{s, desk}
}

// ServeBearing is Serve with headers that all answers bear, which may change.
func ServeBearing(t *testing.T, header http.Header, vendor http.Handler) Server {
	t.Helper()
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, v := range header {
			w.Header()[name] = v
		}
		vendor.ServeHTTP(w, r)
	}))
}

// Egress reaches the simulator.
func (s Server) Egress() egress.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate)
	return egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}, Roots: roots}
}

// Open makes a provider that speaks to the simulator until the test ends; now
// may be nil.
func (s Server) Open(t *testing.T, open func(provider.Config) (provider.Provider, error), values map[string]string, now func() time.Time) provider.Provider {
	t.Helper()
	p, err := open(provider.Config{Values: values, Egress: s.Egress(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}
