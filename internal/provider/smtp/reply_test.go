package smtp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/smtp"
	"github.com/herald-push/herald/internal/sim"
	simsmtp "github.com/herald-push/herald/internal/sim/smtp"
)

// TestReplies: each reply is one of the six kinds, at the stage that it comes.
func TestReplies(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	for _, tt := range []struct {
		at, reply string
		want      provider.Kind
		code      string
	}{
		{"CONNECT", "421 4.3.2 Shutting down", provider.Unavailable, "4.3.2"}, {"CONNECT", "554 No SMTP service here", provider.Unavailable, "554"},
		{"CONNECT", "554 5.7.1 Blocked, see https://bl.example", provider.Unauthorized, "5.7.1"}, {"CONNECT", "HTTP/1.1 400 Bad Request", provider.Unavailable, ""},
		{"STARTTLS", "454 4.7.0 TLS not available", provider.Unavailable, "4.7.0"}, {"STARTTLS", "502 5.5.1 No", provider.Unavailable, "5.5.1"},
		{"AUTH", "535 5.7.8 Bad credentials", provider.Unauthorized, "5.7.8"}, {"AUTH", "534 5.7.9 Application-specific password required", provider.Unauthorized, "5.7.9"},
		{"AUTH", "535 no", provider.Unauthorized, "535"}, {"AUTH", "454 4.7.0 Temporary authentication failure", provider.Unavailable, "4.7.0"}, {"AUTH", "421 4.7.0 Too many login attempts", provider.Throttled, "4.7.0"},
		{"MAIL", "530 5.7.0 Must issue a STARTTLS command first", provider.Unauthorized, "5.7.0"}, {"MAIL", "553 5.7.1 Sender address rejected: not owned by user", provider.Unauthorized, "5.7.1"},
		{"MAIL", "550 5.1.8 Sender domain not found", provider.Unauthorized, "5.1.8"}, {"MAIL", "552 5.3.4 Message size exceeds", provider.TooLarge, "5.3.4"}, {"MAIL", "452 4.3.1 Insufficient system storage", provider.Throttled, "4.3.1"},
		{"RCPT", "550 5.1.1 User unknown", provider.Unregistered, "5.1.1"}, {"RCPT", "553 5.1.1 No", provider.Unregistered, "5.1.1"}, {"RCPT", "551 5.1.6 Moved", provider.Unregistered, "5.1.6"},
		{"RCPT", "550 No such user here", provider.Unregistered, "550"}, {"RCPT", "550 5.2.1 The account is disabled", provider.Unregistered, "5.2.1"},
		{"RCPT", "550 relay not permitted", provider.Rejected, "550"}, {"RCPT", "554 5.7.1 Relay access denied", provider.Rejected, "5.7.1"}, {"RCPT", "550 5.7.1 User unknown to the policy", provider.Rejected, "5.7.1"},
		{"RCPT", "550 5.1.2 Bad domain", provider.Rejected, "5.1.2"}, {"RCPT", "552 5.2.2 Mailbox full", provider.Rejected, "5.2.2"}, {"RCPT", "452 4.2.2 Mailbox full", provider.Unavailable, "4.2.2"},
		{"RCPT", "450 4.2.0 Greylisted", provider.Unavailable, "4.2.0"}, {"RCPT", "452 4.5.3 Too many recipients", provider.Throttled, "4.5.3"}, {"RCPT", "421 4.7.28 Unusual rate", provider.Throttled, "4.7.28"}, {"RCPT", "CUT", provider.Unavailable, ""},
		{"DATA", "451 4.3.0 Try again", provider.Unavailable, "4.3.0"}, {"DATA", "554 5.5.1 No", provider.Rejected, "5.5.1"}, {"DATA", "CUT", provider.Unavailable, ""},
		{".", "550 5.1.1 User unknown", provider.Rejected, "5.1.1"}, {".", "552 5.3.4 Too big", provider.TooLarge, "5.3.4"}, {".", "554 5.7.1 Spam\n554 5.7.1 indeed", provider.Rejected, "5.7.1"},
		{".", "550 5.4.5 Daily user sending quota exceeded", provider.Rejected, "5.4.5"}, {".", "451 4.7.1 Rate limited", provider.Throttled, "4.7.1"}, {".", "220 what", provider.Unavailable, "220"},
	} {
		p := w.provider(t, open())
		w.server.Answer(tt.at, tt.reply)
		_, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != tt.code || e.Text == "" || e.Unknown {
			t.Errorf("%s %q: %+v", tt.at, tt.reply, err)
		}
		w.server.Taken()
		if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b")); err != nil || len(w.server.Taken()) != 1 {
			t.Errorf("after %s %q: %v", tt.at, tt.reply, err)
		}
		_ = p.Close()
	}
}

// TestUnknown: a mail whose end was sent may be there.
func TestUnknown(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	w.server.Answer(".", "CUT")
	_, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Unavailable || !e.Unknown || len(w.server.Taken()) != 1 {
		t.Errorf("%+v", err)
	}
}

