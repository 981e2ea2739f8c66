package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's scheme, as HMAC
	"crypto/subtle"
	"encoding/base64"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// maxReport is how large a report may be, in bytes.
const maxReport = 64 << 10

// Reports reads what Twilio says of a message at the callback.
func (p *Provider) Reports(w http.ResponseWriter, r *http.Request) ([]provider.Report, error) {
	refuse := func(why string) ([]provider.Report, error) {
		return nil, provider.Errorf(provider.Unauthorized, "", "Check that callback and auth_token are as in Twilio's console.", "%s", why)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReport+1))
	if err != nil || len(body) > maxReport || r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		return refuse("the call is no form")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return refuse("the form cannot be read")
	}
	if p.callback == "" || !Signed(p.token, r.Header.Get("X-Twilio-Signature"), p.callback, form) {
		return refuse("the signature is not that of the account")
	}
	list := p.read(form)
	w.WriteHeader(http.StatusNoContent)
	return list, nil
}

func (p *Provider) read(form url.Values) []provider.Report {
	report := provider.Report{Reference: form.Get("MessageSid"), Time: p.now()}
	if report.Reference == "" || form.Get("AccountSid") != "" && form.Get("AccountSid") != p.account {
		return nil
	}
	switch form.Get("MessageStatus") {
	case "delivered":
		report.State = herald.StateReceived
	case "read":
		report.State = herald.StateDisplayed
	case "undelivered", "failed":
		code, _ := strconv.Atoi(form.Get("ErrorCode"))
		report.Err = of(code, form.Get("ErrorMessage"))
		if code == 0 {
			report.Err.Code = ""
		}
	case "canceled":
		report.Err = &provider.Error{Kind: provider.Rejected, Code: "canceled", Text: "the message was cancelled at Twilio"}
	default: // queued, sending, sent: nothing new
		return nil
	}
	return []provider.Report{report}
}

// Signed tells whether Twilio signed a call: an HMAC over the address and the
// fields of the form, sorted by name. It signs the address with or without the
// port that the scheme has by itself, and it is not known which.
func Signed(token, signature, address string, form url.Values) bool {
	good := 0
	for _, candidate := range []string{withoutPort(address), withPort(address)} {
		good |= subtle.ConstantTimeCompare([]byte(signature), []byte(Sign(token, candidate, form)))
	}
	return good == 1
}

// Sign makes the signature of a call.
func Sign(token, address string, form url.Values) string {
	h := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(h, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		// A field with several values has each value once, sorted.
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			_, _ = io.WriteString(h, name+value)
		}
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// split gives the address before its port, the port with its colon, and what
// follows. It does not parse: the signature is over the letters as they are.
func split(address string) (before, port, after string) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address, "", ""
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, after := rest[:end], rest[end:]
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i:]
	}
	return scheme + "://" + host, port, after
}

func withoutPort(address string) string {
	before, _, after := split(address)
	return before + after
}

func withPort(address string) string {
	before, port, after := split(address)
	switch {
	case port != "":
	case strings.HasPrefix(strings.ToLower(address), "https:"):
		port = ":443"
	default:
		port = ":80"
	}
	return before + port + after
}
