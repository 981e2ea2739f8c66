package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/edge/certstest"
)

// startEdge runs a node with another configuration than startNode's.
func startEdge(t *testing.T, change func(*config.Config)) *node {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	n.start()
	t.Cleanup(n.end)
	return n
}

// startTLS runs a node with a certificate, and gives a client that knows it
// and speaks HTTP/2.
func startTLS(t *testing.T) (*node, *http.Client) {
	t.Helper()
	pair := certstest.Valid(t)
	cert, key := pair.Write(t, t.TempDir())
	n := startEdge(t, func(c *config.Config) {
		c.Server.HTTPS, c.Server.TCPTLS, c.TLS = "127.0.0.1:0", "127.0.0.1:0", config.TLS{Cert: cert, Key: key}
	})
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{RootCAs: pair.Pool()}}}
	t.Cleanup(client.CloseIdleConnections)
	return n, client
}

func (n *node) secure() string { return "https://" + n.srv.https.Addr().String() }

// read gets one address and gives the whole answer.
func read(t *testing.T, c *http.Client, url, token string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// events opens a stream and gives its lines; it is open when it returns.
func events(t *testing.T, c *http.Client, url string) (*bufio.Scanner, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // what is held back on the way fails the test
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	if resp.StatusCode != 200 {
		t.Fatalf("%s answered %s", url, resp.Status)
	}
	expectLine(t, lines, `"type":"welcome"`)
	return lines, resp
}

func expectLine(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the stream ended before %s: %v", text, lines.Err())
}

func TestHTTP2(t *testing.T) {
	n, client := startTLS(t)
	resp, _ := read(t, client, n.secure()+"/v1/live/ws", "")
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "" {
		t.Errorf("a WebSocket over HTTP/2 gives %s %s, %v", resp.Proto, resp.Status, resp.Header)
	}
	const devices = 50
	var streams []*bufio.Scanner
	for i := range devices {
		d := n.register(api.RegisterRequest{})
		path := "/v1/live/sse"
		if i%2 == 1 {
			path = "/v1/live/stream"
		}
		lines, resp := events(t, client, n.secure()+path+"?access_token="+d.Token)
		if resp.ProtoMajor != 2 || resp.Header.Get("X-Accel-Buffering") != "no" || resp.Header.Get("Cache-Control") != "no-store, no-transform" || resp.Header.Get("Connection") != "" {
			t.Fatalf("%s has %s, %v", path, resp.Proto, resp.Header)
		}
		streams = append(streams, lines)
	}
	d := n.register(api.RegisterRequest{})
	polled := make(chan string, 1)
	var polling sync.WaitGroup
	defer polling.Wait()
	polling.Go(func() {
		resp, body := read(t, client, n.secure()+"/v1/live/poll?wait=60", d.Token)
		polled <- fmt.Sprint(resp.ProtoMajor, resp.Header.Get("X-Accel-Buffering"), resp.Header.Get("Cache-Control"), body)
	})
	n.until("the poll is held", func() bool { return n.srv.hub.Count(n.app.AppKey) == devices+1 })
	m := n.send(`{"audience":"all","notification":{"title":"over one connection"}}`)
	for _, s := range streams {
		expectLine(t, s, m.ID.String())
	}
	if got := <-polled; !strings.HasPrefix(got, "2 no no-store") && !strings.HasPrefix(got, "2nono-store") || !strings.Contains(got, m.ID.String()) {
		t.Errorf("the poll gave %s", got)
	}
	n.stop() // every stream is told to come back, and ends
	for _, s := range streams {
		expectLine(t, s, `"type":"reconnect"`)
		for s.Scan() {
		}
		if s.Err() != nil {
			t.Errorf("a stream ended with %v", s.Err())
		}
	}
	n.stop = nil
	if err := <-n.done; err != nil {
		t.Error(err)
	}
}

func TestOtherTransportsOverTLS(t *testing.T) {
	n, client := startTLS(t)
	d := n.register(api.RegisterRequest{})
	own := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	own.NextProtos = nil // as browsers do for WebSocket: HTTP/1.1 only
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: own}}
	defer plain.CloseIdleConnections()
	ws, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(n.secure(), "https")+"/v1/live/ws?access_token="+d.Token, &websocket.DialOptions{HTTPClient: plain})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t, ws}
	defer ws.CloseNow()
	s.expect("welcome", "")

	raw, err := tls.Dial("tcp", n.srv.ports[1].listener.Addr().String(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(2 * time.Minute))
	lines := bufio.NewScanner(raw)
	_, _ = fmt.Fprintf(raw, `{"type":"hello","token":%q}`+"\n", d.Token)
	expectLine(t, lines, `"type":"welcome"`)
	for range 3 { // several frames may leave in one write
		m := n.send(`{"audience":"all","notification":{"title":"x"}}`)
		s.expect("message", m.ID.String())
		expectLine(t, lines, m.ID.String())
	}

	old := own.Clone()
	old.MaxVersion = tls.VersionTLS11
	for _, addr := range []string{n.srv.https.Addr().String(), n.srv.ports[1].listener.Addr().String()} {
		if c, err := tls.Dial("tcp", addr, old); err == nil {
			c.Close()
			t.Errorf("%s takes TLS 1.1", addr)
		}
		if c, err := net.Dial("tcp", addr); err == nil { // no TLS at all: it ends, and harms nobody
			_, _ = io.WriteString(c, "{\"type\":\"ping\"}\n\n\n\n\n")
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s keeps a connection without TLS", addr)
			}
			c.Close()
		}
	}
}

