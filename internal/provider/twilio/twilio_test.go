package twilio_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/provider/twilio"
	"github.com/herald-push/herald/internal/sim"
	simtwilio "github.com/herald-push/herald/internal/sim/twilio"
)

const (
	account  = "AC00112233445566778899aabbccddeeff"
	service  = "MG00112233445566778899aabbccddeeff"
	token    = "the-auth-token-of-the-account"
	secret   = "the-secret-of-the-key"
	key      = "SK00112233445566778899aabbccddeeff"
	from     = "+15550001000"
	here     = "+8613912345678"
	gone     = "+8613900000000"
	callback = "https://push.example.com/v1/reports/twilio?c=1"
)

type world struct {
	twilio *simtwilio.Service
	providertest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{twilio: simtwilio.New(simtwilio.Config{Account: account, Token: token, Keys: map[string]string{key: secret}, From: from, Service: service})}
	w.twilio.Remove(gone, 21614)
	w.Server = providertest.Serve(t, w.twilio)
	return w
}

// values is a good credential, with changes.
func (w *world) values(changes ...string) map[string]string {
	out := map[string]string{"account_sid": account, "auth_token": token, "from": from, "callback": callback, "url": w.URL}
	for i := 0; i < len(changes); i += 2 {
		if out[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(out, changes[i])
		}
	}
	return out
}

func (w *world) provider(t *testing.T, changes ...string) provider.Provider {
	t.Helper()
	return w.Open(t, twilio.New, w.values(changes...), noon)
}

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func message(title, body string) *provider.Message {
	return &provider.Message{ID: 7, Expires: noon().Add(time.Hour), Content: herald.Content{Notification: &herald.Notification{Title: title, Body: body}}}
}

func TestProvider(t *testing.T) {
	for name, tt := range map[string]struct{ good, wrong []string }{
		"auth token": {nil, []string{"auth_token", "another-token"}},
		"key": {
			[]string{"api_key", key, "api_secret", secret, "from", "", "messaging_service_sid", service},
			[]string{"api_key", key, "api_secret", "another-token", "from", "", "messaging_service_sid", service},
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) *providertest.Vendor {
				w := newWorld(t)
				return &providertest.Vendor{
					Driver: twilio.Driver(), Good: w.values(tt.good...), Wrong: w.values(tt.wrong...),
					Egress: w.Egress(), Desk: w.Desk, Here: provider.Address{Token: here}, Gone: provider.Address{Token: gone}, BadOptions: `{"text":7}`,
					Secrets: []string{token, secret, "another-token", base64.StdEncoding.EncodeToString([]byte(account + ":" + token)), base64.StdEncoding.EncodeToString([]byte(key + ":" + secret))},
					Shown: func() (out []providertest.Shown) {
						for _, m := range w.twilio.Taken() {
							title, body, _ := strings.Cut(m.Body, " ")
							out = append(out, providertest.Shown{Title: title, Body: body})
						}
						return out
					},
				}
			})
		})
	}
}

