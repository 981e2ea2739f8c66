package apns

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// The largest payloads that Apple takes, in bytes.
const (
	maxPayload = 4096
	maxVoIP    = 5120
)

// maxCollapse is the largest apns-collapse-id, in bytes.
const maxCollapse = 64

// options are what a sender may say for Apple beside the content.
type options struct {
	PushType   string          `json:"push_type"` // default alert, or background without a notification
	Topic      string          `json:"topic"`
	Priority   int             `json:"priority"`
	Subtitle   string          `json:"subtitle"`
	ThreadID   string          `json:"thread_id"`
	Category   string          `json:"category"`
	Mutable    bool            `json:"mutable_content"`
	Available  bool            `json:"content_available"`
	Level      string          `json:"interruption_level"`
	Relevance  *float64        `json:"relevance_score"`
	Sound      json.RawMessage `json:"sound"`
	Alert      map[string]any  `json:"alert"`   // further members of aps.alert, such as loc-key
	APS        map[string]any  `json:"aps"`     // further members of aps, such as those of a live activity
	Payload    map[string]any  `json:"payload"` // further members beside aps
	CollapseID string          `json:"collapse_id"`
}

// pushTypes are those that Apple knows, with what they add to the topic.
var pushTypes = map[string]string{
	"alert": "", "background": "", "location": ".location-query", "voip": ".voip", "complication": ".complication",
	"fileprovider": ".pushkit.fileprovider", "mdm": "", "liveactivity": ".push-type.liveactivity", "pushtotalk": ".voip-ptt",
	"controls": ".push-type.controls", "widgets": ".push-type.widgets",
}

func readOptions(raw json.RawMessage) (o options, err error) {
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &o); err != nil {
			return o, provider.Errorf(provider.Rejected, "", "Look at what the message says for apns.", "the options for apns cannot be read: %v", err)
		}
	}
	if _, ok := pushTypes[o.PushType]; o.PushType != "" && !ok {
		return o, provider.Errorf(provider.Rejected, "InvalidPushType", "Use alert, background, voip or another type of Apple's.", "%.40q is no push type", o.PushType)
	}
	return o, nil
}

// pushType is the type of the push: what is to be seen is an alert.
func (o *options) pushType(m *provider.Message) string {
	if o.PushType == "" && m.Content.Notification == nil {
		return "background"
	}
	return cmp.Or(o.PushType, "alert")
}

func (o *options) header(m *provider.Message, topic string) http.Header {
	kind := o.pushType(m)
	h := http.Header{"Apns-Push-Type": {kind}, "Content-Type": {"application/json"}}
	h.Set("Apns-Topic", cmp.Or(o.Topic, topic+pushTypes[kind]))
	h.Set("Apns-Collapse-Id", cmp.Or(o.CollapseID, provider.CollapseName(m, maxCollapse)))
	h.Set("Apns-Priority", strconv.Itoa(o.priority(m, kind)))
	return h
}

// expiration is when Apple is to give up; 0 for one try.
func expiration(m *provider.Message, now time.Time) string {
	if m.TTL(now) == 0 {
		return "0"
	}
	return strconv.FormatInt(m.Expires.Add(time.Second-1).Unix(), 10)
}

// priority is 5 for a background push, which Apple demands, and for what can
// wait.
func (o *options) priority(m *provider.Message, kind string) int {
	switch {
	case kind == "background":
		return 5
	case o.Priority != 0:
		return o.Priority
	case m.Priority == herald.PriorityLow:
		return 5
	}
	return 10
}

// payload makes the body of the request. A text that is too long is shortened;
// a title is not.
func (o *options) payload(m *provider.Message) ([]byte, bool, error) {
	limit := maxPayload
	if o.PushType == "voip" {
		limit = maxVoIP
	}
	body := ""
	if n := m.Content.Notification; n != nil {
		body = n.Body
	}
	return provider.Fit(body, limit, func(text string) ([]byte, error) {
		root := map[string]any{}
		for name, v := range o.Payload {
			root[name] = v
		}
		root["aps"] = o.aps(m, text)
		own := map[string]any{"id": m.ID.String()}
		if n := m.Content.Notification; n != nil {
			set(own, "click", n.Click)
			set(own, "image", n.Image)
			if len(n.Actions) > 0 {
				own["actions"] = n.Actions
			}
		}
		root["herald"] = own
		if len(m.Content.Data) > 0 {
			root["data"] = m.Content.Data
		}
		return json.Marshal(root)
	})
}

func (o *options) aps(m *provider.Message, text string) map[string]any {
	aps := map[string]any{}
	n := m.Content.Notification
	if n != nil {
		alert := map[string]any{}
		for name, v := range o.Alert {
			alert[name] = v
		}
		set(alert, "title", n.Title)
		set(alert, "subtitle", o.Subtitle)
		set(alert, "body", text)
		if len(alert) > 0 {
			aps["alert"] = alert
		}
		if n.Badge != nil {
			aps["badge"] = *n.Badge
		}
		set(aps, "sound", n.Sound)
	}
	if len(o.Sound) > 0 {
		aps["sound"] = o.Sound
	}
	set(aps, "thread-id", o.ThreadID)
	set(aps, "category", o.Category)
	set(aps, "interruption-level", o.Level)
	if o.Relevance != nil {
		aps["relevance-score"] = *o.Relevance
	}
	if o.Available || o.pushType(m) == "background" {
		aps["content-available"] = 1
	}
	// A picture is loaded by the app's extension, which runs only if it is asked for.
	if o.Mutable || n != nil && n.Image != "" {
		aps["mutable-content"] = 1
	}
	for name, v := range o.APS {
		aps[name] = v
	}
	return aps
}

func set(to map[string]any, name, value string) {
	if value != "" {
		to[name] = value
	}
}
