// Package smpp sends text messages to telephones through a service centre that
// speaks SMPP 3.4, as telephone companies and their resellers run them.
//
// There is one session for each credential. It is opened when it is needed, kept
// alive, and opened again after it has ended. A message is submitted once: one
// whose response did not come is never submitted again from here. A part that was
// refused for being too early, after the first, is: the service centre has
// certainly not taken it, and half a text helps nobody. Receipts come on the
// session; see [Provider.Listen].
package smpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// Values of fields.
const (
	plainText = "none"
	wholeTLS  = "tls"

	transceiver = "transceiver"
	transmitter = "transmitter"

	codingAuto    = "auto"
	codingUnicode = "ucs2"

	namesSame    = "same"
	namesHex     = "hex"
	namesDecimal = "decimal"
)

// The ports that service centres are usually at, without and with TLS. They may
// be called beside those of the operator.
const (
	plainPort  = 2775
	securePort = 3550
)

const (
	defaultWindow = 10
	maxWindow     = 1000
	// defaultParts is 1,530 characters of GSM or 670 of UCS-2: a mistake in a
	// template should not cost 200 text messages for each person.
	defaultParts = 10
)

// Driver describes the provider. A message that is sent twice is shown twice.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorSMPP, New: New,
		Fields: []provider.Field{
			{Name: "host", Needed: true, Help: "The name of the service centre."},
			{Name: "port", Help: "Its port; default 3550, without TLS 2775."},
			{Name: "security", Help: "tls (default), or none: then the password and all texts can be read on the way."},
			{Name: "ca", Help: "Certificates (PEM) to trust in place of the system's, for a service centre with one of its own."},
			{Name: "system_id", Needed: true, Help: "The name of the account."},
			{Name: "password", Secret: true, Help: "Its password."},
			{Name: "system_type", Help: "What the service centre wants here; mostly nothing."},
			{Name: "bind", Help: "transceiver (default), or transmitter, to which receipts do not come."},
			{Name: "source", Help: "Who messages come from: a number, a short code, or a name of up to 11 letters and digits."},
			{Name: "source_ton", Help: "Type of number of source; default by its form."},
			{Name: "source_npi", Help: "Numbering plan of source; default by its form."},
			{Name: "dest_ton", Help: "Type of number of those who get messages; default 1, international."},
			{Name: "dest_npi", Help: "Their numbering plan; default 1, of telephones."},
			{Name: "window", Help: "How many messages may wait for a response at once, 1 to 1000; default 10."},
			{Name: "encoding", Help: "auto (default): the alphabet of GSM where it has all characters, else UCS-2; or ucs2 for all."},
			{Name: "message_ids", Help: "same (default): receipts name messages as responses do; hex or decimal: responses write that, and receipts the other."},
			{Name: "max_parts", Help: "How many parts a text may have before it is shortened, 1 to 255; default 10."},
		},
	}
}

// settings are a credential that was read.
type settings struct {
	host, address string // host:port
	tls           *tls.Config
	bind          smpp.Bind
	command       smpp.Command
	source        string // as it was given
	party         smpp.Party
	dest          smpp.Party // without the number
	window, parts int
	unicode       bool // always
	// The bases in which responses and receipts write names of messages, if they
	// are numbers that each writes in another one; else 0.
	responseBase, receiptBase int
}

