package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// stage is how far a conversation has come: one reply means another thing at
// another stage.
type stage string

const (
	atGreeting stage = "greeting"
	atTLS      stage = "STARTTLS"
	atAuth     stage = "AUTH"
	atSender   stage = "MAIL"
	atReceiver stage = "RCPT"
	atData     stage = "DATA"
	atEnd      stage = "end of DATA"
)

// session is a connection that is signed in. It is used by one goroutine at a
// time.
type session struct {
	conn   net.Conn // below TLS
	c      *mailsmtp.Client
	script *script
	mails  int
	broken bool // it cannot be used again
	timer  *time.Timer
}

// open connects and signs in.
func open(ctx context.Context, set *settings, client *egress.Client, script *script) (*session, error) {
	conn, err := client.Dial(ctx, "tcp", set.address(), mailPorts()...)
	if err != nil {
		if e := (*herald.Error)(nil); errors.As(err, &e) {
			return nil, &provider.Error{Kind: provider.Unauthorized, Text: "the mail server may not be called: it " + e.Message, Remedy: e.Remedy, Err: err}
		}
		return nil, provider.Lost(err, false)
	}
	s := &session{conn: &measured{Conn: conn}}
	err = s.bound(ctx, script, func() error { return s.begin(ctx, set) })
	if err != nil {
		s.cut()
		return nil, err
	}
	return s, nil
}

func (s *session) begin(ctx context.Context, set *settings) error {
	conn := s.conn
	if set.security == wholeTLS {
		secure := tls.Client(conn, set.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return s.lost(atTLS, err)
		}
		conn = secure
	}
	var err error
	if s.c, err = mailsmtp.NewClient(conn, set.host); err != nil {
		return s.lost(atGreeting, err)
	}
	s.c.SetLogger(s)
	s.c.SetDebugLog(true)
	if err := s.c.Hello(self(conn)); err != nil {
		return s.lost(atGreeting, err)
	}
	if set.security == startTLS {
		if ok, _ := s.c.Extension("STARTTLS"); !ok {
			// Going on in clear is what somebody on the way would want.
			return &provider.Error{Kind: provider.Unavailable, Text: "the mail server offers no STARTTLS",
				Remedy: "Set security to tls if it speaks TLS from the first byte, as at port 465; otherwise somebody on the way may have removed the offer."}
		}
		if err := s.c.StartTLS(set.tls); err != nil {
			return s.lost(atTLS, err)
		}
	}
	if set.username == "" {
		return nil
	}
	return s.signIn(set)
}

// signIn uses the first of the ways that both sides know.
func (s *session) signIn(set *settings) error {
	_, offered := s.c.Extension("AUTH")
	ways := map[string]mailsmtp.Auth{
		"PLAIN": mailsmtp.PlainAuth("", set.username, set.password, set.host, true), "LOGIN": mailsmtp.LoginAuth(set.username, set.password, set.host, true),
		"SCRAM-SHA-256": mailsmtp.ScramSHA256Auth(set.username, set.password), "CRAM-MD5": mailsmtp.CRAMMD5Auth(set.username, set.password),
	}
	for _, name := range []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"} {
		for way := range strings.FieldsSeq(offered) {
			if strings.EqualFold(way, name) {
				if err := s.c.Auth(ways[name]); err != nil {
					return s.lost(atAuth, err)
				}
				return nil
			}
		}
	}
	return provider.Errorf(provider.Unauthorized, "", "Leave user name and password empty if the server asks for none; else allow signing in by password there.",
		"the mail server offers no way to sign in with a password, only %.100q", offered)
}

