package smtp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/sim"
	"github.com/herald-push/herald/internal/sim/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, c smtp.Config) (*smtp.Server, *sim.Desk) {
	t.Helper()
	d := &sim.Desk{}
	s, err := smtp.Serve(t.Context(), "127.0.0.1:0", d, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, d
}

// peer is a client that says what a test tells it to.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func connect(t *testing.T, s *smtp.Server, secure bool) *peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, conn, bufio.NewReader(conn)}
	t.Cleanup(func() { _ = p.conn.Close() })
	if secure {
		p.secure(s)
	}
	p.reply("220 ")
	return p
}

func (p *peer) secure(s *smtp.Server) {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate)
	p.conn = tls.Client(p.conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	p.r = bufio.NewReader(p.conn)
}

// reply reads one, with all its lines, and wants it to contain something.
func (p *peer) reply(want string) {
	p.t.Helper()
	all := ""
	for {
		line, err := p.r.ReadString('\n')
		if all += line; err != nil || len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if !strings.Contains(all, want) || want == "" && all != "" {
		p.t.Errorf("reply %q, want %q", all, want)
	}
}

func (p *peer) say(line, want string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(line + "\r\n")); err != nil {
		p.t.Fatal(err)
	}
	p.reply(want)
}

func code(parts ...string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, "\x00")))
}

func TestConversation(t *testing.T) {
	s, d := serve(t, smtp.Config{Users: map[string]string{"u": "p"}, Size: 1000})
	s.Remove("Gone@example.com")
	p := connect(t, s, false)
	p.say("MAIL FROM:<a@example.com>", "503")
	p.say("EHLO me", "STARTTLS")
	p.say("MAIL FROM:<a@example.com>", "530")
	p.say("STARTTLS", "220")
	p.secure(s)
	p.say("EHLO me", "SIZE 1000")
	p.say("STARTTLS", "502")
	p.say("MAIL FROM:<a@example.com>", "530")
	p.say("AUTH XOAUTH2 x", "504")
	p.say("AUTH PLAIN x", "501")
	p.say("AUTH PLAIN "+code("", "u", "q"), "535")
	p.say("AUTH PLAIN", "334")
	p.say(code("", "u", "p"), "235")
	p.say("AUTH LOGIN", "334")
	p.say(code("u"), "334")
	p.say(code("p"), "235")
	p.say("NOOP", "250")
	p.say("VRFY x", "502")
	p.say("RCPT TO:<b@example.com>", "503")
	p.say("DATA", "503")
	p.say("MAIL a@example.com", "501")
	p.say("MAIL FROM:<a@example.com> SIZE=7", "250")
	p.say("MAIL FROM:<a@example.com>", "503")
	p.say("RCPT TO:b", "501")
	p.say("RCPT TO:<gone@example.com>", "550 5.1.1")
	p.say("RCPT TO:<b@example.com>", "250")
	p.say("DATA", "354")
	p.say("Subject: x\r\n\r\n..\r\n.", "250")
	if got := s.Taken(); len(got) != 1 || got[0] != (smtp.Mail{From: "a@example.com", To: "b@example.com", User: "u", Data: "Subject: x\n\n.\n"}) || len(s.Taken()) != 0 {
		t.Errorf("taken %q", got)
	}
	again := func(body, want string) {
		t.Helper()
		p.say("MAIL FROM:<a@example.com>", "250")
		p.say("RCPT TO:<b@example.com>", "250")
		p.say("DATA", "354")
		p.say(body+"\r\n.", want)
	}
	again(strings.Repeat("x", 1001), "552 5.3.4")
	d.Fail(sim.Fault{Status: 451, Body: "4.3.0 later"}, sim.Fault{Delay: time.Millisecond}, sim.Fault{Reset: true})
	again("x", "451 4.3.0 later")
	again("x", "250")
	again("x", "")
	calls := d.Calls()
	if len(calls) != 5 || calls[0].Status != 250 || calls[1].Status != 552 || calls[2].Status != 451 || calls[4].Status != 0 || calls[0].Path != "b@example.com" {
		t.Errorf("calls %+v", calls)
	}
}

func TestAnswers(t *testing.T) {
	s, _ := serve(t, smtp.Config{NoTLS: true})
	shown := make(chan struct{}, 1)
	s.Show(func() { shown <- struct{}{} })
	s.Answer("NOOP", "421 4.0.0 later", "CUT")
	p := connect(t, s, false)
	p.say("HELO me", "250 sim.test")
	p.say("STARTTLS", "502")
	p.say("NOOP", "421")
	p.say("MAIL FROM:<a@example.com>", "250")
	p.say("RSET", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<b@example.com>", "250")
	p.say("DATA", "354")
	p.say("x\r\n.", "250")
	<-shown
	p.say("NOOP", "")
	q := connect(t, s, false)
	q.say("QUIT", "221")
	q.reply("")
}

// TestCloseEnds: also a mail that is being delayed.
func TestCloseEnds(t *testing.T) {
	s, d := serve(t, smtp.Config{TLS: true})
	reached := make(chan struct{})
	d.Fail(sim.Fault{Delay: time.Hour, Reached: func() { close(reached) }})
	p := connect(t, s, true)
	p.say("EHLO me", "8BITMIME")
	p.say("MAIL FROM:<a@example.com>", "250")
	p.say("RCPT TO:<b@example.com>", "250")
	p.say("DATA", "354")
	if _, err := p.conn.Write([]byte(".\r\n")); err != nil {
		t.Fatal(err)
	}
	<-reached
	if s.Open() != 1 || s.Close() != nil || s.Open() != 0 || len(s.Taken()) != 0 {
		t.Error("it goes on")
	}
	_ = s.Close()
	if _, err := smtp.Serve(t.Context(), "no address", d, smtp.Config{}); err == nil {
		t.Error("it serves nowhere")
	}
}