func TestMessage(t *testing.T) {
	n := &herald.Notification{Title: "Code", Body: "1234"}
	for name, tt := range map[string]struct {
		n       *herald.Notification
		ttl     time.Duration
		options string
		changes []string
		want    string
		parts   int
	}{
		"number":       {n, time.Hour, "", nil, "Body=Code+1234&From=%2B15550001000&StatusCallback=" + url.QueryEscape(callback) + "&To=%2B8613912345678&ValidityPeriod=3600", 1},
		"service":      {n, time.Hour, "", []string{"from", "", "messaging_service_sid", service, "callback", ""}, "Body=Code+1234&MessagingServiceSid=" + service + "&To=%2B8613912345678&ValidityPeriod=3600", 0},
		"now or never": {n, 0, "", []string{"callback", ""}, "Body=Code+1234&From=%2B15550001000&To=%2B8613912345678&ValidityPeriod=5", 1},
		"long":         {&herald.Notification{Body: "验证码" + strings.Repeat("x", 68)}, 24 * time.Hour, "", []string{"callback", ""}, "Body=%E9%AA%8C%E8%AF%81%E7%A0%81" + strings.Repeat("x", 68) + "&From=%2B15550001000&To=%2B8613912345678", 2},
		"options": {nil, 24 * time.Hour, `{"text":"T","media_url":["https://example.com/a.png"],"smart_encoded":true,"messaging_service_sid":"` + service + `"}`, []string{"callback", ""},
			"Body=T&MediaUrl=https%3A%2F%2Fexample.com%2Fa.png&MessagingServiceSid=" + service + "&SmartEncoded=true&To=%2B8613912345678", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := message("", "")
			m.Content.Notification, m.Expires, m.Options = tt.n, noon().Add(tt.ttl), json.RawMessage(tt.options)
			r, err := w.provider(t, tt.changes...).Send(t.Context(), provider.Address{Token: here}, m)
			if err != nil || !strings.HasPrefix(r.Reference, "SM") || r.Parts != tt.parts || r.Shortened {
				t.Fatalf("%+v, %v", r, err)
			}
			if got := w.twilio.Taken()[0].Form.Encode(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t)
	for name, tt := range map[string]struct {
		to, options string
		want        provider.Kind
	}{
		"no country": {"13912345678", "", provider.Unregistered}, "letters": {"+86abc", "", provider.Unregistered}, "empty": {"", "", provider.Unregistered},
		"unknown option": {here, `{"To":"+15550001000"}`, provider.Rejected}, "two senders": {here, `{"from":"a","messaging_service_sid":"b"}`, provider.Rejected},
		"pictures": {here, `{"media_url":["1","2","3","4","5","6","7","8","9","10","11"]}`, provider.Rejected},
	} {
		m := message("t", "b")
		m.Options = json.RawMessage(tt.options)
		_, err := p.Send(t.Context(), provider.Address{Token: tt.to}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}); provider.KindOf(err) != provider.Rejected {
		t.Errorf("data only: %v", err)
	}
	if calls := w.Desk.Calls(); len(calls) != 0 {
		t.Errorf("%d calls were made", len(calls))
	}
}

// TestLongText: it is cut between characters, and says so.
func TestLongText(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t)
	for name, tt := range map[string]struct {
		text, want string
	}{
		"fits":        {strings.Repeat("x", 1600), strings.Repeat("x", 1600)},
		"plain":       {strings.Repeat("x", 1601), strings.Repeat("x", 1597) + "..."},
		"emoji":       {strings.Repeat("🚚", 801), strings.Repeat("🚚", 798) + "..."},
		"emoji, fits": {strings.Repeat("🚚", 800), strings.Repeat("🚚", 800)},
	} {
		r, err := p.Send(t.Context(), provider.Address{Token: here}, message("", tt.text))
		if err != nil || r.Shortened != (tt.text != tt.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if got := w.twilio.Taken(); len(got) != 1 || got[0].Body != tt.want {
			t.Errorf("%s: taken %.100q", name, got)
		}
	}
}

// TestCodes: each documented error is one of the six kinds.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t)
	for _, tt := range []struct {
		status, code int
		want         provider.Kind
	}{
		{401, 20003, provider.Unauthorized}, {404, 20404, provider.Unauthorized}, {403, 20005, provider.Unauthorized}, {400, 21606, provider.Unauthorized}, {404, 21701, provider.Unauthorized}, {400, 21609, provider.Unauthorized},
		{429, 20429, provider.Throttled}, {400, 21611, provider.Throttled}, {400, 21211, provider.Unregistered}, {400, 21614, provider.Unregistered}, {400, 21610, provider.Rejected}, {400, 21408, provider.Rejected},
		{400, 21608, provider.Rejected}, {400, 21617, provider.TooLarge}, {500, 20500, provider.Unavailable}, {400, 29999, provider.Rejected}, {503, 29999, provider.Unavailable}, {429, 29999, provider.Throttled},
	} {
		b, _ := json.Marshal(map[string]any{"status": tt.status, "code": tt.code, "message": strings.Repeat("said \x00", 100)})
		w.Desk.Fail(sim.Fault{Status: tt.status, Body: string(b), RetryAfter: 3 * time.Second})
		_, err := p.Send(t.Context(), provider.Address{Token: here}, message("a", "b"))
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != itoa(tt.code) || e.RetryAfter != 3*time.Second || !strings.Contains(e.Text, "said") || len(e.Error()) > 1000 {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	w.Desk.Fail(sim.Fault{Status: 201, Body: `{"sid":"SM1","status":"failed","error_code":30006,"error_message":"Landline"}`}, sim.Fault{Status: 201, Body: `{`})
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, message("a", "b")); provider.KindOf(err) != provider.Unregistered {
		t.Errorf("failed at once: %v", err)
	}
	if r, err := p.Send(t.Context(), provider.Address{Token: here}, message("a", "b")); err != nil || r.Reference != "" {
		t.Errorf("taken, and garbage said: %+v, %v", r, err)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		changes []string
		field   string
	}{
		"account": {[]string{"account_sid", "AC1"}, "account_sid"}, "a path": {[]string{"account_sid", "../x"}, "account_sid"}, "no token": {[]string{"auth_token", ""}, "auth_token"}, "half a key": {[]string{"api_key", key}, "api_secret"},
		"no sender": {[]string{"from", ""}, "from"}, "two senders": {[]string{"messaging_service_sid", service}, "from"}, "service": {[]string{"from", "", "messaging_service_sid", "x"}, "messaging_service_sid"},
		"callback": {[]string{"callback", "push.example.com"}, "callback"}, "callback with a quote": {[]string{"callback", "https://x.example/'"}, "callback"}, "callback with a user": {[]string{"callback", "https://u@x.example/"}, "callback"},
		"callback with a blank": {[]string{"callback", "https://x.example/ "}, "callback"}, "url": {[]string{"url", "https://10.0.0.1"}, "url"}, "unknown": {[]string{"x", "y"}, "x"},
	} {
		_, err := twilio.New(provider.Config{Values: w.values(tt.changes...), Egress: w.Egress()})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" || strings.Contains(e.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := twilio.New(provider.Config{Values: w.values(), Egress: egress.Config{Ports: []string{"x"}}}); err == nil {
		t.Error("a bad configuration is accepted")
	}
	p, err := twilio.New(provider.Config{Values: w.values("url", "")})
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	// With a key that is good, the auth token is tried all the same.
	if err := w.provider(t, "api_key", key, "api_secret", secret, "auth_token", "another").(provider.Checker).Check(t.Context()); provider.KindOf(err) != provider.Unauthorized {
		t.Errorf("a wrong auth token beside a good key: %v", err)
	}
}
