package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
)

// lookEvery is how often the files are read again. They are a few kilobytes,
// and reading them also sees what replaces a link, as Kubernetes does.
const lookEvery = 5 * time.Second

// soon is when a certificate should have been renewed.
const soon = 14 * 24 * time.Hour

// files is a certificate in two PEM files.
type files struct {
	cert, key string // paths
	current   atomic.Pointer[tls.Certificate]
	last      pair  // what was read last, good or not; used by run only
	failed    error // why that was not good
}

// pair is the content of both files.
type pair struct{ cert, key []byte }

func (p pair) equal(o pair) bool { return bytes.Equal(p.cert, o.cert) && bytes.Equal(p.key, o.key) }

func openFiles(cert, key string) (*files, error) {
	f := &files{cert: cert, key: key}
	var err error
	if f.last, err = f.read(); err != nil {
		return nil, err
	}
	c, err := f.parse(f.last)
	if err != nil {
		return nil, err
	}
	f.current.Store(c)
	return f, nil
}

func (f *files) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

func (f *files) run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for _, w := range Warnings(f.current.Load().Leaf, time.Now()) {
		log.WarnContext(ctx, w, "file", f.cert)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(ctx, log)
		}
	}
}

// look takes over what has changed, if it is good. What is not is said once:
// it may be half written, and whole the next time.
func (f *files) look(ctx context.Context, log *slog.Logger) {
	now, err := f.read()
	var c *tls.Certificate
	if err == nil {
		if now.equal(f.last) && f.failed == nil {
			return
		}
		c, err = f.parse(now)
	}
	if err != nil {
		if f.failed == nil || f.failed.Error() != err.Error() {
			log.ErrorContext(ctx, "the new certificate cannot be used; the old one is kept", "error", err)
		}
		f.failed = err
		return
	}
	f.failed, f.last = nil, now
	f.current.Store(c)
	log.InfoContext(ctx, "the certificate is read again", "file", f.cert, "expires", c.Leaf.NotAfter)
	for _, w := range Warnings(c.Leaf, time.Now()) {
		log.WarnContext(ctx, w, "file", f.cert)
	}
}

func (f *files) read() (p pair, err error) {
	if p.cert, err = readFile("tls.cert", f.cert); err != nil {
		return p, err
	}
	p.key, err = readFile("tls.key", f.key)
	return p, err
}

// maxFile bounds a PEM file; a chain has a few kilobytes.
const maxFile = 1 << 20

func readFile(key, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, herald.Invalid(key, "Is it the right file?", "%s is larger than %d bytes", path, maxFile)
	}
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			return b, nil
		}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return nil, herald.Invalid(key, "Name a PEM file that the user of the server may read.", "%s cannot be read: %v", path, err)
}

// parse makes a certificate of both files, and says which of them is wrong.
func (f *files) parse(p pair) (*tls.Certificate, error) {
	c, err := tls.X509KeyPair(p.cert, p.key)
	switch {
	case err == nil:
		return &c, nil
	case !bytes.Contains(p.cert, []byte("-----BEGIN CERTIFICATE-----")):
		return nil, herald.Invalid("tls.cert", "Write certificate and chain to it as PEM, with lines -----BEGIN CERTIFICATE-----.", "%s has no certificate", f.cert)
	case !bytes.Contains(p.key, []byte("PRIVATE KEY-----")):
		return nil, herald.Invalid("tls.key", "Write the private key to it as PEM, without a password.", "%s has no private key", f.key)
	case strings.Contains(err.Error(), "does not match"):
		return nil, herald.Invalid("tls.key", "Put the key there that the certificate was made with; the certificate of this server comes first in tls.cert, its chain after it.",
			"the key %s does not match the certificate %s", f.key, f.cert)
	}
	return nil, herald.Invalid("tls.cert", "Write both files as PEM, the key without a password.", "%s and %s cannot be used: %s", f.cert, f.key, strings.TrimPrefix(err.Error(), "tls: "))
}

// Check reads a certificate as [Open] would and gives its warnings.
func Check(cert, key string, now time.Time) (leaf *x509.Certificate, warnings []string, err error) {
	f, err := openFiles(cert, key)
	if err != nil {
		return nil, nil, err
	}
	leaf = f.current.Load().Leaf
	return leaf, Warnings(leaf, now), nil
}

// Warnings says what clients will not like about a certificate.
func Warnings(leaf *x509.Certificate, now time.Time) []string {
	var out []string
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.After(leaf.NotAfter):
		out = append(out, fmt.Sprintf("the certificate has expired, at %s: clients refuse it. Renew it; the server reads the files again by itself.", day(leaf.NotAfter)))
	case now.Before(leaf.NotBefore):
		out = append(out, fmt.Sprintf("the certificate is not valid before %s: clients refuse it until then. Is the clock right?", day(leaf.NotBefore)))
	case leaf.NotAfter.Sub(now) < soon && leaf.NotAfter.Sub(leaf.NotBefore) > 2*soon:
		out = append(out, fmt.Sprintf("the certificate expires soon, at %s. Renew it; the server reads the files again by itself.", day(leaf.NotAfter)))
	}
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 {
		out = append(out, "the certificate names no host in subjectAltName: clients refuse it. Make one that does.")
	}
	return out
}
