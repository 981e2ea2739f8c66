package twilio

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
)

// options are what a sender may say for Twilio beside the content.
type options struct {
	Text string `json:"text"` // in place of title and body
	// From and MessagingServiceSID are in place of the credential's.
	From                string   `json:"from"`
	MessagingServiceSID string   `json:"messaging_service_sid"`
	MediaURL            []string `json:"media_url"` // pictures of an MMS, at most 10
	// SmartEncoded has Twilio replace typographic signs, so that a text needs no
	// Unicode.
	SmartEncoded *bool `json:"smart_encoded"`
}

func readOptions(raw json.RawMessage) (o options, err error) {
	const remedy = "Look at what the message says for twilio."
	if len(raw) == 0 {
		return o, nil
	}
	if err := strict.Decode(raw, &o); err != nil {
		return o, provider.Errorf(provider.Rejected, "", remedy, "the options for twilio cannot be read: %v", err)
	}
	if o.From != "" && o.MessagingServiceSID != "" {
		return o, provider.Errorf(provider.Rejected, "", "Give one of from and messaging_service_sid.", "the message has two senders")
	}
	if len(o.MediaURL) > 10 {
		return o, provider.Errorf(provider.Rejected, "", "Send at most 10 pictures.", "the message has %d pictures", len(o.MediaURL))
	}
	return o, nil
}

const (
	// maxText is how long a text may be, in characters.
	maxText = 1600
	// maxValidity is the longest that Twilio tries.
	maxValidity = 36_000 * time.Second
	// minValidity is the shortest that is of use: it counts from when Twilio has
	// the message.
	minValidity = 5 * time.Second
)

func (p *Provider) form(to string, m *provider.Message, o *options) (_ url.Values, shortened bool, err error) {
	text, shortened := fit(words(m, o))
	if text == "" && len(o.MediaURL) == 0 {
		return nil, false, provider.Errorf(provider.Rejected, "", "Give the message a notification, or text for twilio.", "the message has nothing to read")
	}
	v := url.Values{"To": {to}}
	from, service := o.From, o.MessagingServiceSID
	if from == "" && service == "" {
		from, service = p.from, p.service
	}
	for name, value := range map[string]string{"From": from, "MessagingServiceSid": service, "Body": text, "StatusCallback": p.callback} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if len(o.MediaURL) > 0 {
		v["MediaUrl"] = o.MediaURL
	}
	if o.SmartEncoded != nil {
		v.Set("SmartEncoded", strconv.FormatBool(*o.SmartEncoded))
	}
	if ttl := max(m.TTL(p.now()), minValidity); ttl < maxValidity {
		v.Set("ValidityPeriod", strconv.Itoa(int(ttl/time.Second)))
	}
	return v, shortened, nil
}

// words is the text of a message: that of the options, else title and body.
func words(m *provider.Message, o *options) string {
	n := m.Content.Notification
	if o.Text != "" || n == nil {
		return o.Text
	}
	return strings.TrimSpace(n.Title + " " + n.Body)
}

// fit cuts a text that is too long, between characters. Its mark is three dots:
// an ellipsis would make Unicode of a text that needs none, and so more parts.
func fit(text string) (string, bool) {
	const mark = "..."
	units, cut := 0, 0
	for i, r := range text {
		// Twilio counts as JavaScript does where it counts more.
		if units += utf16.RuneLen(r); units <= maxText-len(mark) {
			cut = i + len(string(r))
		}
	}
	if units <= maxText {
		return text, false
	}
	return text[:cut] + mark, true
}
