package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/vault"
)

// openVault makes what has the credentials of vendors, and reads them.
func (s *Server) openVault(ctx context.Context) error {
	c := s.cfg.Egress
	s.vault = vault.New(vault.Config{
		Store: s.store, Ring: s.secrets.ring, Drivers: providers(), Egress: egress.Config{Allow: c.Allow, Ports: c.Ports, HTTP: c.HTTP}, Now: faults.Now, Log: s.log,
		// There is a courier before anybody calls.
		Renewed: func(app herald.AppKey, vendor herald.Vendor) { s.courier.Renewed(app, vendor) },
		Reported: func(app herald.AppKey, vendor herald.Vendor, r provider.Report) {
			if err := s.courier.Reports(context.Background(), app, vendor, []provider.Report{r}); err != nil {
				s.log.Error("what a vendor has said was not kept", "app", app, "vendor", vendor, "error", err)
			}
		},
	})
	return s.vault.Load(ctx)
}

// refusedCredential is a credential that its vendor does not take.
type refusedCredential struct {
	App         herald.AppKey  `json:"app"`
	ID          string         `json:"id"`
	Vendor      herald.Vendor  `json:"vendor"`
	Environment string         `json:"environment,omitempty"`
	Name        string         `json:"name,omitempty"`
	Problem     record.Problem `json:"problem"`
}

// credentialRoutes tells the operator, on the operations port, which credentials
// have a problem.
func (s *Server) credentialRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/credentials", s.admin(func(*http.Request) (any, error) {
		out := []refusedCredential{}
		for _, c := range s.vault.Problems() {
			out = append(out, refusedCredential{c.App, c.ID, c.Vendor, c.Environment, c.Name, *c.Problem})
		}
		return out, nil
	}))
}

// ExamineCredentials names the credentials that their vendors do not take. Only
// a server that runs can tell; without one there is nothing.
func ExamineCredentials(ctx context.Context, cfg config.Config) (out []doctor.Finding) {
	const check = "credentials"
	run, err := readRun(ctx, cfg.Data)
	if err != nil {
		return nil
	}
	var list []refusedCredential
	if err := run.admin(5*time.Second).call(ctx, http.MethodGet, "/admin/credentials", nil, &list); err != nil {
		return nil
	}
	for _, c := range list {
		text := fmt.Sprintf("%s of app %s (%s): %s", c.Vendor, c.App, c.ID, c.Problem.Text)
		if c.Problem.Code != "" {
			text += " (" + c.Problem.Code + ")"
		}
		remedy := c.Problem.Remedy
		if remedy == "" {
			remedy = "Correct the credential, and verify it."
		}
		out = append(out, doctor.Finding{Check: check, State: doctor.Warning, Text: text, Remedy: remedy})
	}
	if out == nil {
		out = []doctor.Finding{{Check: check, State: doctor.OK, Text: "no vendor refuses one"}}
	}
	return out
}