// TestHTTP2WithoutTLS is what proxies such as Envoy speak to their servers;
// WebSocket goes on beside it.
func TestHTTP2WithoutTLS(t *testing.T) {
	n := startNode(t, t.TempDir())
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: p}}
	defer client.CloseIdleConnections()
	d := n.register(api.RegisterRequest{})
	lines, resp := events(t, client, n.srv.URL()+"/v1/live/sse?access_token="+d.Token)
	if resp.ProtoMajor != 2 {
		t.Errorf("got %s", resp.Proto)
	}
	s := n.connect(d.Token, "")
	m := n.send(`{"audience":"all","notification":{"title":"x"}}`)
	expectLine(t, lines, m.ID.String())
	s.expect("message", m.ID.String())
}

func TestMistakesWithCertificates(t *testing.T) {
	cert, _ := certstest.Valid(t).Write(t, t.TempDir())
	_, key := certstest.Valid(t).Write(t, t.TempDir())
	cfg := testConfig(t.TempDir())
	cfg.Server.HTTPS, cfg.TLS = "127.0.0.1:0", config.TLS{Cert: cert, Key: key}
	_, err := open(t, cfg)
	wantError(t, err, herald.CodeInvalidRequest, "does not match")
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, cfg)
	wantError(t, err, herald.CodeInvalidRequest, "cannot be read")
	for name, change := range map[string]func(*config.Server){
		"https":   func(c *config.Server) { c.HTTPS = "0.0.0.0:0" },
		"tcp_tls": func(c *config.Server) { c.TCPTLS = "0.0.0.0:0" },
	} {
		if _, err := openWith(t, change); herald.CodeOf(err) != herald.CodeForbidden {
			t.Errorf("%s beyond loopback without an app: %v", name, err)
		}
	}
	cfg.Server.TrustedProxies = []string{"everybody"}
	_, err = open(t, cfg)
	wantError(t, err, herald.CodeInvalidRequest, "everybody")
}

// TestAuthorityOutOfReach holds that a server works, and stops, while nobody
// gives it a certificate. What an authority asks is tested in edge/certs.
func TestAuthorityOutOfReach(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.HTTPS = "127.0.0.1:0"
		c.TLS = config.TLS{ACMEDomains: []string{"push.example.com"}, ACMECA: "https://127.0.0.1:1/dir"}
	})
	if resp, _ := read(t, n.client, n.srv.URL()+"/livez", ""); resp.StatusCode != 200 {
		t.Errorf("got %s", resp.Status)
	}
	c, err := tls.Dial("tcp", n.srv.https.Addr().String(), &tls.Config{ServerName: "push.example.com"})
	if err == nil {
		c.Close()
		t.Error("there is a certificate")
	}
	n.end()
	if info, err := os.Stat(n.srv.folder.certificates()); err == nil && runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of certificates has mode %o", info.Mode().Perm())
	}
}

func TestClientAddressFromTheHeader(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprint("trusted ", trusted), func(t *testing.T) {
			n := startEdge(t, func(c *config.Config) {
				c.Limits.AddressRate, c.Limits.AddressConnections = 0.01, 1
				if trusted {
					c.Server.TrustedProxies = []string{"loopback"}
				}
			})
			ask := func(from string) int {
				req, _ := http.NewRequestWithContext(t.Context(), "GET", n.srv.URL()+"/v1/app", nil)
				req.Header.Set("X-Forwarded-For", "203.0.113.1, "+from)
				resp, err := n.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			other := http.StatusTooManyRequests
			if trusted {
				other = http.StatusUnauthorized
			}
			if a, b, c := ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2"); a != 401 || b != 429 || c != other {
				t.Errorf("requests give %d %d %d", a, b, c)
			}
			dial := func(from string) (*websocket.Conn, int) {
				c, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(n.srv.URL(), "http")+"/v1/live/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Forwarded-For": {from}}})
				if err == nil {
					t.Cleanup(func() { _ = c.CloseNow() })
				}
				return c, resp.StatusCode
			}
			first, a := dial("192.0.2.1")
			_, b := dial("192.0.2.1")
			_, c := dial("192.0.2.2")
			if other = 429; trusted {
				other = 101
			}
			if a != 101 || b != 429 || c != other {
				t.Errorf("connections give %d %d %d", a, b, c)
			}
			_ = first.CloseNow()
			n.until("the place is free again", func() bool { _, code := dial("192.0.2.1"); return code == 101 })
		})
	}
}

