package fcm

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// maxPayload is how large notification and data may be together, in bytes.
const maxPayload = 4096

// maxTTL is the longest time that Google keeps a message.
const maxTTL = 28 * 24 * time.Hour

// options are what a sender may say for Google beside the content.
type options struct {
	Priority string `json:"priority"` // normal or high
	// Android, Notification, Webpush and Options are merged into the parts of the
	// message of these names; Notification is that of Android.
	Android      map[string]any `json:"android"`
	Notification map[string]any `json:"notification"`
	Webpush      map[string]any `json:"webpush"`
	FCMOptions   map[string]any `json:"fcm_options"`
	// DataOnly leaves the showing to the app.
	DataOnly bool `json:"data_only"`
}

func readOptions(raw json.RawMessage) (o options, err error) {
	if len(raw) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return o, provider.Errorf(provider.Rejected, "", "Look at what the message says for fcm.", "the options for fcm cannot be read: %v", err)
	}
	if o.Priority != "" && o.Priority != "normal" && o.Priority != "high" {
		return o, provider.Errorf(provider.Rejected, "", "Use normal or high.", "%.40q is no priority of fcm", o.Priority)
	}
	return o, nil
}

// request makes the body of a call. A text that is too long is shortened; a title
// is not.
func (o *options) request(m *provider.Message, token string, try bool, now time.Time) (body []byte, shortened bool, err error) {
	text := ""
	if n := m.Content.Notification; n != nil {
		text = n.Body
	}
	// The limit is one on what the device gets, not on the call.
	var data map[string]string
	var notification map[string]any
	_, shortened, err = provider.Fit(text, maxPayload, func(s string) ([]byte, error) {
		d, n := o.data(m, s), o.shown(m, s)
		b, err := json.Marshal([]any{d, n})
		if len(b) <= maxPayload { // the last that fits is the longest
			data, notification = d, n
		}
		return b, err
	})
	if err != nil {
		return nil, false, err
	}
	body, err = json.Marshal(map[string]any{"validate_only": try, "message": o.message(m, token, data, notification, now)})
	return body, shortened, err
}

func (o *options) message(m *provider.Message, token string, data map[string]string, notification map[string]any, now time.Time) map[string]any {
	android := map[string]any{"priority": o.priority(m), "ttl": strconv.FormatInt(int64(min(m.TTL(now), maxTTL)/time.Second), 10) + "s"}
	if m.CollapseKey != "" {
		android["collapse_key"] = provider.CollapseName(m, 64)
	}
	own := o.android(m)
	if len(own) > 0 && notification != nil {
		android["notification"] = own
	}
	for name, v := range o.Android {
		android[name] = v
	}
	out := map[string]any{"token": token, "data": data, "android": android}
	if notification != nil {
		out["notification"] = notification
	}
	if len(o.Webpush) > 0 {
		out["webpush"] = o.Webpush
	}
	if len(o.FCMOptions) > 0 {
		out["fcm_options"] = o.FCMOptions
	}
	return out
}

func (o *options) priority(m *provider.Message) string {
	switch {
	case o.Priority != "":
		return o.Priority
	case m.Priority == herald.PriorityHigh || m.Content.Notification != nil && m.Priority != herald.PriorityLow:
		return "high" // what is to be seen now wakes the device
	}
	return "normal"
}

// shown is what Google shows itself; nil for nothing.
func (o *options) shown(m *provider.Message, text string) map[string]any {
	n := m.Content.Notification
	if n == nil || o.DataOnly {
		return nil
	}
	out := map[string]any{}
	set(out, "title", n.Title)
	set(out, "body", text)
	set(out, "image", n.Image)
	return out
}

// android is what is said of the notification for Android alone.
func (o *options) android(m *provider.Message) map[string]any {
	n := m.Content.Notification
	if n == nil {
		return nil
	}
	out := map[string]any{"tag": provider.CollapseName(m, 64)}
	set(out, "sound", n.Sound)
	if n.Badge != nil {
		out["notification_count"] = *n.Badge
	}
	for name, v := range o.Notification {
		out[name] = v
	}
	return out
}

// data is what the app gets. Its values are text, and some names are Google's:
// what is Herald's begins with herald_.
func (o *options) data(m *provider.Message, text string) map[string]string {
	out := map[string]string{"herald_id": m.ID.String()}
	if len(m.Content.Data) > 0 {
		out["herald_data"] = string(m.Content.Data)
	}
	n := m.Content.Notification
	if n == nil {
		return out
	}
	if n.Click != "" {
		out["herald_click"] = n.Click
	}
	if o.DataOnly {
		out["herald_title"], out["herald_body"] = n.Title, text
	}
	return out
}

func set(to map[string]any, name, value string) {
	if value != "" {
		to[name] = value
	}
}
