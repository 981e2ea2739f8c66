// Package fcm sends by Firebase Cloud Messaging to Android devices and browsers,
// over its HTTP v1 API, as a service account.
//
// A collapse key is passed on, so that a copy of a message that is shown replaces
// it: without one, the message's ID is the tag of the notification.
package fcm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// Where Google listens.
const (
	sendURL   = "https://fcm.googleapis.com"
	grantsURL = "https://oauth2.googleapis.com/token"
)

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorFCM, Idempotent: true, New: New,
		Fields: []provider.Field{
			{Name: "service_account", Secret: true, Needed: true, Help: "The JSON file of a service account of the Firebase project that may send messages."},
			{Name: "url", Help: "Another address than Google's, for tests."},
		},
	}
}

// account is the file of a service account, as far as it matters.
type account struct {
	Type       string `json:"type"`
	Project    string `json:"project_id"`
	KeyID      string `json:"private_key_id"`
	PrivateKey string `json:"private_key"`
	Email      string `json:"client_email"`
	TokenURI   string `json:"token_uri"`
}

// Provider sends to the devices of one Firebase project.
type Provider struct {
	url    string
	oauth  *oauth
	client *egress.Client
	now    func() time.Time
}

var projectID = regexp.MustCompile(`^[a-z][a-z0-9-]{4,62}$`)

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	const remedy = "Make one in the Firebase console: Project settings, Service accounts, Generate new private key."
	var a account
	// The error of the decoder could show what it read.
	if json.Unmarshal([]byte(c.Values["service_account"]), &a) != nil {
		return nil, herald.Invalid("service_account", remedy, "it is not the JSON of a service account")
	}
	if a.Type != "service_account" || a.Email == "" || !projectID.MatchString(a.Project) {
		return nil, herald.Invalid("service_account", remedy, "it has not the type service_account, or no project_id or client_email")
	}
	base, tokens := c.Values["url"], a.TokenURI
	if base == "" {
		base = sendURL
	}
	if tokens == "" {
		tokens = grantsURL
	}
	c.Egress.Timeout, c.Egress.MaxBody = provider.SendTimeout, 16<<10
	client, err := egress.New(c.Egress)
	if err != nil {
		return nil, err
	}
	for field, address := range map[string]string{"url": base, "service_account": tokens} {
		if _, err := client.Check(address); err != nil {
			return nil, herald.Invalid(field, "Use an address that may be called.", "%.100q: %v", address, err)
		}
	}
	p := &Provider{url: strings.TrimSuffix(base, "/") + "/v1/projects/" + url.PathEscape(a.Project) + "/messages:send", client: client, now: c.Clock()}
	if p.oauth, err = newOAuth(a, tokens, client, p.now); err != nil {
		return nil, err
	}
	return p, nil
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Send hands a message to Google for one device.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return provider.Result{}, err
	}
	body, shortened, err := o.request(m, to.Token, false, p.now())
	if err != nil {
		return provider.Result{}, err
	}
	a, err := p.call(ctx, body)
	if err != nil {
		return provider.Result{}, err
	}
	var said struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(a.Body, &said) // it was taken, whatever its name is
	return provider.Result{Reference: said.Name[strings.LastIndexByte(said.Name, '/')+1:], Shortened: shortened}, nil
}

// call posts a message, once more with a new access token if Google does not take
// the one that it had.
func (p *Provider) call(ctx context.Context, body []byte) (egress.Answer, error) {
	for stale := ""; ; {
		word, err := p.oauth.token(ctx, stale)
		if err != nil {
			return egress.Answer{}, err
		}
		header := http.Header{"Authorization": {"Bearer " + word}, "Content-Type": {"application/json"}}
		a, err := provider.Call(ctx, p.client, egress.Request{Method: http.MethodPost, URL: p.url, Header: header, Body: body})
		if err != nil {
			return a, err
		}
		if a.Status == http.StatusOK {
			return a, nil
		}
		refused := refusal(a)
		if a.Status == http.StatusUnauthorized && refused.Code == "UNAUTHENTICATED" && stale == "" {
			stale = word
			continue
		}
		return a, refused
	}
}

// Check has Google look at a message to a token that nobody has, without sending
// it: a good credential is told that the token is not valid.
func (p *Provider) Check(ctx context.Context) error {
	var o options
	m := &provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: "verify"}}}
	body, _, err := o.request(m, "nobody", true, p.now())
	if err != nil {
		return err
	}
	a, err := p.call(ctx, body)
	var e *provider.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.Code == "INVALID_ARGUMENT" || e.Kind == provider.Unregistered:
		return nil
	}
	return e.BlameClock(a.Header, p.now())
}