// self is what we call ourselves: the address of our end (RFC 5321 section 4.1.3).
func self(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	switch {
	case err != nil:
		return "localhost"
	case strings.Contains(host, ":"):
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// again looks whether a connection that was idle is still one.
func (s *session) again(ctx context.Context, script *script) error {
	return s.bound(ctx, script, func() error { return s.lost(atGreeting, s.c.Reset()) })
}

// try names a sender, and takes it back.
func (s *session) try(from string) error {
	if err := s.c.Noop(); err != nil {
		return s.lost(atGreeting, err)
	}
	s.c.SkipSMTPUTF8(ascii(from))
	if err := s.c.Mail("<" + from + ">"); err != nil {
		return s.lost(atSender, err)
	}
	return s.lost(atGreeting, s.c.Reset())
}

// deliver hands over one mail.
func (s *session) deliver(from, to string, body []byte) error {
	s.mails++
	if err := s.fits(from, to, body); err != nil {
		return err
	}
	s.c.SkipSMTPUTF8(ascii(from + to))
	if err := s.c.Mail("<" + from + ">"); err != nil {
		return s.lost(atSender, err)
	}
	if err := s.c.Rcpt("<" + to + ">"); err != nil {
		return s.lost(atReceiver, err)
	}
	w, err := s.c.Data()
	if err != nil {
		return s.lost(atData, err)
	}
	s.script.write(string(body))
	if _, err := w.Write(body); err != nil {
		return s.lost(atData, err) // the dot that ends it was not sent
	}
	if err := w.Close(); err != nil {
		return s.lost(atEnd, err)
	}
	if d, ok := w.(*mailsmtp.DataCloser); ok {
		s.script.reply(250, d.ServerResponse())
	}
	return nil
}

// fits looks at what the server has said that it takes (RFC 1870, RFC 6531).
func (s *session) fits(from, to string, body []byte) error {
	if _, size := s.c.Extension("SIZE"); size != "" {
		if limit, err := strconv.Atoi(size); err == nil && limit > 0 && len(body) > limit {
			return provider.Errorf(provider.TooLarge, "", "Send less.", "the mail of %d bytes is larger than the %d that the server takes", len(body), limit)
		}
	}
	if ok, _ := s.c.Extension("SMTPUTF8"); !ok && !ascii(from+to) {
		return provider.Errorf(provider.Rejected, "", "Use an address of plain letters, or a mail server that knows SMTPUTF8.", "the mail server takes no address with letters beyond ASCII")
	}
	return nil
}

// bound runs what speaks over the connection, until ctx ends.
func (s *session) bound(ctx context.Context, script *script, do func() error) error {
	s.script = script
	_ = s.conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	err := do()
	s.script = nil
	if !stop() {
		s.broken = true // its deadline is over, or about to be
	}
	if e := (*provider.Error)(nil); ctx.Err() != nil && errors.As(err, &e) && e.Kind == provider.Unavailable && e.Code == "" {
		return provider.Lost(errors.Join(context.Cause(ctx), err), e.Unknown)
	}
	return err
}

// lost makes an error of what a command was answered, or that it was not.
func (s *session) lost(at stage, err error) error {
	if err == nil {
		return nil
	}
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		s.script.reply(reply.Code, reply.Msg)
		// After these the server is gone, or says so next.
		s.broken = s.broken || reply.Code == 421 || at == atGreeting || at == atTLS || at == atAuth
		return refusal(at, reply.Code, reply.Msg)
	}
	s.broken = true
	s.script.note(err)
	if wrong := (*tls.CertificateVerificationError)(nil); errors.As(err, &wrong) {
		return &provider.Error{Kind: provider.Unavailable, Text: "the mail server's certificate is not trusted: " + cut(wrong.Err.Error()), Err: err,
			Remedy: "Check the host; if the server's certificate is of a private authority, give that in ca."}
	}
	if notTLS := (tls.RecordHeaderError{}); errors.As(err, &notTLS) {
		return &provider.Error{Kind: provider.Unavailable, Text: "the mail server does not speak TLS from the first byte at this port", Err: err, Remedy: "Set security to starttls, as at port 587."}
	}
	if at == atAuth && !errors.As(err, new(net.Error)) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return &provider.Error{Kind: provider.Unauthorized, Text: "signing in to the mail server failed: " + cut(err.Error()), Err: err, Remedy: "Check the user name and the password with verify."}
	}
	return provider.Lost(err, at == atEnd)
}

// leave says good-bye without waiting for an answer.
func (s *session) leave() {
	if !s.broken {
		_ = s.conn.SetDeadline(time.Now().Add(time.Second))
		_ = s.c.Text.PrintfLine("QUIT")
	}
	s.cut()
}

func (s *session) cut() { _ = s.conn.Close() }

func ascii(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
}

// maxReply is how much a server may say to one command, in bytes; TLS included.
const maxReply = 256 << 10

// measured is a connection whose other side may not talk without end.
type measured struct {
	net.Conn
	heard int
}

var errTooLong = errors.New("smtp: the reply is too long")

func (m *measured) Read(b []byte) (int, error) {
	if m.heard > maxReply {
		return 0, errTooLong
	}
	n, err := m.Conn.Read(b)
	m.heard += n
	return n, err
}

func (m *measured) Write(b []byte) (int, error) {
	m.heard = 0
	return m.Conn.Write(b)
}