// header is one of the PROXY protocol, version 2.
func header(t *testing.T, source string) []byte {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.ParseIP(source), Port: 4711}, &net.TCPAddr{IP: net.ParseIP("203.0.113.1"), Port: 443})
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProxyProtocol(t *testing.T) {
	pair := certstest.Valid(t)
	cert, key := pair.Write(t, t.TempDir())
	n := startEdge(t, func(c *config.Config) {
		c.Server.HTTPS, c.Server.TCPTLS, c.TLS = "127.0.0.1:0", "127.0.0.1:0", config.TLS{Cert: cert, Key: key}
		c.Server.ProxyProtocol, c.Server.TrustedProxies, c.Limits.AddressConnections = true, []string{"loopback"}, 1
	})
	d := n.register(api.RegisterRequest{}) // a trusted peer needs no header
	addr := map[string]string{"http": n.srv.http.Addr().String(), "https": n.srv.https.Addr().String(),
		"tcp": n.srv.ports[0].listener.Addr().String(), "tcp_tls": n.srv.ports[1].listener.Addr().String()}
	dial := func(port, source string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr[port])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		if _, err := c.Write(header(t, source)); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(port, "s") {
			c = tls.Client(c, &tls.Config{RootCAs: pair.Pool(), ServerName: "localhost"})
		}
		return c
	}
	// A client that says nothing holds the one place of its address.
	silent := dial("tcp", "192.0.2.1")
	_, _ = io.WriteString(silent, "\n")
	n.until("it is counted", func() bool {
		c := dial("tcp_tls", "192.0.2.1")
		defer c.Close()
		_, _ = fmt.Fprintf(c, `{"type":"hello","token":%q}`+"\n", d.Token)
		line, err := bufio.NewReader(c).ReadString('\n')
		return err == nil && strings.Contains(line, `"code":4029`)
	})
	for _, port := range []string{"tcp", "tcp_tls"} {
		c := dial(port, "192.0.2.2")
		_, _ = fmt.Fprintf(c, `{"type":"hello","token":%q}`+"\n", d.Token)
		expectLine(t, bufio.NewScanner(c), `"type":"welcome"`)
	}
	for i, port := range []string{"http", "https"} {
		for source, want := range map[string]string{"192.0.2.1": "429", fmt.Sprintf("192.0.2.%d", 3+i): "101"} {
			c := dial(port, source)
			_, _ = io.WriteString(c, "GET /v1/live/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || !strings.Contains(line, want) {
				t.Errorf("%s from %s: %q, %v", port, source, line, err)
			}
			_ = c.Close()
		}
	}
	broken, err := net.Dial("tcp", addr["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	_ = broken.SetDeadline(time.Now().Add(2 * time.Minute))
	_, _ = io.WriteString(broken, "PROXY TCP4 nonsense\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, _ := io.ReadAll(broken); strings.Contains(string(b), "200 OK") {
		t.Errorf("a broken header is served: %s", b)
	}
}

// TestProxyHeaderOfAStranger holds that who is not trusted is cut.
func TestProxyHeaderOfAStranger(t *testing.T) {
	n := startEdge(t, func(c *config.Config) {
		c.Server.ProxyProtocol, c.Server.TrustedProxies = true, []string{"192.0.2.9"}
	})
	for port, addr := range map[string]string{"http": n.srv.http.Addr().String(), "tcp": n.srv.ports[0].listener.Addr().String()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		_, _ = fmt.Fprintf(c, "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		b, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(b), "200 OK") {
			t.Errorf("%s: %s, %v", port, b, err)
		}
	}
}

func TestPollingInVainIsLimited(t *testing.T) {
	n := startEdge(t, func(c *config.Config) { c.Limits.DeviceRate = 0.01 })
	d := n.register(api.RegisterRequest{})
	poll := func() *http.Response {
		resp, _ := read(t, n.client, n.srv.URL()+"/v1/live/poll", d.Token)
		return resp
	}
	if a, b := poll(), poll(); a.StatusCode != 200 || b.StatusCode != 429 || b.Header.Get("Retry-After") == "" {
		t.Errorf("got %s and %s, %v", a.Status, b.Status, b.Header)
	}
	other := n.register(api.RegisterRequest{})
	var answer struct{ Cursor string }
	for i := range 10 { // who is given something and acknowledges it may go on
		n.send(fmt.Sprintf(`{"audience":{"registration_ids":[%q]},"notification":{"title":"%d"}}`, other.RegistrationID, i))
		resp, body := read(t, n.client, n.srv.URL()+"/v1/live/poll?wait=30&cursor="+answer.Cursor, other.Token)
		if resp.StatusCode != 200 || json.Unmarshal([]byte(body), &answer) != nil {
			t.Fatalf("poll %d gives %s: %s", i, resp.Status, body)
		}
	}
}
