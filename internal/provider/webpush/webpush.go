// Package webpush sends to browsers, through the push service that each browser
// has chosen: RFC 8030, encrypted by RFC 8291 and signed by RFC 8292.
//
// An address is the subscription of the browser as JSON, so the host that is
// called is a user's data. Only the known push services are called, and those
// that the credential names.
//
// What the service worker gets is the frame of a message, as live connections
// have it. Without a collapse key, the message's ID is the topic, so that a copy
// of it replaces one that still waits; the ID is also what the worker of the SDK
// shows it under, so that a copy replaces what is shown.
package webpush

import (
	"cmp"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// mozillaURL is the push service that verifying calls.
const mozillaURL = "https://updates.push.services.mozilla.com"

// known are the hosts of the push services of browsers. With a dot before it, a
// name stands for the hosts below it.
var known = []string{
	"fcm.googleapis.com", "jmt17.google.com", ".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com",
}

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorWebPush, Idempotent: true, New: New, Complete: complete,
		Fields: []provider.Field{
			{Name: "subject", Needed: true, Help: "How a push service reaches you: a mailto: or https: URL."},
			{Name: "public_key", Help: "The VAPID key that pages subscribe with, 65 bytes in base64url. Left out, it is made."},
			{Name: "private_key", Secret: true, Help: "The VAPID private key, 32 bytes in base64url. Leave both keys out to have a new pair made."},
			{Name: "services", Help: "Hosts of push services to call beside those of the browsers, separated by blanks; any for all."},
			{Name: "url", Help: "The push service that verify calls; default Mozilla's."},
		},
	}
}

// Provider sends with one pair of VAPID keys.
type Provider struct {
	vapid    *vapid
	services []string
	url      string
	client   *egress.Client
	now      func() time.Time
}

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	if err := checkSubject(c.Values["subject"]); err != nil {
		return nil, err
	}
	key, public, err := readKeys(c.Values["public_key"], c.Values["private_key"])
	if err != nil {
		return nil, err
	}
	p := &Provider{
		services: slices.Concat(known, strings.Fields(strings.ToLower(c.Values["services"]))),
		url:      strings.TrimSuffix(cmp.Or(c.Values["url"], mozillaURL), "/"), now: c.Clock(),
	}
	p.vapid = &vapid{key: key, public: public, subject: c.Values["subject"], now: p.now, origins: map[string]*signed{}}
	c.Egress.Timeout = provider.SendTimeout
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if _, err := p.client.Check(p.url); err != nil {
		return nil, err
	}
	return p, nil
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Send hands a message to the push service of one browser.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	s, err := readSubscription(to.Token)
	if err != nil {
		return provider.Result{}, err
	}
	if !p.serves(s.endpoint) {
		return provider.Result{}, provider.Errorf(provider.Rejected, "", "If the host is that of a push service, name it in the credential's services.",
			"%.100q is not a push service that this credential calls", s.endpoint.Hostname())
	}
	o, err := readOptions(m.Options)
	if err != nil {
		return provider.Result{}, err
	}
	text, shortened, err := payload(m)
	if err != nil {
		return provider.Result{}, err
	}
	a, err := p.call(ctx, s, o.header(m, p.now()), text)
	if err != nil {
		return provider.Result{}, err
	}
	const longest = 500 // a reference is kept with the attempt
	r := provider.Result{Reference: a.Header.Get("Location"), Shortened: shortened}
	if len(r.Reference) > longest {
		r.Reference = ""
	}
	return r, nil
}

// serves tells whether the host of an endpoint may be called.
func (p *Provider) serves(endpoint *url.URL) bool {
	host := strings.ToLower(endpoint.Hostname())
	return slices.ContainsFunc(p.services, func(s string) bool {
		return s == "any" || s == host || s[0] == '.' && strings.HasSuffix(host, s)
	})
}

// call encrypts a text for a browser and posts it.
func (p *Provider) call(ctx context.Context, s *subscription, header http.Header, text []byte) (egress.Answer, error) {
	origin := s.endpoint.Scheme + "://" + s.endpoint.Host
	word, err := p.vapid.token(origin)
	if err != nil {
		return egress.Answer{}, err
	}
	body, err := s.seal(text)
	if err != nil {
		return egress.Answer{}, err
	}
	header.Set("Authorization", "vapid t="+word.text+", k="+p.vapid.public)
	header.Set("Content-Encoding", "aes128gcm")
	header.Set("Content-Type", "application/octet-stream")
	a, err := provider.Call(ctx, p.client, egress.Request{Method: http.MethodPost, URL: s.endpoint.String(), Header: header, Body: body})
	if err != nil {
		return a, err
	}
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		word.taken.Store(true)
		return a, nil
	}
	return a, p.refused(a, word)
}

func (p *Provider) refused(a egress.Answer, word *signed) *provider.Error {
	e := refusal(a, word.taken.Load())
	if e.Kind == provider.Unauthorized {
		return e.BlameClock(a.Header, p.now())
	}
	return e
}

// Check posts to an address that nobody has. A push service that looks at the
// signature first says what is wrong with it. One that looks for the address
// first says that nobody is there: then what is proved is that the keys are a
// pair, that this machine reaches the service, and that by the service's clock
// the signature would be good.
func (p *Provider) Check(ctx context.Context) error {
	s, err := nobody(p.url)
	if err != nil {
		return err
	}
	a, err := p.call(ctx, s, http.Header{"Ttl": {"0"}}, []byte("{}"))
	var e *provider.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.Kind != provider.Unregistered && (e.Kind != provider.Rejected || a.Status == http.StatusForbidden || a.Status == http.StatusUnauthorized):
		return e
	}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil && at.Sub(p.now()).Abs() >= tokenFor {
		e := &provider.Error{Kind: provider.Unauthorized, Text: "signatures of this machine are for another time"}
		return e.BlameClock(a.Header, p.now())
	}
	return nil
}

// nobody makes a subscription that no browser has.
func nobody(service string) (*subscription, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, &provider.Error{Kind: provider.Unavailable, Text: "no key can be made", Err: err}
	}
	endpoint, err := url.Parse(service + "/wpush/v2/" + base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()))
	if err != nil {
		return nil, provider.Errorf(provider.Rejected, "", "Correct the credential's url.", "the address of the push service cannot be read")
	}
	return &subscription{endpoint: endpoint, key: key.PublicKey(), auth: make([]byte, authSize)}, nil
}
