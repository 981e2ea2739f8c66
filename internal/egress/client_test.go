package egress

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dns answers with one list after the other; the last one stays.
type dns struct {
	answers [][]string
	asked   atomic.Int64
}

func (d *dns) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n := int(d.asked.Add(1)) - 1
	if len(d.answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range d.answers[min(n, len(d.answers)-1)] {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// serve runs a receiver, and gives the port in its address.
func serve(t *testing.T, h http.HandlerFunc) (port string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// TestResolved judges what a name leads to.
func TestResolved(t *testing.T) {
	var called atomic.Int64
	port := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	for _, row := range []struct {
		name    string
		answers []string
		why     string
	}{
		{"loopback", []string{"127.0.0.1"}, "loopback"},
		{"mapped loopback", []string{"::ffff:127.0.0.1"}, "loopback"},
		{"IPv6 loopback", []string{"::1"}, "loopback"},
		{"private", []string{"192.168.3.4"}, "private"},
		{"metadata", []string{"169.254.169.254"}, "metadata"},
		{"zone", []string{"fe80::1%eth0"}, "network interface"},
		{"one bad among good ones", []string{"93.184.216.34", "127.0.0.1"}, "loopback"},
		{"NAT64", []string{"64:ff9b::7f00:1"}, "translates"},
		{"unspecified", []string{"0.0.0.0"}, "this machine"},
		{"nothing", []string{}, "no address"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := client(t, Config{Resolver: &dns{answers: [][]string{row.answers}}, HTTP: true, Ports: []string{"any"}})
			_, err := c.Post(t.Context(), "http://hook.example.com:"+port+"/", nil, nil)
			if err == nil || !strings.Contains(err.Error(), row.why) {
				t.Errorf("got %v, want %q", err, row.why)
			}
			if strings.Contains(err.Error(), "hook.example.com:"+port) {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
	if called.Load() != 0 {
		t.Errorf("the receiver was called %d times", called.Load())
	}
}

// TestRebinding has a name that leads to the public internet when it is looked
// at, and to loopback when it is asked for again.
func TestRebinding(t *testing.T) {
	var called atomic.Int64
	port := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	d := &dns{answers: [][]string{{"203.0.114.1"}, {"127.0.0.1"}}}
	c := client(t, Config{Resolver: d, HTTP: true, Ports: []string{"any"}})
	var dialled []string
	c.dialer.Control = func(network, address string, raw syscall.RawConn) error {
		dialled = append(dialled, address)
		return errors.Join(c.control(network, address, raw), errors.New("the test calls nobody"))
	}
	if _, err := c.Post(t.Context(), "http://hook.example.com:"+port+"/", nil, nil); err == nil || !strings.Contains(err.Error(), "calls nobody") {
		t.Errorf("the first call: %v", err)
	}
	if d.asked.Load() != 1 || len(dialled) != 1 || dialled[0] != "203.0.114.1:"+port {
		t.Errorf("the name was resolved %d times for a call, which went to %v", d.asked.Load(), dialled)
	}
	if _, err := c.Post(t.Context(), "http://hook.example.com:"+port+"/", nil, nil); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("the second call: %v", err)
	}
	if called.Load() != 0 {
		t.Error("the receiver on loopback was called")
	}
}

// TestControl holds the last look, at the address that is connected to.
func TestControl(t *testing.T) {
	c := client(t, Config{})
	for _, address := range []string{"127.0.0.1:443", "[::1]:443", "[::ffff:10.0.0.1]:443", "nonsense"} {
		if c.control("tcp", address, nil) == nil {
			t.Errorf("%s may be connected to", address)
		}
	}
	if err := c.control("tcp", "8.8.8.8:443", nil); err != nil {
		t.Error(err)
	}
	if _, err := c.dial(t.Context(), "tcp", "127.0.0.1:443"); err == nil {
		t.Error("loopback was dialled")
	}
	if _, err := c.dial(t.Context(), "tcp", "nonsense"); err == nil {
		t.Error("nonsense was dialled")
	}
}

func TestNoRedirect(t *testing.T) {
	var inner atomic.Int64
	innerPort := serve(t, func(http.ResponseWriter, *http.Request) { inner.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		port := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:"+innerPort+"/")
			w.WriteHeader(status)
		})
		c := client(t, Config{Allow: []string{"loopback"}, HTTP: true, Ports: []string{"any"}})
		a, err := c.Post(t.Context(), "http://127.0.0.1:"+port+"/", nil, []byte("x"))
		if err != nil || a.Status != status {
			t.Errorf("%d: %v, %v", status, a.Status, err)
		}
	}
	if inner.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestNoProxy(t *testing.T) {
	var proxied atomic.Int64
	port := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:"+port)
	}
	c := client(t, Config{HTTP: true, Ports: []string{"any"}, Resolver: &dns{answers: [][]string{{"10.0.0.1"}}}})
	if _, err := c.Post(t.Context(), "http://hook.example.com/", nil, nil); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("got %v", err)
	}
	if proxied.Load() != 0 {
		t.Error("the proxy of the environment was used")
	}
}

func TestPost(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("X-A") != "b" || string(body) != "hello" {
			t.Errorf("%s %v %q", r.Method, r.Header, body)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, big)
	})
	c := client(t, Config{Allow: []string{"loopback"}, HTTP: true, Ports: []string{port}, MaxBody: 100, Resolver: &dns{answers: [][]string{{"::ffff:127.0.0.1"}}}})
	a, err := c.Post(t.Context(), "http://hook.example.com:"+port+"/", http.Header{"X-A": {"b"}}, []byte("hello"))
	if err != nil || a.Status != 503 || string(a.Body) != big[:100] || a.RetryAfter != 7*time.Second {
		t.Errorf("%d, %d bytes, %v, %v", a.Status, len(a.Body), a.RetryAfter, err)
	}
	if _, err := c.Post(t.Context(), "ftp://hook.example.com/", nil, nil); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Error(err)
	}
	c = client(t, Config{Resolver: &dns{}})
	if _, err := c.Post(t.Context(), "https://hook.example.com/", nil, nil); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Allow: []string{"loopback"}, Ports: []string{"any"}}
	if _, err := client(t, cfg).Post(t.Context(), s.URL, nil, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a stranger's certificate: %v", err)
	}
	pool := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cfg.Roots, cfg.Resolver = pool, &dns{answers: [][]string{{"127.0.0.1"}}}
	if _, err := client(t, cfg).Post(t.Context(), "https://example.com:"+u.Port()+"/", nil, nil); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
	if _, err := client(t, cfg).Post(t.Context(), "https://other.example.net:"+u.Port()+"/", nil, nil); err == nil {
		t.Error("the certificate of another name was taken")
	}
}

