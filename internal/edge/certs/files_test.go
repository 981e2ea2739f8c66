package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge/certstest"
)

// certmagic limits how fast it asks an authority; what does that never ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"))
}

// wantError checks which key an error names, and that it says what to do.
func wantError(t *testing.T, err error, key, text string) {
	t.Helper()
	var e *herald.Error
	if !errors.As(err, &e) || e.Field != key || e.Remedy == "" || !strings.Contains(e.Error(), text) {
		t.Errorf("got %v, want one about %s with %q", err, key, text)
	}
}

func TestMistakesInFiles(t *testing.T) {
	good, other := certstest.Valid(t), certstest.Valid(t)
	large := bytes.Repeat([]byte("x"), maxFile+1)
	for _, c := range []struct {
		name      string
		cert, key []byte // nil: there is no file
		field     string
		text      string
	}{
		{"no certificate file", nil, good.Key, "tls.cert", "cannot be read"},
		{"no key file", good.Cert, nil, "tls.key", "cannot be read"},
		{"another key", good.Cert, other.Key, "tls.key", "does not match"},
		{"no certificate in it", good.Key, good.Key, "tls.cert", "has no certificate"},
		{"no key in it", good.Cert, good.Cert, "tls.key", "has no private key"},
		{"empty", []byte{}, good.Key, "tls.cert", "has no certificate"},
		{"damaged", bytes.Replace(good.Cert, []byte("MII"), []byte("AAA"), 1), good.Key, "tls.cert", "cannot be used"},
		{"half written", good.Cert[:len(good.Cert)/2], good.Key, "tls.cert", "cannot be used"},
		{"large", large, good.Key, "tls.cert", "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			for path, b := range map[string][]byte{cert: c.cert, key: c.key} {
				if b == nil {
					continue
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(Config{Cert: cert, Key: key})
			wantError(t, err, c.field, c.text)
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Error("the error repeats the file")
			}
			_, _, err = Check(cert, key, time.Now())
			wantError(t, err, c.field, c.text)
		})
	}
}

func TestWarnings(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, c := range []struct {
		name     string
		from, to time.Duration
		want     string
	}{
		{"valid", -day, 60 * day, ""},
		{"expired", -60 * day, -time.Hour, "has expired"},
		{"not yet", time.Hour, 60 * day, "not valid before"},
		{"soon", -80 * day, 10 * day, "expires soon"},
		{"made for a week", -day, 6 * day, ""},
	} {
		cert, key := certstest.Make(t, now.Add(c.from), now.Add(c.to)).Write(t, t.TempDir())
		leaf, got, err := Check(cert, key, now)
		if err != nil || leaf == nil || (len(got) > 0) != (c.want != "") || c.want != "" && !strings.Contains(got[0], c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if w := Warnings(&x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(60 * day)}, now); len(w) != 1 || !strings.Contains(w[0], "subjectAltName") {
		t.Errorf("a certificate without names: %q", w)
	}
}

// logged is a log that a test may read while others write to it.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	old, next := certstest.Valid(t), certstest.Valid(t)
	cert, key := old.Write(t, dir)
	synctest.Test(t, func(t *testing.T) {
		var log logged
		s, err := Open(Config{Cert: cert, Key: key, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		want := func(p certstest.Pair) {
			t.Helper()
			time.Sleep(2 * lookEvery) //nolint:forbidigo // in a bubble of synctest
			synctest.Wait()
			c, err := s.TLS().GetCertificate(&tls.ClientHelloInfo{})
			if err != nil || !bytes.Equal(c.Certificate[0], p.Leaf.Raw) {
				t.Errorf("another certificate is in use; %v", err)
			}
		}
		want(old)
		if err := os.WriteFile(cert, next.Cert, 0o600); err != nil {
			t.Fatal(err)
		}
		want(old)               // the key is still that of the old one
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble of synctest
		if n := log.count("does not match"); n != 1 {
			t.Errorf("the mistake is logged %d times", n)
		}
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		want(old)
		if n := log.count("cannot be read"); n != 1 {
			t.Errorf("the missing file is logged %d times", n)
		}
		next.Write(t, dir)
		want(next)
		expired := certstest.Make(t, time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour))
		expired.Write(t, dir)
		want(expired) // it is what the operator has put there
		if log.count("has expired") != 1 {
			t.Error("an expired certificate is taken without a word")
		}
		old.Write(t, dir)
		want(old)
		if n := log.count("level=INFO"); n != 3 {
			t.Errorf("%d certificates were taken over, want 3", n)
		}
	})
}

func TestTLS(t *testing.T) {
	cert, key := certstest.Valid(t).Write(t, t.TempDir())
	s, err := Open(Config{Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	c := s.TLS("h2", "http/1.1")
	if c.MinVersion != tls.VersionTLS12 || strings.Join(c.NextProtos, " ") != "h2 http/1.1" {
		t.Errorf("%x, %q", c.MinVersion, c.NextProtos)
	}
	if s.Challenge(nil) != nil {
		t.Error("files have a challenge")
	}
}
