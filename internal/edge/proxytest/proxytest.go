// Package proxytest runs real proxies in front of a server of a test, with the
// configurations that are shipped in packaging/proxy. Only what a test has to
// change is changed: addresses, and the paths of certificates.
package proxytest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/edge/certstest"
)

// Front is where a proxy listens, by TLS.
type Front struct {
	Addr string
	pool *x509.CertPool
}

// TLS is the configuration of a client that trusts the proxy.
func (f Front) TLS() *tls.Config { return &tls.Config{RootCAs: f.pool, MinVersion: tls.VersionTLS12} }

// Dial connects, from a local address if one is given.
func (f Front) Dial(from net.Addr) (net.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{LocalAddr: from}, "tcp", f.Addr, f.TLS())
}

// nginxMain has what stands around the shipped file, and everything that may
// hold bytes back: a sample that forgets to forbid it is noticed.
const nginxMain = `daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	gzip on;
	gzip_proxied any;
	gzip_min_length 0;
	gzip_types *;
	proxy_buffering on;
	include DIR/herald.conf;
}
`

// Nginx runs nginx in front of a server that listens at back.
func Nginx(t testing.TB, back string) Front {
	t.Helper()
	path := program(t, "nginx")
	pair := certstest.Valid(t)
	fronts := start(t, 1, func(dir string, fronts []string) *exec.Cmd {
		cert, key := pair.Write(t, dir)
		write(t, filepath.Join(dir, "nginx.conf"), strings.ReplaceAll(nginxMain, "DIR", dir))
		write(t, filepath.Join(dir, "herald.conf"), Sample(t, "nginx.conf", map[string]string{
			"listen 443 ssl": "listen " + fronts[0] + " ssl", "/etc/nginx/push.pem": cert, "/etc/nginx/push.key": key, "127.0.0.1:7700": back,
		}))
		return exec.Command(path, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
	})
	return Front{fronts[0], pair.Pool()}
}

// caddySite is what begins the shipped file in a test: Caddy gets no certificate
// by itself, listens nowhere else, and compresses what it may.
const caddySite = `{
	admin off
	auto_https off
}
https://FRONT {
	tls CERT KEY
	encode gzip
`

// Caddy runs Caddy in front of a server that listens at back.
func Caddy(t testing.TB, back string) Front {
	t.Helper()
	path := program(t, "caddy")
	pair := certstest.Valid(t)
	fronts := start(t, 1, func(dir string, fronts []string) *exec.Cmd {
		cert, key := pair.Write(t, dir)
		file := filepath.Join(dir, "Caddyfile")
		write(t, file, Sample(t, "Caddyfile", map[string]string{
			"push.example.com {": strings.NewReplacer("FRONT", fronts[0], "CERT", cert, "KEY", key).Replace(caddySite), "127.0.0.1:7700": back,
		}))
		cmd := exec.Command(path, "run", "--config", file, "--adapter", "caddyfile")
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
		return cmd
	})
	return Front{fronts[0], pair.Pool()}
}

// HAProxy runs HAProxy in front of a server that listens at web for HTTP and at
// raw for raw TCP, both with a header of the PROXY protocol.
func HAProxy(t testing.TB, web, raw string) (webFront, rawFront Front) {
	t.Helper()
	path := program(t, "haproxy")
	pair := certstest.Valid(t)
	fronts := start(t, 2, func(dir string, fronts []string) *exec.Cmd {
		pem := filepath.Join(dir, "push.pem")
		write(t, pem, string(pair.Cert)+string(pair.Key))
		file := filepath.Join(dir, "haproxy.cfg")
		write(t, file, Sample(t, "haproxy.cfg", map[string]string{
			"bind :443": "bind " + fronts[0], "bind :7702": "bind " + fronts[1],
			"ssl crt /etc/haproxy/push.pem alpn": "ssl crt " + pem + " alpn", "ssl crt /etc/haproxy/push.pem\n": "ssl crt " + pem + "\n",
			"127.0.0.1:7700": web, "127.0.0.1:7701": raw,
		}))
		return exec.Command(path, "-db", "-f", file)
	})
	return Front{fronts[0], pair.Pool()}, Front{fronts[1], pair.Pool()}
}

// Sample is a shipped configuration with some text replaced, each of which has
// to be there once outside comments.
func Sample(t testing.TB, name string, replace map[string]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "packaging", "proxy", name))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") {
			text.WriteString(line)
		}
	}
	out := text.String()
	var pairs []string
	for from, to := range replace {
		if n := strings.Count(out, from); n != 1 {
			t.Fatalf("packaging/proxy/%s has %q %d times", name, from, n)
		}
		pairs = append(pairs, from, to)
	}
	return strings.NewReplacer(pairs...).Replace(out)
}

// root is the folder of the module, above that of the test.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("there is no go.mod above the test")
		}
		dir = above
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Skipf("unavailable: %s is not installed (scripts/needs.sh installs it)", name)
	}
	return path
}

// start runs a proxy that listens on n ports, and ends it with the test.
func start(t testing.TB, n int, command func(dir string, fronts []string) *exec.Cmd) []string {
	t.Helper()
	// Another process may take a port in the moment in which it is free.
	for range 5 {
		fronts, why := try(t, n, command)
		if fronts != nil {
			return fronts
		}
		t.Logf("the proxy has ended: %s", why)
	}
	t.Fatal("the proxy does not listen")
	return nil
}

// try gives no ports if the program has ended before it listened, and what it
// has said.
func try(t testing.TB, n int, command func(dir string, fronts []string) *exec.Cmd) (fronts []string, why string) {
	t.Helper()
	fronts = free(t, n)
	cmd := command(t.TempDir(), fronts)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for _, front := range fronts {
		for range 3000 {
			select {
			case <-ended:
				return nil, out.String()
			case <-time.After(20 * time.Millisecond):
			}
			c, err := net.Dial("tcp", front)
			if err == nil {
				_ = c.Close()
				break
			}
			why = err.Error()
		}
	}
	return fronts, fmt.Sprint("it listens; the last attempt before that: ", why)
}

// free gives addresses at which nobody listens now.
func free(t testing.TB, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // when all are chosen, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
