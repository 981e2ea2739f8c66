package webpush

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
)

const (
	// maxTTL is four weeks, the longest time that all services keep a message.
	maxTTL = 28 * 24 * time.Hour
	// maxTopic is the longest Topic (RFC 8030, section 5.4).
	maxTopic = 32
	// timeFormat is that of all times in frames.
	timeFormat = "2006-01-02T15:04:05.000Z"
)

// urgencies are those of RFC 8030, section 5.3.
var urgencies = []string{"very-low", "low", "normal", "high"}

var topicForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// options are what a sender may say for browsers beside the content.
type options struct {
	Urgency string `json:"urgency"`
	TTL     *int64 `json:"ttl"` // seconds, if that is less than what is left of the message's
	Topic   string `json:"topic"`
}

func readOptions(raw json.RawMessage) (o options, err error) {
	if len(raw) == 0 {
		return o, nil
	}
	bad := func(remedy, format string, args ...any) (options, error) {
		return options{}, provider.Errorf(provider.Rejected, "", remedy, format, args...)
	}
	if err := strict.Decode(raw, &o); err != nil {
		return bad("Use urgency, ttl and topic.", "the options for webpush cannot be read: %v", err)
	}
	switch {
	case o.Urgency != "" && !slices.Contains(urgencies, o.Urgency):
		return bad("Use very-low, low, normal or high.", "%.40q is no urgency", o.Urgency)
	case o.TTL != nil && *o.TTL < 0:
		return bad("Write seconds; 0 is now or never.", "the ttl %d is negative", *o.TTL)
	case o.Topic != "" && !topicForm.MatchString(o.Topic):
		return bad("Use at most 32 letters, digits, - and _.", "%.40q is no topic of Web Push", o.Topic)
	}
	return o, nil
}

// header makes what the push service is told of a message.
func (o *options) header(m *provider.Message, now time.Time) http.Header {
	ttl := int64(min(m.TTL(now), maxTTL) / time.Second)
	if o.TTL != nil {
		ttl = min(ttl, *o.TTL)
	}
	urgency := string(cmp.Or(m.Priority, herald.PriorityNormal)) // the words are the same
	return http.Header{
		"Ttl": {strconv.FormatInt(ttl, 10)}, "Urgency": {cmp.Or(o.Urgency, urgency)},
		"Topic": {cmp.Or(o.Topic, provider.CollapseName(m, maxTopic))},
	}
}

// frame is a message as live connections have it, without a cursor.
type frame struct {
	Type         string               `json:"type"`
	ID           herald.MessageID     `json:"id"`
	Time         string               `json:"time"`
	Expires      string               `json:"expires"`
	Priority     herald.Priority      `json:"priority"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	CollapseKey  string               `json:"collapse_key,omitempty"`
}

// payload makes the text for the service worker. A body that is too long is
// shortened.
func payload(m *provider.Message) (text []byte, shortened bool, err error) {
	made := m.ID.Time()
	expires := m.Expires
	if expires.IsZero() {
		expires = made
	}
	f := frame{
		Type: "message", ID: m.ID, Time: made.UTC().Format(timeFormat), Expires: expires.UTC().Format(timeFormat),
		Priority: cmp.Or(m.Priority, herald.PriorityNormal), Data: m.Content.Data, CollapseKey: m.CollapseKey,
	}
	body := ""
	if n := m.Content.Notification; n != nil {
		own := *n
		f.Notification, body = &own, n.Body
	}
	return provider.Fit(body, maxPayload, func(s string) ([]byte, error) {
		if f.Notification != nil {
			f.Notification.Body = s
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(f); err != nil {
			return nil, provider.Errorf(provider.Rejected, "", "Look at the data of the message.", "the message cannot be written as JSON: %v", err)
		}
		return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
	})
}
