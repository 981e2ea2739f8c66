// Package certs gives TLS listeners their certificates: from PEM files, which
// are read again when they change, or from a certificate authority by ACME
// (RFC 8555). A certificate that works is kept until a better one is there.
package certs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
)

// Config says where certificates come from: Cert and Key, or Domains.
type Config struct {
	// Cert and Key are PEM files: the certificate with its chain, and its key.
	Cert, Key string

	// Domains are the names to get certificates for, by ACME.
	Domains []string
	// Email is where the authority may write to; it may be empty.
	Email string
	// Authority is the URL of the directory; default Let's Encrypt.
	Authority string
	// Root is a PEM file with the certificates by which the authority's own
	// server is known; default: those of the system.
	Root string
	// Folder keeps account and certificates; it is made with mode 0700.
	Folder string
	// TLSPort is the port at which [Source.TLS] is in use, and to which port
	// 443 leads; HTTPPort is that at which [Source.Challenge] answers, and to
	// which port 80 leads. 0: there is none, and the challenge that needs it
	// is not offered to the authority.
	TLSPort, HTTPPort int
	// Host is the host at which both listen.
	Host string

	Log *slog.Logger // default: discard
}

// Source gives certificates. Its methods may be called from any goroutine.
type Source struct {
	log   *slog.Logger
	files *files // one of these is set
	acme  *authority
}

// Open reads the files, or prepares for ACME without asking anybody. What it
// refuses is a *herald.Error.
func Open(c Config) (*Source, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{log: c.Log}
	var err error
	if len(c.Domains) > 0 {
		s.acme, err = newAuthority(c)
	} else {
		s.files, err = openFiles(c.Cert, c.Key)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close frees what Open took, and waits for what is under way with the authority.
// The folder is left alone afterwards. It is called once, after Run.
func (s *Source) Close() {
	if s.acme != nil {
		s.acme.close()
	}
}

// Run keeps the certificates up to date until ctx ends. It may be called once.
func (s *Source) Run(ctx context.Context) {
	if s.acme != nil {
		s.acme.run(ctx, s.log)
		return
	}
	s.files.run(ctx, s.log)
}

// TLS is a configuration for listeners, which offer the protocols given by
// ALPN (RFC 7301). TLS 1.2 is the oldest version.
func (s *Source) TLS(protocols ...string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols}
	if s.acme == nil {
		c.GetCertificate = s.files.certificate
		return c
	}
	c.GetCertificate = s.acme.certificate
	if len(protocols) > 0 {
		c.NextProtos = append(c.NextProtos, challengeProtocol)
	}
	return c
}

// Challenge answers what an authority asks over HTTP (RFC 8555 section 8.3),
// and hands everything else on.
func (s *Source) Challenge(next http.Handler) http.Handler {
	if s.acme == nil {
		return next
	}
	return s.acme.issuer.HTTPChallengeHandler(next)
}
