package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/herald-push/herald/internal/edge/certstest"
)

// pebble is the ACME server of Let's Encrypt's developers, which checks
// challenges as a real authority does.
type pebble struct {
	directory string // URL
	root      string // PEM file: who its own server is
	issuer    *x509.CertPool
}

// buildPebble builds it, at the version of tools/pebble.mod.
func buildPebble(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "tool", "-modfile=tools/pebble.mod", "-n", "pebble")
	cmd.Dir = filepath.Join("..", "..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("unavailable: pebble, the ACME server of the test, cannot be built: %v: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startPebble starts it; it looks for challenges at the ports given.
func startPebble(t *testing.T, httpPort, tlsPort int) pebble {
	t.Helper()
	program := buildPebble(t)
	// Another process may take a port in the moment in which it is free.
	for range 5 {
		if p, ok := tryPebble(t, program, httpPort, tlsPort); ok {
			return p
		}
	}
	t.Fatal("pebble does not listen")
	return pebble{}
}

// tryPebble reports whether it answers; it does not if it has ended before.
func tryPebble(t *testing.T, program string, httpPort, tlsPort int) (_ pebble, ok bool) {
	t.Helper()
	dir := t.TempDir()
	cert, key := certstest.Valid(t).Write(t, dir)
	api, manage := freePort(t), freePort(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", api), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", manage),
		"certificate": cert, "privateKey": key, "httpPort": httpPort, "tlsPort": tlsPort,
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "test", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-config", path, "-dnsserver", nameServer(t), "-strict")
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	var out logged
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			out.mu.Lock()
			defer out.mu.Unlock()
			t.Logf("pebble says:\n%s", out.b.String())
		}
	})
	p := pebble{directory: fmt.Sprintf("https://127.0.0.1:%d/dir", api), root: cert, issuer: x509.NewCertPool()}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	until(t, "pebble answers, or ends", func() bool {
		b, err := get(client, fmt.Sprintf("https://127.0.0.1:%d/roots/0", manage))
		if ok = err == nil && p.issuer.AppendCertsFromPEM(b); ok {
			return true
		}
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	return p, ok
}

func get(c *http.Client, url string) ([]byte, error) {
	resp, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// until waits longer than the minute after which the client of the authority
// tries again what has failed.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

// nameServer answers every question for an IPv4 address with loopback, and
// has nothing else (RFC 1035 section 4), over TCP, which is how pebble asks.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answerNames(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// answerNames serves a connection; each message follows its length.
func answerNames(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for {
		size := make([]byte, 2)
		if _, err := io.ReadFull(c, size); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		answer := answerName(q)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func answerName(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += 1 + int(q[end])
	}
	if end += 5; end > len(q) {
		return nil
	}
	out := bytes.Clone(q[:end])
	out[2], out[3] = 0x84|q[2]&1, 0x80
	clear(out[6:12])
	if binary.BigEndian.Uint16(q[end-4:]) == 1 { // A
		out[7] = 1
		out = append(out, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return out
}

// serveChallenges serves a source on two ports, and gives the address of TLS.
func serveChallenges(t *testing.T, s *Source, plain, over net.Listener) {
	t.Helper()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	srv := &http.Server{Handler: s.Challenge(hello), TLSConfig: s.TLS("h2", "http/1.1"), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan error, 2)
	go func() { done <- srv.Serve(plain) }()
	go func() { done <- srv.ServeTLS(over, "", "") }()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan struct{})
	go func() { defer close(ran); s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ran
		_ = srv.Close()
		<-done
		<-done
		s.Close()
	})
}

func TestACME(t *testing.T) {
	for _, by := range []string{"TLS-ALPN-01", "HTTP-01"} {
		t.Run(by, func(t *testing.T) {
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			over, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c := Config{Domains: []string{"push.example.com"}, Email: "admin@example.com", Folder: filepath.Join(t.TempDir(), "certificates"),
				Host: "127.0.0.1", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
			ca := startPebble(t, plain.Addr().(*net.TCPAddr).Port, over.Addr().(*net.TCPAddr).Port)
			c.Authority, c.Root = ca.directory, ca.root
			if by == "HTTP-01" {
				c.HTTPPort = plain.Addr().(*net.TCPAddr).Port
			} else {
				c.TLSPort = over.Addr().(*net.TCPAddr).Port
			}
			s, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			serveChallenges(t, s, plain, over)
			client := &http.Client{Transport: &http.Transport{
				ForceAttemptHTTP2: true,
				TLSClientConfig:   &tls.Config{ServerName: "push.example.com", RootCAs: ca.issuer},
			}}
			defer client.CloseIdleConnections()
			url := fmt.Sprintf("https://127.0.0.1:%d/", over.Addr().(*net.TCPAddr).Port)
			until(t, "a certificate is there", func() bool { b, err := get(client, url); return err == nil && string(b) == "hello" })
			private(t, c.Folder)

			again, err := Open(c) // it is there at once, with nobody to be asked
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if err := again.acme.magic.ManageSync(t.Context(), c.Domains); err != nil {
				t.Fatal(err)
			}
			if _, err := again.TLS("h2").GetCertificate(clientHello(t, "push.example.com")); err != nil {
				t.Error(err)
			}
		})
	}
}

// clientHello is what a client of a name says first.
func clientHello(t *testing.T, name string) *tls.ClientHelloInfo {
	t.Helper()
	c, other := net.Pipe()
	t.Cleanup(func() { _, _ = c.Close(), other.Close() })
	return &tls.ClientHelloInfo{ServerName: name, Conn: c}
}

// private checks that nobody else can read what is below a folder.
func private(t *testing.T, folder string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	files := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a lock that is gone meanwhile
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		files++
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestMistakesWithACME(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{Domains: []string{"push.example.com"}, Folder: dir, Root: filepath.Join(dir, "none.pem")}
	_, err := Open(c)
	wantError(t, err, "tls.acme_root", "cannot be read")
	c.Root = empty
	_, err = Open(c)
	wantError(t, err, "tls.acme_root", "has no certificate")
	c.Root = ""
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.TLS("h2").GetCertificate(clientHello(t, "other.example.com")); err == nil {
		t.Error("there is a certificate for a name that is not ours")
	}
	if got := s.TLS("h2").NextProtos; len(got) != 2 || got[1] != challengeProtocol || len(s.TLS().NextProtos) != 0 {
		t.Errorf("protocols %q", got)
	}
}

func TestLog(t *testing.T) {
	var out logged
	l := zapLogger(slog.New(slog.NewTextHandler(&out, nil))).With(zap.String("name", "x"))
	l.Debug("not at this level")
	l.Info("first", zap.Int("b", 2), zap.Int("a", 1))
	l.Warn("second")
	l.Error("third")
	_ = l.Sync()
	for _, text := range []string{`level=INFO msg="acme: first" name=x a=1 b=2`, `level=WARN msg="acme: second" name=x`, `level=ERROR msg="acme: third"`} {
		if out.count(text) != 1 {
			t.Errorf("%s is not in\n%s", text, out.b.String())
		}
	}
	if out.count("level=") != 3 {
		t.Errorf("got\n%s", out.b.String())
	}
}