func TestTLS(t *testing.T) {
	for name, tt := range map[string]struct {
		server  simsmtp.Config
		changes []string
		want    provider.Kind
		says    string
	}{
		"another authority": {simsmtp.Config{}, []string{"ca", ""}, provider.Unavailable, "not trusted"}, "another authority, whole": {simsmtp.Config{TLS: true}, []string{"ca", "", "security", "tls"}, provider.Unavailable, "not trusted"},
		"no STARTTLS": {simsmtp.Config{NoTLS: true}, nil, provider.Unavailable, "no STARTTLS"}, "STARTTLS, asked for TLS": {simsmtp.Config{}, []string{"security", "tls"}, provider.Unavailable, "first byte"},
		"no way": {simsmtp.Config{Ways: []string{"XOAUTH2"}}, nil, provider.Unauthorized, "XOAUTH2"}, "a way that fails": {simsmtp.Config{Ways: []string{"SCRAM-SHA-256"}}, nil, provider.Unauthorized, "does not let us in"},
		"nobody signs in": {simsmtp.Config{}, []string{"username", "", "password", ""}, provider.Unauthorized, "does not let us in"},
		"in clear":        {simsmtp.Config{}, []string{"security", "none", "username", "", "password", ""}, provider.Unauthorized, "STARTTLS"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.server)
			p := w.provider(t, open(), tt.changes...)
			err := p.(provider.Checker).Check(t.Context())
			var e *provider.Error
			if !errors.As(err, &e) || e.Kind != tt.want || !strings.Contains(e.Text, tt.says) || e.Remedy == "" || e.Unknown {
				t.Errorf("%v", err)
			}
		})
	}
	e := open()
	e.HTTP = true
	w := newWorld(t, simsmtp.Config{NoTLS: true})
	for _, changes := range [][]string{{"security", "none"}, {"security", "none", "username", "", "password", ""}} {
		err := w.provider(t, e, changes...).(provider.Checker).Check(t.Context())
		if (err == nil) != (len(changes) == 2) {
			t.Errorf("%v: %v", changes, err)
		}
	}
}

// TestCheck: who may not send as from is told so, and nobody gets anything.
func TestCheck(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	c := w.provider(t, open()).(provider.Checker)
	for _, tt := range []struct {
		at, reply string
		want      provider.Kind
	}{{"MAIL", "553 5.7.1 Sender address rejected", provider.Unauthorized}, {"NOOP", "421 4.0.0 Bye", provider.Unavailable}, {"RSET", "CUT", provider.Unavailable}} {
		w.server.Answer(tt.at, tt.reply)
		err := c.Check(t.Context())
		if tt.at == "RSET" {
			// An idle connection that does not answer is replaced; this one was new.
			if err == nil {
				t.Error("RSET: no error")
			}
			continue
		}
		if provider.KindOf(err) != tt.want {
			t.Errorf("%s: %v", tt.at, err)
		}
	}
	if err := c.Check(t.Context()); err != nil || len(w.server.Taken()) != 0 {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, simsmtp.Config{Size: 5000})
	_, err := w.provider(t, open()).Send(t.Context(), provider.Address{Token: here}, message("t", strings.Repeat("x", 6000)))
	if provider.KindOf(err) != provider.TooLarge || len(w.desk.Calls()) != 0 {
		t.Errorf("%v", err)
	}
	w = newWorld(t, simsmtp.Config{TLS: true})
	p := w.provider(t, open(), "security", "tls")
	w.server.Answer("EHLO", "250 sim.test\n250 AUTH PLAIN")
	if _, err := p.Send(t.Context(), provider.Address{Token: "用户@example.com"}, message("t", "b")); provider.KindOf(err) != provider.Rejected {
		t.Errorf("without SMTPUTF8: %v", err)
	}
	if _, err := w.provider(t, open(), "security", "tls").Send(t.Context(), provider.Address{Token: "用户@example.com"}, message("t", "b")); err != nil || w.server.Taken()[0].To != "用户@example.com" {
		t.Errorf("with SMTPUTF8: %v", err)
	}
}

// TestEndlessReply: a server that talks without end is left.
func TestEndlessReply(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	w.server.Answer("CONNECT", "220 "+strings.Repeat("x", 1<<20))
	_, err := w.provider(t, open()).Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	if provider.KindOf(err) != provider.Unavailable || err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.200v", err)
	}
}

