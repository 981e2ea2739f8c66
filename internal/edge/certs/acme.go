package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"

	"github.com/caddyserver/certmagic"

	"github.com/herald-push/herald"
)

// challengeProtocol is the ALPN name of the TLS challenge (RFC 8737).
const challengeProtocol = "acme-tls/1"

// authority is a certificate authority that speaks ACME.
type authority struct {
	domains []string
	magic   *certmagic.Config
	cache   *certmagic.Cache
	issuer  *certmagic.ACMEIssuer
	storage *gate
}

func newAuthority(c Config) (*authority, error) {
	var roots *x509.CertPool
	if c.Root != "" {
		b, err := readFile("tls.acme_root", c.Root)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(b) {
			return nil, herald.Invalid("tls.acme_root", "Write the root certificate of the authority to it as PEM.", "%s has no certificate", c.Root)
		}
	}
	if c.Authority == "" {
		c.Authority = certmagic.LetsEncryptProductionCA
	}
	log := zapLogger(c.Log)
	a := &authority{domains: c.Domains, storage: newGate(&certmagic.FileStorage{Path: c.Folder})}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           log,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: a.storage, Logger: log,
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	a.issuer = certmagic.NewACMEIssuer(a.magic, certmagic.ACMEIssuer{
		CA: c.Authority, Email: c.Email, Agreed: true, TrustedRoots: roots, Logger: log,
		// Both ports are ours already: nothing listens beside the server.
		ListenHost: c.Host, AltTLSALPNPort: c.TLSPort, AltHTTPPort: c.HTTPPort,
		DisableTLSALPNChallenge: c.TLSPort == 0, DisableHTTPChallenge: c.HTTPPort == 0,
	})
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

func (a *authority) close() {
	a.cache.Stop()
	a.storage.close(closeWithin)
}

func (a *authority) certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.magic.GetCertificate(h)
}

// run gets what is missing and renews what is old; failures are logged and
// tried again, later and later.
func (a *authority) run(ctx context.Context, log *slog.Logger) {
	if err := a.magic.ManageAsync(ctx, a.domains); err != nil {
		log.ErrorContext(ctx, "certificates cannot be managed", "error", err)
	}
	<-ctx.Done()
}
