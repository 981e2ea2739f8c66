// Package twilio sends SMS through Twilio's Messages API, and takes in what
// Twilio says later of each.
//
// A message that is sent twice is shown twice: the API knows no way to tell it
// that it is the same.
package twilio

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

// Where Twilio listens.
const apiURL = "https://api.twilio.com"

// Driver describes the provider.
func Driver() provider.Driver {
	return provider.Driver{
		Name: herald.VendorTwilio, New: New,
		Fields: []provider.Field{
			{Name: "account_sid", Needed: true, Help: "The account's SID, which begins with AC."},
			{Name: "auth_token", Secret: true, Needed: true, Help: "The account's auth token; Twilio signs its reports with it."},
			{Name: "api_key", Help: "SID of an API key (SK…), to send with that in place of the auth token."},
			{Name: "api_secret", Secret: true, Help: "The secret of the API key."},
			{Name: "from", Help: "The number, short code or name to send from; or give messaging_service_sid."},
			{Name: "messaging_service_sid", Help: "A messaging service (MG…) that chooses the number to send from."},
			{Name: "callback", Help: "Public address at which Twilio reports what became of a message, https://HOST/callbacks/APP/CREDENTIAL with the ID that the credential has got; empty for no reports."},
			{Name: "url", Help: "Another address than Twilio's, for tests."},
		},
	}
}

// Provider sends as one account of Twilio.
type Provider struct {
	account, token string
	authorization  string
	from, service  string
	callback       string
	base           string
	client         *egress.Client
	now            func() time.Time
}

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	serviceSID = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	number     = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // E.164
)

// New makes a provider out of a credential: see Driver.
func New(c provider.Config) (provider.Provider, error) {
	d, v := Driver(), c.Values
	if err := d.Check(v); err != nil {
		return nil, err
	}
	p := &Provider{account: v["account_sid"], token: v["auth_token"], from: v["from"], service: v["messaging_service_sid"], callback: v["callback"], base: strings.TrimSuffix(v["url"], "/"), now: c.Clock()}
	switch {
	case !accountSID.MatchString(p.account):
		return nil, herald.Invalid("account_sid", "Copy it from the console: AC and 32 hexadecimal digits.", "%.40q is no SID of an account", p.account)
	case (v["api_key"] == "") != (v["api_secret"] == ""):
		return nil, herald.Invalid("api_secret", "Give both, or neither.", "an API key and its secret belong together")
	case (p.from == "") == (p.service == ""):
		return nil, herald.Invalid("from", "Give one of from and messaging_service_sid.", "there is no sender, or there are two")
	case p.service != "" && !serviceSID.MatchString(p.service):
		return nil, herald.Invalid("messaging_service_sid", "Copy it from the console: MG and 32 hexadecimal digits.", "%.40q is no SID of a messaging service", p.service)
	}
	p.authorization = basic(p.account, p.token)
	if v["api_key"] != "" {
		p.authorization = basic(v["api_key"], v["api_secret"])
	}
	if err := checkCallback(p.callback); err != nil {
		return nil, err
	}
	if p.base == "" {
		p.base = apiURL
	}
	c.Egress.Timeout, c.Egress.MaxBody = provider.SendTimeout, 64<<10
	var err error
	if p.client, err = egress.New(c.Egress); err != nil {
		return nil, err
	}
	if _, err := p.client.Check(p.base); err != nil {
		return nil, herald.Invalid("url", "Use an address that may be called.", "%.100q: %v", p.base, err)
	}
	p.base += "/2010-04-01/Accounts/" + p.account + "/Messages.json"
	return p, nil
}

// checkCallback looks at an address that Twilio calls, and signs as it is given.
func checkCallback(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	plain := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\'"#`, r) }) < 0
	if err != nil || !plain || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return herald.Invalid("callback", "Write it as https://host/path, as Twilio reaches it.", "%.100q is no address that Twilio can call", text)
	}
	return nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Close lets go of connections.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Send hands a text for one telephone to Twilio.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	if !number.MatchString(to.Token) {
		return provider.Result{}, provider.Errorf(provider.Unregistered, "", "Register the number with its country, such as +8613912345678.", "%.40q is no telephone number in the form of E.164", to.Token)
	}
	o, err := readOptions(m.Options)
	if err != nil {
		return provider.Result{}, err
	}
	form, shortened, err := p.form(to.Token, m, &o)
	if err != nil {
		return provider.Result{}, err
	}
	a, err := p.call(ctx, http.MethodPost, p.base, p.authorization, form)
	if err != nil {
		return provider.Result{}, err
	}
	var said struct {
		SID      string `json:"sid"`
		Status   string `json:"status"`
		Segments string `json:"num_segments"`
		Code     *int   `json:"error_code"`
		Text     string `json:"error_message"`
	}
	_ = json.Unmarshal(a.Body, &said) // it was taken, whatever else is said
	if said.Code != nil && (said.Status == "failed" || said.Status == "undelivered") {
		return provider.Result{}, of(*said.Code, said.Text)
	}
	// With a messaging service it is 0 until that has chosen a number.
	parts, _ := strconv.Atoi(said.Segments)
	return provider.Result{Reference: said.SID, Shortened: shortened, Parts: max(0, parts)}, nil
}

// call asks Twilio; an answer that is none of success is an error.
func (p *Provider) call(ctx context.Context, method, address, authorization string, form url.Values) (egress.Answer, error) {
	r := egress.Request{Method: method, URL: address, Header: http.Header{"Authorization": {authorization}, "Accept": {"application/json"}}}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = []byte(form.Encode())
	}
	a, err := provider.Call(ctx, p.client, r)
	if err != nil || a.Status/100 == 2 {
		return a, err
	}
	return a, refusal(a)
}

// Check asks for the last message, which Twilio authenticates: with what sends,
// and with the auth token, by which reports are known.
func (p *Provider) Check(ctx context.Context) error {
	for i, authorization := range []string{p.authorization, basic(p.account, p.token)} {
		if i > 0 && authorization == p.authorization {
			break
		}
		if _, err := p.call(ctx, http.MethodGet, p.base+"?PageSize=1", authorization, nil); err != nil {
			return err
		}
	}
	return nil
}