// TestConnections: one is used again, one that has ended is replaced without a
// mail being lost, and one that nobody wants is closed.
func TestConnections(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	send := func(connections int) {
		t.Helper()
		if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b")); err != nil || w.desk.Connections() != connections {
			t.Errorf("%d connections, want %d, %v", w.desk.Connections(), connections, err)
		}
	}
	send(1)
	send(1)
	w.server.Cut()
	send(2)
	w.server.Answer("RSET", "421 4.3.2 Idle for too long")
	send(3)
	for range 99 { // a connection carries a hundred mails
		send(3)
	}
	send(4)
	smtp.SetIdle(p, time.Millisecond)
	_, _ = p.Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	until(t, "idle ones are closed", func() bool { return w.server.Open() == 0 })
	smtp.SetIdle(p, time.Hour)
	_, _ = p.Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	if w.server.Open() != 1 {
		t.Errorf("%d are open", w.server.Open())
	}
	_ = p.Close()
	until(t, "Close closes", func() bool { return w.server.Open() == 0 })
	_, _ = p.Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	until(t, "none is kept after Close", func() bool { return w.server.Open() == 0 })
}

// TestGivenUp: who has given up spoils no connection for the others.
func TestGivenUp(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	var both sync.WaitGroup
	both.Add(2)
	together := func() { both.Done(); both.Wait() } // so that there are two connections
	w.desk.Fail(sim.Fault{Reached: together}, sim.Fault{Reached: together})
	var sends sync.WaitGroup
	for range 2 {
		sends.Go(func() {
			if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b")); err != nil {
				t.Error(err)
			}
		})
	}
	sends.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Send(ctx, provider.Address{Token: here}, message("t", "b")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	before := w.desk.Connections()
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("t", "b")); err != nil || w.desk.Connections() != before {
		t.Errorf("%d connections, then %d, %v", before, w.desk.Connections(), err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// TestFull: who finds every connection in use waits, and gives up with its
// context, having asked nobody.
func TestFull(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	reached := make(chan struct{}, 8)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 8)
	for range 8 {
		w.desk.Fail(sim.Fault{Delay: time.Hour, Reached: func() { reached <- struct{}{} }})
		go func() {
			_, err := p.Send(ctx, provider.Address{Token: here}, message("t", "b"))
			ended <- err
		}()
	}
	for range 8 {
		<-reached
	}
	late, give := context.WithCancel(t.Context())
	give()
	_, err := p.Send(late, provider.Address{Token: here}, message("t", "b"))
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Unavailable || e.Unknown {
		t.Errorf("%+v", err)
	}
	cancel()
	for range 8 {
		if err := <-ended; !errors.As(err, &e) || !e.Unknown || !errors.Is(err, context.Canceled) {
			t.Errorf("%+v", err)
		}
	}
}

func TestTranscript(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	var script provider.Transcript
	ctx := provider.WithTranscript(t.Context(), &script)
	if _, err := p.Send(ctx, provider.Address{Token: here}, message("a title", "a body")); err != nil {
		t.Fatal(err)
	}
	_, _ = p.Send(ctx, provider.Address{Token: gone}, message("a title", "a body"))
	list := script.Exchanges()
	b, _ := json.Marshal(list)
	if len(list) != 2 || list[0].Status != 250 || list[1].Status != 550 || list[1].Err == "" || strings.Contains(string(b), password) || strings.Contains(string(b), encoded) {
		t.Fatalf("%s", b)
	}
	for _, line := range []string{"> EHLO [127.0.0.1]\n", "> STARTTLS\n", "< 220 2.0.0 Ready", "> <SMTP auth data redacted>\n", "< 235 2.7.0", "> MAIL FROM:<news@example.com> BODY=8BITMIME\n", "> Subject: a title\n", "> a body\n", "< 250 2.0.0 Ok: queued"} {
		if !strings.Contains(list[0].Body, line) {
			t.Errorf("no %q in\n%s", line, list[0].Body)
		}
	}
	if body := list[1].Body; !strings.Contains(body, "> RSET\n") || !strings.Contains(body, "< 550 5.1.1 <gone@example.com>") || strings.Count(body, "550") != 1 {
		t.Errorf("the second:\n%s", body)
	}
}

// TestHostLeadsInside: a name that leads to a private address is not called.
func TestHostLeadsInside(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	_, err := w.provider(t, egress.Config{Ports: []string{"any"}, Resolver: &net.Resolver{}}, "host", "localhost").Send(t.Context(), provider.Address{Token: here}, message("t", "b"))
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Unauthorized || e.Remedy == "" || w.desk.Connections() != 0 {
		t.Errorf("%+v", err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add("RCPT", 550, "5.1.1 no such user")
	f.Add("end of DATA", 421, "\xff\n\n4.7.28")
	f.Add("AUTH", -1, "")
	f.Fuzz(func(t *testing.T, at string, code int, text string) {
		e := smtp.Refusal(at, code, text)
		if e.Kind == "" || e.Text == "" || e.Code == "" || len(e.Error()) > 1000 || utf8.ValidString(at) && !utf8.ValidString(e.Text) {
			t.Errorf("%+v", e)
		}
		if e.Kind == provider.Unregistered && at != "RCPT" {
			t.Errorf("%s: an address is called gone", at)
		}
	})
}
