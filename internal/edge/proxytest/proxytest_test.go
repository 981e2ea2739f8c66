package proxytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is asked of the front comes to the server, with the words of the proxy.
func TestFronts(t *testing.T) {
	for name, run := range map[string]func(testing.TB, string) Front{"nginx": Nginx, "Caddy": Caddy} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-For"))
			}))
			defer srv.Close()
			front := run(t, srv.Listener.Addr().String())
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: front.TLS()}}
			defer client.CloseIdleConnections()
			resp, err := client.Get("https://" + front.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != front.Addr+" 127.0.0.1" {
				t.Errorf("the server sees %q, %v", b, err)
			}
		})
	}
}

func TestSample(t *testing.T) {
	text := Sample(t, "nginx.conf", map[string]string{"127.0.0.1:7700": "[::1]:1"})
	if !strings.Contains(text, "proxy_pass http://[::1]:1;") || strings.Contains(text, "#") {
		t.Errorf("got %s", text)
	}
}