// slow is a resolver that never answers.
type slow struct{}

func (slow) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Resolver: slow{}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err = c.Post(t.Context(), "https://example.com/", nil, nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 15*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		c.Close()
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "99999999999999": 0,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// TestUnanswered: who calls is told whether the other side may have acted.
func TestUnanswered(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "got")
			return
		}
		panic(http.ErrAbortHandler)
	})
	c := client(t, Config{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true})
	if a, err := c.Do(t.Context(), Request{Method: http.MethodGet, URL: "http://127.0.0.1:" + port}); err != nil || string(a.Body) != "got" {
		t.Errorf("got %+v, %v", a, err)
	}
	var lost *Unanswered
	if _, err := c.Do(t.Context(), Request{URL: "http://127.0.0.1:" + port, Body: []byte("x")}); !errors.As(err, &lost) || !lost.Asked || !strings.HasPrefix(err.Error(), "egress: ") {
		t.Errorf("cut: %v", err)
	}
	// Port 1, because one that was free a moment ago may be another test's by now.
	if _, err := c.Do(t.Context(), Request{URL: "http://127.0.0.1:1"}); !errors.As(err, &lost) || lost.Asked {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := c.Do(t.Context(), Request{URL: "http://10.0.0.1/"}); herald.CodeOf(err) == "" || errors.As(err, &lost) && lost.Asked {
		t.Errorf("not allowed: %v", err)
	}
}

// TestGivenUp: a call that is given up while the other side acts may have been
// acted on, also where net/http has not yet said that all of it is written (it
// does not wait for that with HTTP/2).
func TestGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		tls  bool
	}{
		"no body":               {},
		"a body":                {body: "x"},
		"a large body":          {body: strings.Repeat("x", 30_000)},
		"HTTP/2":                {body: "x", tls: true},
		"HTTP/2, a large body":  {body: strings.Repeat("x", 30_000), tls: true},
		"HTTP/2 without a body": {tls: true},
	} {
		t.Run(name, func(t *testing.T) {
			taken := make(chan string)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				taken <- r.Proto
				<-r.Context().Done()
			}))
			s.EnableHTTP2 = tt.tls
			if tt.tls {
				s.StartTLS()
			} else {
				s.Start()
			}
			t.Cleanup(s.Close)
			cfg := Config{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
			if tt.tls {
				cfg.Roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			}
			c := client(t, cfg)
			for range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					_, err := c.Do(ctx, Request{URL: s.URL, Body: []byte(tt.body)})
					ended <- err
				}()
				if proto := <-taken; (proto == "HTTP/2.0") != tt.tls {
					t.Errorf("it came as %s", proto)
				}
				cancel()
				var lost *Unanswered
				if err := <-ended; !errors.As(err, &lost) || !lost.Asked || !errors.Is(err, context.Canceled) {
					t.Errorf("given up: %v", err)
				}
			}
		})
	}
}
