// Package apns sends by Apple's push service to iPhones, iPads, Macs and
// watches, over its provider API (HTTP/2), with a token key or a certificate.
//
// Without a collapse key, a message's ID is its apns-collapse-id, so that a copy
// of it replaces the one that is shown. The apns-id is left to Apple: one of ours
// for each push would cost about a tenth of the work, in the tables of HPACK.
package apns

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// The environments. A token of one is unknown to the other.
const (
	Production = "production"
	Sandbox    = "sandbox"
)

const (
	productionURL = "https://api.push.apple.com"
	sandboxURL    = "https://api.sandbox.push.apple.com"
)

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorAPNs, Environments: []string{Production, Sandbox}, Idempotent: true, New: New,
		Fields: []provider.Field{
			{Name: "topic", Needed: true, Help: "The bundle ID of the app, such as com.example.app."},
			{Name: "key", Secret: true, Help: "The text of the .p8 file of a key for APNs. Give this, key_id and team_id, or a certificate."},
			{Name: "key_id", Help: "The 10 characters that name the key in Apple's developer account."},
			{Name: "team_id", Help: "The 10 characters that name the team in Apple's developer account."},
			{Name: "certificate", Secret: true, Help: "In place of a key: a certificate and its private key as PEM, or a .p12 file in base64."},
			{Name: "password", Secret: true, Help: "The password of the .p12 file, if it has one."},
			{Name: "url", Help: "Another address than Apple's, for tests."},
		},
	}
}

// Provider sends with one credential to both environments.
type Provider struct {
	topic  string
	base   string // "" for Apple's own
	asks   string // the environment in which it is verified
	bearer *bearer
	client *egress.Client
	now    func() time.Time
}

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	p := &Provider{topic: c.Values["topic"], base: strings.TrimSuffix(c.Values["url"], "/"), asks: c.Environment, now: c.Clock()}
	var err error
	switch key, certificate := c.Values["key"], c.Values["certificate"]; {
	case key != "" && certificate != "":
		return nil, herald.Invalid("certificate", "Leave one of them out.", "there are a key and a certificate")
	case key != "":
		p.bearer, err = newBearer(key, c.Values["key_id"], c.Values["team_id"], p.now)
	case certificate != "":
		var pair tls.Certificate
		pair, err = readCertificate(certificate, c.Values["password"], p.now())
		c.Egress.Certificates = []tls.Certificate{pair}
	default:
		return nil, herald.Invalid("key", "Give the text of the .p8 file, or a certificate.", "there is neither a key nor a certificate")
	}
	if err != nil {
		return nil, err
	}
	c.Egress.Timeout = provider.SendTimeout
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if p.base != "" {
		if _, err := p.client.Check(p.base); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Send hands a message to Apple for one device.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	if !validToken(to.Token) {
		return provider.Result{}, provider.Errorf(provider.Unregistered, "BadDeviceToken", "Register the token as the app gets it, in hexadecimal.", "the token is not hexadecimal")
	}
	push, err := provider.MadeOnce(m, p, func() (*push, error) { return p.push(m) })
	if err != nil {
		return provider.Result{}, err
	}
	header := maps.Clone(push.header)
	header["Apns-Expiration"] = []string{expiration(m, p.now())}
	a, err := p.call(ctx, to, header, push.payload)
	if err != nil {
		return provider.Result{}, err
	}
	return provider.Result{Reference: a.Header.Get("Apns-Id"), Shortened: push.shortened}, nil
}

// push is what is the same for all devices.
type push struct {
	header    http.Header
	payload   []byte
	shortened bool
}

func (p *Provider) push(m *provider.Message) (*push, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return nil, err
	}
	payload, shortened, err := o.payload(m)
	if err != nil {
		return nil, err
	}
	return &push{o.header(m, p.topic), payload, shortened}, nil
}

// call posts a payload, once more with a new token if Apple says that the one it
// had was too old.
func (p *Provider) call(ctx context.Context, to provider.Address, header http.Header, payload []byte) (egress.Answer, error) {
	for fresh := false; ; fresh = true {
		if p.bearer != nil {
			word, err := p.bearer.token(fresh)
			if err != nil {
				return egress.Answer{}, err
			}
			header.Set("Authorization", "bearer "+word)
		}
		a, err := provider.Call(ctx, p.client, egress.Request{Method: http.MethodPost, URL: p.url(to), Header: header, Body: payload})
		if err != nil {
			return a, err
		}
		if a.Status == http.StatusOK {
			return a, nil
		}
		refused := refusal(a)
		if refused.Code == "ExpiredProviderToken" && p.bearer != nil && !fresh {
			continue
		}
		return a, refused
	}
}

func (p *Provider) url(to provider.Address) string {
	base := p.base
	switch {
	case base != "":
	case to.Environment == Sandbox:
		base = sandboxURL
	default:
		base = productionURL
	}
	return base + "/3/device/" + to.Token
}

// Check asks for a push to a token that nobody has: Apple looks at the
// credential first, and says of a good one that the token is bad.
func (p *Provider) Check(ctx context.Context) error {
	header := http.Header{"Apns-Topic": {p.topic}, "Apns-Push-Type": {"background"}, "Apns-Priority": {"5"}, "Apns-Expiration": {"0"}}
	nobody := provider.Address{Token: strings.Repeat("0", 64), Environment: p.asks}
	a, err := p.call(ctx, nobody, header, []byte(`{"aps":{"content-available":1}}`))
	var e *provider.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.Code == "BadDeviceToken" || e.Kind == provider.Unregistered:
		return nil
	}
	return e.BlameClock(a.Header, p.now())
}

// validToken reports whether a token is hexadecimal. Its length is Apple's
// affair: 32 bytes for long, more for some.
func validToken(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s != "" && len(s) <= 400
}
