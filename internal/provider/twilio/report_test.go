package twilio_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/twilio"
)

func ask(p provider.Provider, method, signature, kind, body string) (int, []provider.Report, error) {
	r := httptest.NewRequest(method, "/somewhere/behind/a/proxy", strings.NewReader(body))
	r.Header.Set("X-Twilio-Signature", signature)
	r.Header.Set("Content-Type", kind)
	rec := httptest.NewRecorder()
	rec.Code = 0
	list, err := p.(provider.Reporter).Reports(rec, r)
	return rec.Code, list, err
}

const formKind = "application/x-www-form-urlencoded"

func TestReports(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t)
	for _, tt := range []struct {
		status, code string
		state        herald.DeliveryState
		kind         provider.Kind
	}{
		{"delivered", "", herald.StateReceived, ""}, {"read", "", herald.StateDisplayed, ""}, {"undelivered", "30005", "", provider.Unregistered}, {"failed", "30007", "", provider.Rejected},
		{"failed", "21610", "", provider.Rejected}, {"undelivered", "39999", "", provider.Rejected}, {"undelivered", "", "", provider.Rejected}, {"canceled", "", "", provider.Rejected},
		{"queued", "", "none", ""}, {"sent", "", "none", ""}, {"new word", "", "none", ""},
	} {
		header, body := w.twilio.Report(callback, "SM7", here, tt.status, tt.code)
		code, list, err := ask(p, http.MethodPost, header.Get("X-Twilio-Signature"), formKind+"; charset=UTF-8", string(body))
		if err != nil || code != http.StatusNoContent || len(list) != 1 && tt.state != "none" || len(list) != 0 && tt.state == "none" {
			t.Errorf("%+v: %d %+v %v", tt, code, list, err)
			continue
		}
		if tt.state == "none" {
			continue
		}
		r := list[0]
		if r.Reference != "SM7" || r.State != tt.state || !r.Time.Equal(noon()) || (r.Err == nil) != (tt.kind == "") || r.Err != nil && (r.Err.Kind != tt.kind || r.Err.Text == "" || tt.code != "" && r.Err.Code != tt.code) {
			t.Errorf("%+v: %+v", tt, r)
		}
	}
}

// TestFalseReports: what is not signed by the account says nothing.
func TestFalseReports(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t)
	header, b := w.twilio.Report(callback, "SM7", here, "delivered", "")
	body, good := string(b), header.Get("X-Twilio-Signature")
	for name, tt := range map[string]struct{ method, signature, kind, body string }{
		"no signature": {http.MethodPost, "", formKind, body}, "another": {http.MethodPost, "x" + good[1:], formKind, body}, "another body": {http.MethodPost, good, formKind, body + "&ErrorCode=1"},
		"repeated field": {http.MethodPost, good, formKind, body + "&MessageSid=SM8"}, "GET": {http.MethodGet, good, formKind, body}, "JSON": {http.MethodPost, good, "application/json", body}, "no form": {http.MethodPost, good, formKind, "%zz"},
		"too large": {http.MethodPost, good, formKind, body + "&x=" + strings.Repeat("x", 70_000)}, "empty": {http.MethodPost, good, formKind, ""},
	} {
		code, list, err := ask(p, tt.method, tt.signature, tt.kind, tt.body)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Unauthorized || code != 0 || len(list) != 0 {
			t.Errorf("%s: %d %+v %v", name, code, list, err)
		}
	}
	if _, _, err := ask(w.provider(t, "callback", ""), http.MethodPost, good, formKind, body); provider.KindOf(err) != provider.Unauthorized || err == nil {
		t.Errorf("without a callback: %v", err)
	}
	// Signed, but of no message or of another account.
	for _, form := range []url.Values{{"MessageStatus": {"delivered"}}, {"MessageSid": {"SM7"}, "MessageStatus": {"delivered"}, "AccountSid": {"AC1"}}} {
		if code, list, err := ask(p, http.MethodPost, twilio.Sign(token, callback, form), formKind, form.Encode()); err != nil || code != http.StatusNoContent || len(list) != 0 {
			t.Errorf("%v: %d %+v %v", form, code, list, err)
		}
	}
}

// TestSignature has the example of Twilio's documentation on request validation.
func TestSignature(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	const address, want = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	if got := twilio.Sign("12345", address, form); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	if !twilio.Signed("12345", want, "https://mycompany.com:443/myapp.php?foo=1&bar=2", form) {
		t.Error("a port changes it")
	}
}

func FuzzReports(f *testing.F) {
	f.Add("https://x.example/a", "MessageSid=1&MessageStatus=failed&ErrorCode=30005")
	f.Add("x", "%zz")
	f.Add("http://[::1]:80?#", "a=1&a=2;b")
	f.Fuzz(func(t *testing.T, address, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		if s := twilio.Sign("k", address, form); twilio.Signed("l", s, address, form) || twilio.Signed("k", s[1:], address, form) {
			t.Error("another token or signature is taken")
		}
	})
}
