package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/edge/certs"
)

// portOfTLS checks a port that cannot be asked who has it: no certificate of
// it is known here.
func (s System) portOfTLS(ctx context.Context, check, address, key string, c config.Server) Finding {
	if address == "" {
		return ok(check, "switched off")
	}
	f := s.port(ctx, check, address, key)
	if f.State == Failure && s.Listen(c.HTTP) != nil && s.Alive(ctx, reachable(c.HTTP)) {
		return ok(check, "%s is taken, by the server of Herald that answers on %s as it seems", address, c.HTTP)
	}
	return f
}

// certificate checks what clients will be shown.
func (s System) certificate(c config.TLS) Finding {
	const check = "certificate"
	switch {
	case len(c.ACMEDomains) > 0:
		return ok(check, "for %s, from a certificate authority by ACME", strings.Join(c.ACMEDomains, ", "))
	case c.Cert == "":
		return ok(check, "there is none: TLS is switched off")
	}
	leaf, warnings, err := certs.Check(c.Cert, c.Key, s.Now())
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		return Finding{check, Failure, e.Error(), e.Remedy}
	}
	if err != nil {
		return Finding{check, Failure, err.Error(), "Check tls.cert and tls.key."}
	}
	if len(warnings) > 0 {
		return Finding{check, Warning, warnings[0], "Put a certificate there that clients accept."}
	}
	return ok(check, "valid until %s", leaf.NotAfter.UTC().Format(time.RFC3339))
}
