// Package smtp sends mails through a mail server (RFC 5321, RFC 6409), which
// passes them on.
//
// A mail that is sent twice has the same Message-ID both times. Whether it is
// shown once is up to the mailbox.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// How a connection is made safe.
const (
	startTLS  = "starttls" // after it was made (RFC 3207)
	wholeTLS  = "tls"      // from the first byte (RFC 8314)
	plainText = "none"
)

// mailPorts are where mail servers take mails: RFC 5321, RFC 8314, RFC 6409, and
// what hosts use where those are closed. They may be called beside the operator's.
func mailPorts() []uint16 { return []uint16{25, 465, 587, 2525} }

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorSMTP, New: New,
		Fields: []provider.Field{
			{Name: "host", Needed: true, Help: "The mail server's name."},
			{Name: "port", Help: "Its port; default 587, with tls 465."},
			{Name: "security", Help: "starttls (default), tls for TLS from the first byte, or none."},
			{Name: "username", Help: "Who signs in; empty if the server asks for nobody."},
			{Name: "password", Secret: true, Help: "The password, or what the mail service calls an app password."},
			{Name: "from", Needed: true, Help: "The address that mails come from, with or without a name: Shop <news@example.com>."},
			{Name: "reply_to", Help: "Where answers go, if not to from."},
			{Name: "unsubscribe", Help: "Where a reader unsubscribes, mailto: or https://; {address} in it becomes the reader's address."},
			{Name: "ca", Help: "Certificates (PEM) to trust in place of the system's, for a server with one of its own."},
		},
	}
}

// settings are a credential that was read.
type settings struct {
	host, security     string
	port               uint16
	username, password string
	from, replyTo      *mail.Address
	unsubscribe        string
	tls                *tls.Config
}

// Provider sends mails through one server as one sender.
type Provider struct {
	settings
	pool *pool
	now  func() time.Time
}

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	s, err := read(c.Values, c.Egress)
	if err != nil {
		return nil, err
	}
	client, err := egress.New(c.Egress)
	if err != nil {
		return nil, err
	}
	if err := client.CheckDial(s.address(), mailPorts()...); err != nil {
		return nil, herald.Invalid("host", "Use a mail server that may be called.", "%.100q: %v", s.address(), err)
	}
	return &Provider{settings: s, pool: newPool(s, client), now: c.Clock()}, nil
}

func read(v map[string]string, e egress.Config) (s settings, err error) {
	s = settings{host: v["host"], security: v["security"], port: 587, username: v["username"], password: v["password"], unsubscribe: v["unsubscribe"]}
	switch s.security {
	case "":
		s.security = startTLS
	case wholeTLS:
		s.port = 465
	case startTLS:
	case plainText:
		if s.username != "" && !e.HTTP {
			return s, herald.Invalid("security", "Use starttls or tls; or have the operator set egress.http.", "without TLS anybody on the way can read the password")
		}
	default:
		return s, herald.Invalid("security", "Use starttls, tls or none.", "%.40q is none of them", s.security)
	}
	if v["port"] != "" {
		n, err := strconv.ParseUint(v["port"], 10, 16)
		if err != nil || n == 0 {
			return s, herald.Invalid("port", "Write a number such as 587, or nothing.", "%.40q is not a port", v["port"])
		}
		s.port = uint16(n)
	}
	if (s.username == "") != (s.password == "") {
		return s, herald.Invalid("password", "Give both, or neither.", "a user name and a password belong together")
	}
	if s.from, err = sender("from", v["from"]); err != nil {
		return s, err
	}
	if v["reply_to"] != "" {
		if s.replyTo, err = sender("reply_to", v["reply_to"]); err != nil {
			return s, err
		}
	}
	if err := checkUnsubscribe(s.unsubscribe); err != nil {
		return s, err
	}
	s.tls = &tls.Config{ServerName: s.host, RootCAs: e.Roots, MinVersion: tls.VersionTLS12}
	if ca := v["ca"]; ca != "" {
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return s, herald.Invalid("ca", "Give the file that begins with -----BEGIN CERTIFICATE-----.", "it holds no certificate in PEM")
		}
	}
	return s, nil
}

// sender reads an address of our own side, such as Shop <news@example.com>.
func sender(field, text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || !plainAddress(a.Address) {
		return nil, herald.Invalid(field, "Write it as news@example.com or Shop <news@example.com>.", "%.100q is not a mail address", text)
	}
	return a, nil
}

func checkUnsubscribe(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(strings.ReplaceAll(text, addressPlace, "a"))
	good := err == nil && (u.Scheme == "mailto" && u.Opaque != "" || u.Scheme == "https" && u.Host != "")
	if !good || strings.ContainsAny(text, "<>, \t\r\n") {
		return herald.Invalid("unsubscribe", "Write mailto:leave@example.com or https://example.com/leave?who={address}.", "%.100q is no address of these kinds", text)
	}
	return nil
}

// addressPlace is replaced by the reader's address.
const addressPlace = "{address}"

func (s *settings) address() string {
	host := s.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(s.port))
}

// Close ends the connections that are not in use; the others end with their mail.
func (p *Provider) Close() error {
	p.pool.close()
	return nil
}

// Send hands a mail for one address to the server.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	if !plainAddress(to.Token) {
		return provider.Result{}, provider.Errorf(provider.Unregistered, "", "Register the address as the person writes it.", "%.100q is not a mail address", to.Token)
	}
	o, err := readOptions(m.Options)
	if err != nil {
		return provider.Result{}, err
	}
	id, body, err := p.compose(to.Token, m, &o)
	if err != nil {
		return provider.Result{}, err
	}
	err = p.pool.use(ctx, func(s *session) error { return s.deliver(p.from.Address, to.Token, body) })
	if err != nil {
		return provider.Result{}, err
	}
	return provider.Result{Reference: id}, nil
}

// Check signs in and names the sender, and takes that back: nobody gets anything.
func (p *Provider) Check(ctx context.Context) error {
	return p.pool.use(ctx, func(s *session) error { return s.try(p.from.Address) })
}
