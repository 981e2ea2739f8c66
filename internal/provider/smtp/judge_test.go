package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/smtp"
	"github.com/herald-push/herald/internal/sim"
)

// python gives a Python that has the mail server: that of Debian, or another one.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import aiosmtpd").Run() == nil {
			return name
		}
	}
	t.Skip("unavailable: python3-aiosmtpd, its Debian package is not installed")
	return ""
}

// judged is a mail as the judge read it.
type judged struct {
	Port    int
	From    string
	To      []string
	TLS     bool
	Headers map[string]string
	Defects []string
	Parts   map[string]string
}

// TestJudge: a mail server of another maker takes what is sent, and Python's
// reader of mails finds in it what the message says.
func TestJudge(t *testing.T) {
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python(t), "../../../test/interop/mail.py")
	folder := t.TempDir()
	pair, err := sim.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw}))
	for _, file := range []struct{ name, text string }{{"ca.pem", ca}, {"key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}} {
		path := filepath.Join(folder, file.name)
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, path)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &said)
		}
	})
	lines := bufio.NewScanner(stdout)
	next := func() (j judged) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the judge says nothing: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	judge(t, strconv.Itoa(next().Port), ca, next)
}

func judge(t *testing.T, port, ca string, next func() judged) {
	values := map[string]string{"host": "127.0.0.1", "port": port, "username": "shop", "password": "a password", "from": "商店 <news@example.com>", "ca": ca, "unsubscribe": "https://example.com/leave?who={address}"}
	make := func(changes ...string) provider.Provider {
		for i := 0; i < len(changes); i += 2 {
			values[changes[i]] = changes[i+1]
		}
		p, err := smtp.New(provider.Config{Values: values, Egress: open(), Now: func() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	p := make()
	if err := p.(provider.Checker).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("很长的一行 a long line without an end ", 40) + "\n.\n..\n\nend"
	m := message("您的订单 #7 已发货 "+strings.Repeat("🚚", 30), long)
	m.Content.Notification.Click = "https://example.com/?a=1&b=2"
	for _, to := range []string{here, "用户@例子.example"} {
		if _, err := p.Send(t.Context(), provider.Address{Token: to}, m); err != nil {
			t.Fatal(err)
		}
		j := next()
		if j.From != "news@example.com" || len(j.To) != 1 || j.To[0] != to || !j.TLS || len(j.Defects) != 0 {
			t.Errorf("%q %q %v %q", j.From, j.To, j.TLS, j.Defects)
		}
		h := j.Headers
		if h["Subject"] != m.Content.Notification.Title || h["From"] != "商店 <news@example.com>" || h["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || !strings.HasPrefix(h["Message-ID"], "<7.") {
			t.Errorf("%q", h)
		}
		text := strings.ReplaceAll(j.Parts["text/plain"], "\r\n", "\n")
		if strings.TrimSpace(text) != long+"\n\n"+m.Content.Notification.Click || !strings.Contains(j.Parts["text/html"], "?a=1&amp;b=2") || len(j.Parts) != 2 {
			t.Errorf("%q", j.Parts)
		}
	}
	_, err := p.Send(t.Context(), provider.Address{Token: gone}, m)
	if provider.KindOf(err) != provider.Unregistered {
		t.Errorf("gone: %v", err)
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", strings.Repeat("x", 60_000))); provider.KindOf(err) != provider.TooLarge {
		t.Errorf("too large: %v", err)
	}
	if err := make("password", "another").(provider.Checker).Check(t.Context()); provider.KindOf(err) != provider.Unauthorized {
		t.Errorf("a wrong password: %v", err)
	}
	err = make("password", "", "username", "").(provider.Checker).Check(t.Context())
	if provider.KindOf(err) != provider.Unauthorized {
		t.Errorf("nobody signs in: %v", err)
	}
}
