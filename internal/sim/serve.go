package sim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Server is a simulator that serves on a port.
type Server struct {
	URL         string // https://…
	Certificate *x509.Certificate

	http   *http.Server
	served chan struct{}
}

// Serve serves a simulator at an address such as 127.0.0.1:0, with TLS and HTTP/2
// as vendors do, and a certificate that it makes and signs itself.
func Serve(ctx context.Context, address string, d *Desk, vendor http.Handler) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	host, _, _ := net.SplitHostPort(l.Addr().String())
	pair, err := SelfSigned(host)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &Server{URL: "https://" + l.Addr().String(), Certificate: pair.Leaf, served: make(chan struct{})}
	s.http = &http.Server{
		Handler: d.Serve(vendor), ConnState: d.ConnState, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
		// Of connections that are cut, as they were asked to be.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		_ = s.http.ServeTLS(l, "", "") // ends with Close
	}()
	return s, nil
}

// Close ends it and its connections.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.served
	return err
}

// SelfSigned makes a certificate for a host, good for a month.
func SelfSigned(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sim: %w", err)
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "a simulator of Herald"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sim: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sim: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
