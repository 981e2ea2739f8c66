// Package dingtalk sends to chat rooms of DingTalk by their custom robots. A
// credential is a room; an address says whom to mention there.
//
// A room shows every copy of a message: what may have arrived is not to be sent
// again. It takes 20 messages a minute and then none for ten, so that the driver
// asks for fewer, and several become one (Digest) as that nears.
package dingtalk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

const (
	sendURL = "https://oapi.dingtalk.com"
	// maxBody is how large a request may be, in bytes.
	maxBody = 20_000
	// silence is how long the vendor takes nothing after too much.
	silence = 10 * time.Minute
	// The vendor takes 20 a minute, by its own clock.
	perMinute = 18
)

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorDingTalk, New: New, Rate: &provider.Rate{Calls: perMinute, Per: time.Minute, Digest: true},
		Fields: []provider.Field{
			{Name: "access_token", Secret: true, Needed: true, Help: "What follows access_token= in the address of the robot."},
			{Name: "secret", Secret: true, Help: "The robot's secret, SEC…, if its security settings have a signature."},
			{Name: "keyword", Help: "One of the robot's keywords, if its security settings have some: added to a text that lacks it."},
			{Name: "url", Help: "Another address than the vendor's, for tests."},
		},
	}
}

// Provider sends to one room.
type Provider struct {
	url, token, secret, keyword string
	client                      *egress.Client
	now                         func() time.Time
}

var tokens = regexp.MustCompile(`^[0-9A-Za-z_-]{8,256}$`)

// maxKeyword is how long a keyword may be, in bytes; the vendor takes 10 letters.
const maxKeyword = 200

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d := Driver()
	if err := d.Check(c.Values); err != nil {
		return nil, err
	}
	p := &Provider{url: c.Values["url"], token: c.Values["access_token"], secret: c.Values["secret"], keyword: c.Values["keyword"], now: c.Clock()}
	if !tokens.MatchString(p.token) {
		return nil, herald.Invalid("access_token", "Give only what follows access_token= in the robot's address.", "it is not the token of a robot")
	}
	if p.secret != "" && !strings.HasPrefix(p.secret, "SEC") {
		return nil, herald.Invalid("secret", "Copy it from the robot's security settings, below the signature; leave it out if there is none.", "it does not begin with SEC")
	}
	if len(p.keyword) > maxKeyword || strings.ContainsAny(p.keyword, "\r\n") {
		return nil, herald.Invalid("keyword", "Give one of the robot's keywords.", "it is longer than %d bytes, or has several lines", maxKeyword)
	}
	if p.url == "" {
		p.url = sendURL
	}
	c.Egress.Timeout, c.Egress.MaxBody = provider.SendTimeout, 16<<10
	var err error
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if _, err := p.client.Check(p.url); err != nil {
		return nil, herald.Invalid("url", "Use an address that may be called.", "%.100q: %v", p.url, err)
	}
	p.url = strings.TrimSuffix(p.url, "/") + "/robot/send?access_token=" + p.token
	return p, nil
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Send has the robot say a message in its room.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return provider.Result{}, err
	}
	mobiles, err := readAddress(to.Token)
	if err != nil {
		return provider.Result{}, err
	}
	body, shortened, err := p.request(o, m, o.At.with(mobiles))
	if err != nil {
		return provider.Result{}, err
	}
	if err := p.call(ctx, body); err != nil {
		return provider.Result{}, err
	}
	return provider.Result{Shortened: shortened || m.Shortened}, nil
}

// call posts a message. The error is an *Error.
func (p *Provider) call(ctx context.Context, body []byte) error {
	at, address, signature := p.now(), p.url, ""
	if p.secret != "" {
		stamp := strconv.FormatInt(at.UnixMilli(), 10)
		signature = sign(p.secret, stamp)
		address += "&timestamp=" + stamp + "&sign=" + url.QueryEscape(signature)
	}
	a, err := provider.Call(ctx, p.client, egress.Request{
		Method: http.MethodPost, URL: address, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: body,
	}, p.token, p.secret, signature)
	if err != nil {
		return err
	}
	if e := p.refusal(a); e != nil {
		return e
	}
	return nil
}

// sign makes the signature of a moment, in milliseconds.
func sign(secret, stamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Check has the vendor judge a message of a kind that does not exist, which it
// cannot show: a good credential is told about the kind. The vendor does not
// document that it judges the signature before it.
func (p *Provider) Check(ctx context.Context) error {
	body, err := encode(map[string]any{"msgtype": "verify", "text": text{Content: p.keyword}})
	if err != nil {
		return err
	}
	err = p.call(ctx, body)
	var e *provider.Error
	switch {
	case err == nil || !errors.As(err, &e):
		return err
	case e.Code == badKind || e.Code == badRequest:
		return nil
	case e.Code == insecure && e.Text == noKeyword:
		if p.keyword != "" {
			return nil // of a kind that it does not know it may have read no text
		}
		e.Kind = provider.Unauthorized
	}
	return e
}
