// Package webhook hands messages to an app server, which brings them to people
// in its own way: a channel like the others, not the webhooks that tell of
// events. Requests are signed as Standard Webhooks 1.0.
//
// A message for an address has one webhook-id, however often it comes: a receiver
// that keeps the IDs of some hours sees each once.
package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
	"github.com/herald-push/herald/internal/wire/signed"
)

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorWebhook, Idempotent: true, New: New,
		Fields: []provider.Field{
			{Name: "url", Needed: true, Help: "Where messages are posted, https://…"},
			{Name: "secret", Secret: true, Needed: true, Help: "What signs, as Standard Webhooks writes it: whsec_ and 24 to 64 random bytes in base64."},
			{Name: "headers", Secret: true, Help: "Headers that the receiver wants beside the signature, one a line, such as Authorization: Bearer …"},
		},
	}
}

// Provider posts to one app server.
type Provider struct {
	url     string
	key     []byte
	headers http.Header
	secrets []string // that no transcript shows
	client  *egress.Client
	now     func() time.Time
}

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	p := &Provider{url: c.Values["url"], now: c.Clock()}
	var err error
	if p.key, err = signed.ParseSecret(c.Values["secret"]); err != nil {
		return nil, herald.Invalid("secret", "Write whsec_ and 24 to 64 random bytes in base64; openssl rand -base64 32 makes some.", "it is not a secret of Standard Webhooks")
	}
	if p.headers, err = readHeaders(c.Values["headers"]); err != nil {
		return nil, err
	}
	for _, v := range p.headers {
		p.secrets = append(p.secrets, v[0])
	}
	c.Egress.Timeout, c.Egress.MaxBody = provider.SendTimeout, 4<<10
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if _, err := p.client.Check(p.url); err != nil {
		return nil, herald.Invalid("url", "Use an address that may be called.", "%.100q: %v", p.url, err)
	}
	return p, nil
}

const (
	maxHeaders     = 20
	maxHeaderBytes = 8 << 10
)

// ours are headers that are not for the credential to say, beside those that
// begin with Webhook-.
var ours = []string{"Content-Type", "Content-Length", "Content-Encoding", "Host", "Connection", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Keep-Alive", "Expect", "Proxy-Authorization", "Proxy-Connection"}

var headerName = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,100}$")

// readHeaders reads headers, one a line. An error does not show a value.
func readHeaders(text string) (http.Header, error) {
	const remedy = "Write one a line, such as Authorization: Bearer …"
	if len(text) > maxHeaderBytes {
		return nil, herald.Invalid("headers", remedy, "they are longer than %d bytes", maxHeaderBytes)
	}
	h, number := http.Header{}, 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || value == "" || !headerName.MatchString(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, herald.Invalid("headers", remedy, "the line %d is no header (RFC 9110 section 5)", number)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if strings.HasPrefix(name, "Webhook-") || slices.Contains(ours, name) {
			return nil, herald.Invalid("headers", "Leave it out.", "%s is not for a credential to say", name)
		}
		if _, twice := h[name]; twice || len(h) == maxHeaders {
			return nil, herald.Invalid("headers", remedy, "%s is there twice, or there are more than %d", name, maxHeaders)
		}
		h[name] = []string{value}
	}
	return h, nil
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// body is what is posted.
type body struct {
	Type         string               `json:"type"` // message or verify
	ID           string               `json:"id,omitempty"`
	App          herald.AppKey        `json:"app,omitempty"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	// Options are what the message says for this vendor, as it is.
	Options json.RawMessage `json:"options,omitempty"`
	To      string          `json:"to,omitempty"`
	// Timestamp is that of the message: a copy is the same to the byte.
	Timestamp time.Time `json:"timestamp"`
}

var addressee = regexp.MustCompile(`^[0-9A-Za-z._~-]{1,255}$`)

// Send posts a message. What the address names is handed over as "to".
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	if to.Token != "" && !addressee.MatchString(to.Token) {
		return provider.Result{}, provider.Errorf(provider.Rejected, "", "Use letters, digits and - . _ ~, at most 255.", "%.40q is no name that can be handed over", to.Token)
	}
	if len(m.Options) > 0 {
		if err := strict.Decode(m.Options, &map[string]json.RawMessage{}); err != nil {
			return provider.Result{}, provider.Errorf(provider.Rejected, "", "Look at what the message says for webhook.", "the options for webhook cannot be read: %v", err)
		}
	}
	err := p.post(ctx, webhookID(m, to), body{
		Type: "message", ID: m.ID.String(), App: m.App, Notification: m.Content.Notification, Data: m.Content.Data, Options: m.Options, To: to.Token, Timestamp: m.ID.Time(),
	}, to.Token != "")
	return provider.Result{}, err
}

// webhookID names a message for an address: the same whenever it is sent.
func webhookID(m *provider.Message, to provider.Address) string {
	id := "msg_" + m.ID.String()
	if to.Token == "" {
		return id
	}
	sum := sha256.Sum256([]byte(to.Token))
	return id + "_" + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// post makes a call. The error is an *Error, or nil for a status of 200 to 299.
func (p *Provider) post(ctx context.Context, id string, b body, named bool) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return &provider.Error{Kind: provider.Rejected, Text: "the message cannot be written as JSON", Remedy: "Look at its data.", Err: fmt.Errorf("webhook: %w", err)}
	}
	now := p.now()
	h := signed.Headers(id, now, raw, p.key)
	maps.Copy(h, p.headers)
	a, err := provider.Call(ctx, p.client, egress.Request{Method: http.MethodPost, URL: p.url, Header: h, Body: raw}, p.secrets...)
	if err != nil {
		return err
	}
	if a.Status/100 == 2 {
		return nil
	}
	e := refusal(a, named)
	if a.Status == http.StatusBadRequest || e.Kind == provider.Unauthorized {
		return e.BlameClock(a.Header, now) // a receiver judges the time of a signature
	}
	return e
}

// refusal is the error of an answer. named tells that the message was for
// somebody of whom the receiver may say that he is gone; without a name, all of
// it would be.
func refusal(a egress.Answer, named bool) *provider.Error {
	e := provider.OfStatus(a.Status, a.RetryAfter)
	e.Code = strconv.Itoa(a.Status)
	e.Text = fmt.Sprintf("the receiver answered %d %s", a.Status, http.StatusText(a.Status))
	switch {
	case a.Status == http.StatusGone && named:
		e.Kind, e.Text, e.Remedy = provider.Unregistered, "the receiver knows this address no more", ""
	case a.Status/100 == 3:
		e.Remedy = "Change the url of the credential: redirects are not followed."
	case e.Kind == provider.Unauthorized:
		e.Remedy = "Compare secret and headers of the credential with those of the receiver."
	case e.Kind == provider.Rejected:
		e.Remedy = "Look in the receiver's own log, and at the url of the credential."
	}
	return e
}

// Check posts {"type":"verify"}, signed as all is, to which a receiver that is
// good answers 200 to 299.
func (p *Provider) Check(ctx context.Context) error {
	now := p.now()
	return p.post(ctx, fmt.Sprintf("verify_%d", now.UnixNano()), body{Type: "verify", Timestamp: now.UTC().Truncate(time.Millisecond)}, false)
}