// Provider sends with one credential.
type Provider struct {
	settings
	client *egress.Client
	now    func() time.Time
	groups groups
	again  time.Duration // the first pause before a part is submitted again

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // attempts, sessions and keeping

	telling sync.Mutex // reports are told one after the other

	mu       sync.Mutex            // guards what follows
	attempt  *attempt              // the last one to open a session; nil before the first
	failures int                   // in a row
	report   func(provider.Report) // nil if nobody listens
	owed     bool                  // something was submitted, and receipts may come
	closed   bool
}

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	s, err := readSettings(c)
	if err != nil {
		return nil, err
	}
	p := &Provider{settings: s, now: c.Clock(), again: time.Second}
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if err := p.client.CheckDial(s.address, plainPort, securePort); err != nil {
		return nil, asField("host", err)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// asField says which field of the credential an error of package egress is about.
func asField(field string, err error) error {
	if e, ok := err.(*herald.Error); ok { //nolint:errorlint // it is not wrapped
		return herald.Invalid(field, e.Remedy, "%s", e.Message)
	}
	return err
}

func readSettings(c provider.Config) (s settings, err error) {
	v := c.Values
	r := fields{values: v}
	s.host = v["host"]
	port := plainPort
	if r.oneOf("security", wholeTLS, plainText) == wholeTLS {
		port = securePort
		s.tls = &tls.Config{ServerName: s.host, RootCAs: c.Egress.Roots, MinVersion: tls.VersionTLS12}
		if pem := v["ca"]; pem != "" {
			s.tls.RootCAs = x509.NewCertPool()
			if !s.tls.RootCAs.AppendCertsFromPEM([]byte(pem)) {
				r.fail("ca", "Give certificates in PEM.", "there is no certificate in it")
			}
		}
	}
	s.address = net.JoinHostPort(s.host, strconv.Itoa(r.number("port", 1, 65535, port)))
	s.command = smpp.BindTransceiver
	if r.oneOf("bind", transceiver, transmitter) == transmitter {
		s.command = smpp.BindTransmitter
	}
	s.bind = smpp.Bind{SystemID: v["system_id"], Password: v["password"], SystemType: v["system_type"], Version: smpp.Version}
	if _, err := (&smpp.PDU{Command: s.command, Bind: &s.bind}).Append(nil); err != nil {
		r.fail("system_id", "System ID and password may have 64 characters, the system type 12.", "it cannot be said to a service centre")
	}
	s.source = v["source"]
	if s.party, err = sourceOf(s.source); err != nil {
		return s, err
	}
	s.party.TON = byte(r.number("source_ton", 0, 255, int(s.party.TON)))
	s.party.NPI = byte(r.number("source_npi", 0, 255, int(s.party.NPI)))
	s.dest = smpp.Party{TON: byte(r.number("dest_ton", 0, 255, 1)), NPI: byte(r.number("dest_npi", 0, 255, 1))}
	s.window = r.number("window", 1, maxWindow, defaultWindow)
	s.parts = r.number("max_parts", 1, 255, defaultParts)
	s.unicode = r.oneOf("encoding", codingAuto, codingUnicode) == codingUnicode
	switch r.oneOf("message_ids", namesSame, namesHex, namesDecimal) {
	case namesHex:
		s.responseBase, s.receiptBase = 16, 10
	case namesDecimal:
		s.responseBase, s.receiptBase = 10, 16
	}
	return s, r.err
}

// nameOf makes the name of a message the same in responses and receipts, whose
// writers may be different programs of the service centre.
func nameOf(id string, base int) string {
	if base == 0 {
		return id
	}
	n, err := strconv.ParseUint(id, base, 64)
	if err != nil {
		return id
	}
	return strconv.FormatUint(n, 10)
}

// fields reads values of a credential, and keeps the first error.
type fields struct {
	values map[string]string
	err    error
}

func (f *fields) fail(name, remedy, format string, args ...any) {
	if f.err == nil {
		f.err = herald.Invalid(name, remedy, format, args...)
	}
}

// oneOf reads a word; the first is the default.
func (f *fields) oneOf(name string, words ...string) string {
	value := f.values[name]
	for _, w := range words {
		if value == w {
			return w
		}
	}
	if value != "" {
		f.fail(name, "Use "+strings.Join(words, " or ")+".", "%.40q is none of them", value)
	}
	return words[0]
}

func (f *fields) number(name string, low, high, otherwise int) int {
	value := f.values[name]
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		f.fail(name, "Write a number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high)+".", "%.40q is no such number", value)
		return otherwise
	}
	return n
}

// Close ends the session. Messages whose responses are awaited have no known fate.
func (p *Provider) Close() error {
	p.mu.Lock()
	a := p.attempt
	p.closed = true
	p.mu.Unlock()
	if s := a.open(); s != nil {
		s.bye()
	}
	p.cancel()
	p.wg.Wait()
	p.client.Close()
	return nil
}

// Check opens a session, or uses the one that is open, and asks whether it is
// alive. One that was opened for it, and that nothing else has used, is closed.
func (p *Provider) Check(ctx context.Context) error {
	before := p.opened()
	s, err := p.session(ctx, true)
	if err != nil {
		return err
	}
	_, asked, err := s.ask(ctx, &smpp.PDU{Command: smpp.EnquireLink}, nil)
	if s != before && !s.used.Load() {
		s.bye()
	}
	if err != nil {
		return provider.Lost(err, asked)
	}
	return nil
}
