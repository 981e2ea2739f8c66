package server

import (
	"context"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/courier"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/provider"
)

// openCourier makes what hands messages to vendors.
func (s *Server) openCourier() {
	s.courier = courier.New(courier.Config{
		Errands: s.store, Addresses: s.store, Messages: s.store, Ledger: s.ledger, Directory: s.registry, Open: s.vault.Open,
		NoteProblem: func(app herald.AppKey, credential string, problem *provider.Error) {
			if err := s.vault.NoteProblem(context.Background(), app, credential, problem); err != nil {
				s.log.Warn("what a vendor says of a credential was not kept", "app", app, "credential", credential, "error", err)
			}
		},
		Log: s.log, Now: faults.Now,
	})
}

// routeConfig leads messages beyond the live channel.
func (s *Server) routeConfig() dispatch.RouteConfig {
	return dispatch.RouteConfig{
		Store: s.store, Live: s.store, Addresses: s.store, Vendors: s.vault, OnErrands: s.courier.Wake, Recall: s.courier,
	}
}

// maxReport is how large a call may be by which a vendor says what became of
// messages.
const maxReport = 1 << 20

// vendorReports takes what vendors say later, by the credential that is named in
// the address. Who calls is checked by its provider.
func (s *Server) vendorReports(w http.ResponseWriter, r *http.Request) {
	app, id := herald.AppKey(r.PathValue("app")), r.PathValue("credential")
	c, err := s.vault.Get(app, id)
	if err != nil {
		http.Error(w, "there is no such credential", http.StatusNotFound)
		return
	}
	lease, err := s.vault.Open(r.Context(), app, c.Vendor, c.Environment, c.Name)
	if err != nil {
		http.Error(w, "the credential cannot be used", http.StatusServiceUnavailable)
		return
	}
	defer lease.Release()
	reporter, ok := lease.Provider.(provider.Reporter)
	if !ok {
		http.Error(w, "the vendor has nothing to say here", http.StatusNotFound)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxReport)
	kept := &heldAnswer{header: http.Header{}}
	reports, err := reporter.Reports(kept, r)
	if err != nil {
		http.Error(w, "the call is not from the vendor", http.StatusForbidden)
		return
	}
	if err := s.courier.Reports(r.Context(), app, c.Vendor, reports); err != nil {
		// The vendor says it again.
		s.log.ErrorContext(r.Context(), "what a vendor has said was not kept", "app", app, "vendor", c.Vendor, "error", err)
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	kept.to(w)
}

// heldAnswer is an answer that is given once what it is to was kept.
type heldAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (a *heldAnswer) Header() http.Header { return a.header }
func (a *heldAnswer) WriteHeader(n int)   { a.status = n }
func (a *heldAnswer) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}

func (a *heldAnswer) to(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body)
}
