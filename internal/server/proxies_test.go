package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// nginxConf is that of docs/guide/behind-a-proxy.md, with everything on that
// holds bytes back.
const nginxConf = `daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
events { worker_connections 128; }
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
	map $http_upgrade $connection_upgrade {
		default upgrade;
		''      '';
	}
	server {
		listen FRONT;
		location / {
			proxy_pass http://BACK;
			proxy_http_version 1.1;
			proxy_buffering on;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_read_timeout 90s;
		}
	}
}
`

const haproxyConf = `defaults
	mode tcp
	timeout connect 5s
	timeout client 90s
	timeout server 90s
frontend raw
	bind FRONT
	default_backend herald
backend herald
	server one BACK send-proxy-v2
`

// startProxy runs a program that is installed, with its configuration, and
// gives the address at which it listens.
func startProxy(t *testing.T, program, conf, back string, args func(file, dir string) []string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		t.Skipf("unavailable: %s is not installed (scripts/needs.sh installs it)", program)
	}
	// Another process may take the port in the moment in which it is free.
	for range 5 {
		if front := tryProxy(t, path, program, conf, back, args); front != "" {
			return front
		}
	}
	t.Fatalf("%s does not listen", program)
	return ""
}

// tryProxy gives "" if the program has ended before it listened.
func tryProxy(t *testing.T, path, program, conf, back string, args func(file, dir string) []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, program+".conf")
	text := strings.NewReplacer("DIR", dir, "FRONT", front, "BACK", back).Replace(conf)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args(file, dir)...)
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
	for range 1500 {
		select {
		case <-ended:
			t.Logf("%s ended: %s", program, out.String())
			return ""
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", front); err == nil {
			_ = c.Close()
			return front
		}
	}
	t.Fatalf("%s does not listen", program)
	return ""
}

func TestBehindNginx(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.TrustedProxies, c.Limits.AddressConnections = []string{"loopback"}, 1
	})
	front := startProxy(t, "nginx", nginxConf, n.srv.http.Addr().String(), func(file, dir string) []string {
		return []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
	})
	d := n.register(api.RegisterRequest{})
	client := &http.Client{Transport: &http.Transport{}} // it asks for gzip, as browsers do
	defer client.CloseIdleConnections()
	url := "http://" + front + "/v1/live/"
	sse, _ := events(t, client, url+"sse?access_token="+d.Token)
	stream, _ := events(t, client, url+"stream?access_token="+d.Token)
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"ws?access_token="+d.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	s := &session{t, ws}
	s.expect("welcome", "")
	for range 3 { // one at a time, so that what is held back is noticed
		m := n.send(`{"audience":"all","notification":{"title":"through nginx"}}`)
		expectLine(t, sse, m.ID.String())
		expectLine(t, stream, m.ID.String())
		s.expect("message", m.ID.String())
		if resp, body := read(t, client, url+"poll?wait=30", d.Token); resp.StatusCode != 200 || !strings.Contains(body, m.ID.String()) {
			t.Errorf("the poll gives %s: %s", resp.Status, body)
		}
	}

	// What nginx says of its client counts; what the client says of others not.
	silent := func(from string) int {
		c, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Forwarded-For": {from}}})
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if a, b, c := silent("192.0.2.1"), silent("198.51.100.1, 192.0.2.1"), silent("192.0.2.2"); a != 101 || b != 429 || c != 101 {
		t.Errorf("connections give %d %d %d, want 101 429 101", a, b, c)
	}
}

func TestBehindHAProxy(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.TrustedProxies, c.Server.ProxyProtocol, c.Limits.AddressConnections = []string{"127.0.0.1"}, true, 1
	})
	args := func(file, _ string) []string { return []string{"-db", "-f", file} }
	front := startProxy(t, "haproxy", haproxyConf, n.srv.ports[0].listener.Addr().String(), args)
	d := n.register(api.RegisterRequest{})
	dial := func(from string) net.Conn {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := dialer.Dial("tcp", front)
		if err != nil {
			t.Skipf("unavailable: a second loopback address: %v", err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
	hello := func(from, want string) bool {
		c := dial(from)
		defer c.Close()
		_, _ = fmt.Fprintf(c, `{"type":"hello","token":%q}`+"\n", d.Token)
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.Contains(line, want)
	}
	n.until("the client of HAProxy is counted", func() bool {
		// It says nothing, and holds the one place of its address; unless the
		// next one overtakes it, which leaves the place free again.
		_ = dial("127.0.0.2")
		return hello("127.0.0.2", `"code":4029`)
	})
	if !hello("127.0.0.3", `"type":"welcome"`) {
		t.Error("another client of HAProxy is refused")
	}

	web := startProxy(t, "haproxy", haproxyConf, n.srv.http.Addr().String(), args)
	resp, err := n.client.Get("http://" + web + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("%s: %s, %v", resp.Status, b, err)
	}
}

// TestCurlOverHTTP2 has another implementation of HTTP/2 than the server's.
func TestCurlOverHTTP2(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("unavailable: curl is not installed (scripts/needs.sh installs it)")
	}
	if features, err := exec.CommandContext(t.Context(), curl, "--version").Output(); err != nil || !bytes.Contains(features, []byte("HTTP2")) {
		t.Skip("unavailable: this curl has no HTTP/2")
	}
	n, _ := startTLS(t)
	d := n.register(api.RegisterRequest{})
	for _, way := range []struct {
		name, base string
		args       []string
	}{
		{"by ALPN", n.secure(), []string{"--http2", "--cacert", n.cfg.TLS.Cert}},
		{"by prior knowledge", n.srv.URL(), []string{"--http2-prior-knowledge"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), curl, append(way.args, "-sSNi", way.base+"/v1/live/sse?access_token="+d.Token)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}()
			lines := bufio.NewScanner(out)
			expectLine(t, lines, "HTTP/2 200")
			expectLine(t, lines, `"type":"welcome"`)
			m := n.send(`{"audience":"all","notification":{"title":"x"}}`)
			expectLine(t, lines, m.ID.String())
		})
	}
}
