package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/edge/proxytest"
)

// TestBehindProxies serves every transport over HTTP through real proxies, with
// the samples that are shipped.
func TestBehindProxies(t *testing.T) {
	for name, c := range map[string]struct {
		run func(testing.TB, string) proxytest.Front
		// forged is what another connection is answered whose client says that it
		// comes from elsewhere: nginx adds to what was said, Caddy does not believe
		// it.
		forged int
	}{"nginx": {proxytest.Nginx, 101}, "caddy": {proxytest.Caddy, 429}} {
		t.Run(name, func(t *testing.T) { testBehind(t, c.run, c.forged) })
	}
}

func testBehind(t *testing.T, run func(testing.TB, string) proxytest.Front, forged int) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.TrustedProxies, c.Limits.AddressConnections = []string{"loopback"}, 1
	})
	front := run(t, n.srv.http.Addr().String())
	d := n.register(api.RegisterRequest{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: front.TLS()}} // it asks for gzip, as browsers do
	defer client.CloseIdleConnections()
	url := "https://" + front.Addr + "/v1/live/"
	sse, _ := events(t, client, url+"sse?access_token="+d.Token)
	stream, _ := events(t, client, url+"stream?access_token="+d.Token)
	ws, _, err := websocket.Dial(t.Context(), url+"ws?access_token="+d.Token, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	s := &session{t, ws}
	s.expect("welcome", "")
	for range 3 { // one at a time, so that what is held back is noticed
		m := n.send(`{"audience":"all","notification":{"title":"through a proxy"}}`)
		expectLine(t, sse, m.ID.String())
		expectLine(t, stream, m.ID.String())
		s.expect("message", m.ID.String())
		if resp, body := read(t, client, url+"poll?wait=30", d.Token); resp.StatusCode != 200 || !strings.Contains(body, m.ID.String()) {
			t.Errorf("the poll gives %s: %s", resp.Status, body)
		}
	}

	// What the proxy says of its client counts; what the client says of others not.
	silent := func(from string) int {
		c, resp, err := websocket.Dial(t.Context(), url+"ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"X-Forwarded-For": {from}}})
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if a, b, c := silent("192.0.2.1"), silent("198.51.100.1, 192.0.2.1"), silent("192.0.2.2"); a != 101 || b != 429 || c != forged {
		t.Errorf("connections give %d %d %d, want 101 429 %d", a, b, c, forged)
	}
}

func TestBehindHAProxy(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.TrustedProxies, c.Server.ProxyProtocol, c.Limits.AddressConnections = []string{"127.0.0.1"}, true, 1
	})
	web, raw := proxytest.HAProxy(t, n.srv.http.Addr().String(), n.srv.ports[0].listener.Addr().String())
	d := n.register(api.RegisterRequest{})
	dial := func(from string) net.Conn {
		t.Helper()
		c, err := raw.Dial(&net.TCPAddr{IP: net.ParseIP(from)})
		if err != nil {
			t.Skipf("unavailable: a second loopback address: %v", err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
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

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: web.TLS()}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + web.Addr + "/livez")
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
