package jpush

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"

	"github.com/herald-push/herald"
)

// form is what a member of a notification has to be.
type form int

const (
	formText form = iota
	formNumber
	formTruth
	formObject
	formAny
)

// bounded is a number within bounds.
type bounded struct{ least, most int64 }

// platformMembers are the members of the notification of a platform, beside
// those that all have. A bounded one is a number.
var platformMembers = map[herald.Platform]map[string]any{
	herald.PlatformAndroid: {
		"alert": formText, "title": formText, "extras": formObject, "builder_id": formNumber, "channel_id": formText, "category": formText,
		"priority": bounded{-2, 2}, "style": bounded{0, 3}, "big_text": formText, "inbox": formObject, "big_pic_path": formText,
		"alert_type": bounded{-1, 7}, "large_icon": formText, "small_icon_uri": formText, "icon_bg_color": formText, "intent": formAny,
		"uri_activity": formText, "uri_action": formText, "badge_add_num": bounded{1, 99}, "badge_set_num": bounded{0, 99}, "badge_class": formText,
		"sound": formText, "show_begin_time": formText, "show_end_time": formText, "display_foreground": formAny, "custom_buttons": formAny,
	},
	herald.PlatformIOS: {
		"alert": formAny, "title": formText, "extras": formObject, "sound": formAny, "badge": formAny, "content-available": formTruth, "mutable-content": formTruth,
		"category": formText, "thread-id": formText, "interruption-level": formText,
	},
	herald.PlatformHMOS: {
		"alert": formText, "title": formText, "extras": formObject, "category": formText, "large_icon": formText, "intent": formAny,
		"badge_add_num": bounded{1, 99}, "badge_set_num": bounded{0, 99}, "test_message": formTruth, "receipt_id": formText,
		"style": formNumber, "inbox": formObject, "push_type": formNumber, "extra_data": formText, "display_foreground": formAny,
		"sound": formText, "sound_duration": bounded{1, 60}, "hm_payload": formAny,
	},
	herald.PlatformQuickapp: {"alert": formText, "title": formText, "page": formText, "extras": formObject},
	herald.PlatformWindows:  {"alert": formText, "title": formText, "_open_page": formText, "extras": formObject},
}

// thirdMembers are those of notification_3rd in its first version.
var thirdMembers = map[string]any{
	"title": formText, "content": formText, "channel_id": formText, "uri_activity": formText, "uri_action": formText,
	"badge_add_num": bounded{1, 99}, "badge_set_num": bounded{0, 99}, "badge_class": formText, "sound": formText, "extras": formObject, "intent": formAny,
}

// readMembers holds an object against its members.
func readMembers(o *object, known map[string]any) {
	for name, f := range known {
		switch f := f.(type) {
		case bounded:
			o.number(name, f.least, f.most)
		case form:
			readMember(o, name, f)
		}
	}
	o.done()
}

func readMember(o *object, name string, f form) {
	switch f {
	case formText:
		o.text(name)
	case formNumber:
		o.number(name, math.MinInt32, math.MaxInt32)
	case formTruth:
		o.truth(name)
	case formObject:
		o.object(name)
	case formAny:
		o.raw(name)
	}
}

// levels are the interruption levels of iOS.
var levels = []string{"active", "critical", "passive", "time-sensitive"}

// clickOf gives the address that a click opens, if an intent is one that any
// device may open.
func clickOf(raw json.RawMessage) string {
	var intent struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(raw, &intent) != nil {
		return ""
	}
	u, err := url.Parse(intent.URL)
	if err != nil || !u.IsAbs() {
		return ""
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "vbscript", "file":
		return ""
	case "http", "https":
		if u.Host == "" {
			return ""
		}
	}
	return intent.URL
}

// isPicture reports whether a path is an address on the web.
func isPicture(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
