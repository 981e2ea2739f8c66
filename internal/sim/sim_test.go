package sim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sim"
)

func start(t *testing.T, d *sim.Desk) (*sim.Server, *http.Client) {
	t.Helper()
	s, err := sim.Serve(t.Context(), "127.0.0.1:0", d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("vendor "), b...))
	}))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	t.Cleanup(func() {
		c.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func ask(t *testing.T, c *http.Client, s *sim.Server, body string) (status int, header http.Header, answer string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/x", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

func TestDesk(t *testing.T) {
	d := &sim.Desk{}
	s, c := start(t, d)
	d.Fail(sim.Fault{Status: 503, RetryAfter: 9 * time.Second, Body: "no"}, sim.Fault{Reset: true}, sim.Fault{})
	if status, h, answer, err := ask(t, c, s, "1"); err != nil || status != 503 || h.Get("Retry-After") != "9" || answer != "no" {
		t.Errorf("%d %v %q %v", status, h, answer, err)
	}
	if _, _, _, err := ask(t, c, s, "2"); err == nil {
		t.Error("a connection that was reset answers")
	}
	if status, _, answer, err := ask(t, c, s, "3"); err != nil || status != 200 || answer != "vendor 3" {
		t.Errorf("%d %q %v", status, answer, err)
	}
	calls := d.Calls()
	if len(calls) != 3 || calls[0].Status != 503 || calls[1].Status != 0 || calls[2].Status != 200 || !bytes.Equal(calls[2].Body, []byte("3")) || calls[2].Proto != "HTTP/2.0" {
		t.Errorf("calls %+v", calls)
	}
	if len(d.Calls()) != 0 || d.Connections() == 0 {
		t.Error("calls are told twice, or no connection is counted")
	}
	d.Every(3, sim.Fault{Status: 500})
	var got []int
	for range 6 {
		status, _, _, err := ask(t, c, s, "")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	if got[2] != 500 || got[5] != 500 || got[0]+got[1]+got[3]+got[4] != 800 {
		t.Errorf("answers %v", got)
	}
}

// TestDelayEnds: who gives up is not waited for.
func TestDelayEnds(t *testing.T) {
	d := &sim.Desk{}
	s, c := start(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	d.Fail(sim.Fault{Delay: time.Hour, Reached: cancel})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("there is an answer")
	}
}

func TestServeFails(t *testing.T) {
	if _, err := sim.Serve(t.Context(), "no address", &sim.Desk{}, http.NotFoundHandler()); err == nil {
		t.Error("it serves nowhere")
	}
}
