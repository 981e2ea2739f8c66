package cli

import (
	"crypto/tls"
	"net/http"
	"net/smtp"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestSimSMTP(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	_, c, stop := playing(t, w, folder, "smtp", "--gone", "gone@example.com", "--user", "me", "--password", "word", "--fail-every", "2", "--status", "451")
	port := regexp.MustCompile(`port +(\d+)`).FindStringSubmatch(w.out.String())[1]
	mail := func(to string) error {
		s, err := smtp.Dial("127.0.0.1:" + port)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		config := transport(t, c).TLSClientConfig.Clone()
		config.ServerName = "127.0.0.1"
		if err := s.StartTLS(config); err != nil {
			t.Fatal(err)
		}
		if err := s.Auth(smtp.PlainAuth("", "me", "word", "127.0.0.1")); err != nil {
			t.Fatal(err)
		}
		if err := s.Mail("a@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := s.Rcpt(to); err != nil {
			return err
		}
		d, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write([]byte("Subject: hi\r\n\r\nthe text\r\n")); err != nil {
			t.Fatal(err)
		}
		return d.Close()
	}
	for _, tt := range []struct{ to, says string }{{"b@example.com", ""}, {"gone@example.com", "5.1.1"}, {"b@example.com", "451"}} {
		if err := mail(tt.to); tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", tt.to, err)
		}
	}
	if code := stop(); code != 0 || !strings.Contains(w.out.String(), "a@example.com → b@example.com\nSubject: hi\n\nthe text\n") {
		t.Errorf("exit code %d, printed\n%s", code, w.out)
	}
	for _, args := range [][]string{{"sim", "smtp", "--listen", "nowhere", "--folder", folder}, {"sim", "smtp", "--fail-every", "-1", "--folder", folder}} {
		if w := newWorld(t); w.run(t, args...) != 2 {
			t.Errorf("%q: %s", args, w.err)
		}
	}
}

func transport(t *testing.T, c *http.Client) *http.Transport {
	t.Helper()
	out, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("a transport of %T", c.Transport)
	}
	return out
}

func TestSimSMTPWithTLS(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	_, c, stop := playing(t, w, folder, "smtp", "--tls")
	port := regexp.MustCompile(`port +(\d+)`).FindStringSubmatch(w.out.String())[1]
	d := tls.Dialer{Config: transport(t, c).TLSClientConfig}
	conn, err := d.DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if code := stop(); code != 0 || !strings.Contains(w.out.String(), "security  tls") {
		t.Errorf("exit code %d, printed\n%s", code, w.out)
	}
}
