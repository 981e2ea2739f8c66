package herald

import (
	"encoding/json"
	"sort"
	"strings"
	"time"
)

// Priority orders deliveries that wait for the same device.
type Priority string

// The priorities; "" means normal.
const (
	PriorityLow    Priority = "low"
	PriorityNormal Priority = "normal"
	PriorityHigh   Priority = "high"
)

// Platform is the kind of system that a device runs.
type Platform string

// The platforms that a device may name.
const (
	PlatformWeb      Platform = "web"
	PlatformAndroid  Platform = "android"
	PlatformIOS      Platform = "ios"
	PlatformHMOS     Platform = "hmos"
	PlatformQuickapp Platform = "quickapp"
	PlatformWindows  Platform = "windows"
	PlatformMacOS    Platform = "macos"
	PlatformLinux    Platform = "linux"
	PlatformEmbedded Platform = "embedded"
	PlatformOther    Platform = "other"
)

// Platforms lists every platform, in the order of the documentation.
var Platforms = []Platform{
	PlatformWeb, PlatformAndroid, PlatformIOS, PlatformHMOS, PlatformQuickapp,
	PlatformWindows, PlatformMacOS, PlatformLinux, PlatformEmbedded, PlatformOther,
}

// Content is what a message says: a notification, data, or both. It never
// changes once the message is accepted.
type Content struct {
	Notification *Notification   `json:"notification,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
	// PlatformData is in the place of Data on the platforms that it names.
	PlatformData map[Platform]json.RawMessage `json:"platform_data,omitempty"`
}

// Notification is the visible part of a message.
type Notification struct {
	Title string `json:"title,omitempty" doc:"First line, shown in bold by most systems."`
	Body  string `json:"body,omitempty" doc:"The text."`
	Image string `json:"image,omitempty" format:"uri" doc:"Address of a picture to show (https)."`
	Click string `json:"click,omitempty" format:"uri" doc:"Address or deep link to open on a click."`
	// Badge is the number on the app's icon; nil leaves it as it is.
	Badge   *int     `json:"badge,omitempty" minimum:"0" doc:"Number on the app's icon; 0 removes it, absent leaves it."`
	Sound   string   `json:"sound,omitempty" doc:"Name of a sound that the app ships, or \"default\"."`
	Actions []Action `json:"actions,omitempty" maxItems:"5" doc:"Buttons, at most 5."`
	// Platforms holds what differs on one platform; members that are absent
	// there keep the common value.
	Platforms map[Platform]Notification `json:"platforms,omitempty" doc:"Members that differ on one platform, by its name."`
	// Languages holds what differs in one language; it comes after what differs
	// on the platform.
	Languages map[string]Notification `json:"languages,omitempty" maxProperties:"50" doc:"Members that differ in one language, by its tag (BCP 47), such as zh or zh-TW. A device gets those of the longest tag that begins its own language, and the common ones if there is none."`
}

// Action is a button of a notification.
type Action struct {
	ID    string `json:"id" maxLength:"64" doc:"What the clicked event names."`
	Title string `json:"title" maxLength:"128" doc:"Text on the button."`
	Click string `json:"click,omitempty" format:"uri" doc:"Address to open."`
}

// For gives the content as one platform sees it, with its overrides merged in
// and without those of languages. The boolean tells whether it differs from the
// content without overrides.
func (c Content) For(p Platform) (Content, bool) { return c.In(p, "") }

// In gives the content as one platform sees it in one of its languages; "" is
// none of them. The boolean is that of [Content.For].
func (c Content) In(p Platform, language string) (Content, bool) {
	out := Content{Notification: c.Notification, Data: c.Data}
	own, differs := c.PlatformData[p]
	if differs {
		out.Data = own
	}
	n := c.Notification
	if n == nil || n.Platforms == nil && n.Languages == nil {
		return out, differs
	}
	merged := *n
	merged.Platforms, merged.Languages = nil, nil
	if over, ok := n.Platforms[p]; ok {
		merged.apply(over)
		differs = true
	}
	if language != "" {
		merged.apply(n.Languages[language])
	}
	if !merged.Empty() {
		out.Notification = &merged
	} else {
		out.Notification = nil // it is for other platforms alone
	}
	return out, differs
}

// DiffersOn lists the platforms on which the content is not as elsewhere.
func (c Content) DiffersOn() []Platform {
	var out []Platform
	for _, p := range Platforms {
		if _, differs := c.For(p); differs {
			out = append(out, p)
		}
	}
	return out
}

// Empty reports whether the notification shows nothing.
func (n *Notification) Empty() bool {
	return n.Title == "" && n.Body == "" && n.Image == "" && n.Badge == nil && n.Sound == "" && n.Platforms == nil && n.Languages == nil
}

// LanguageTags lists the languages of the content, those with the most subtags
// first: the first one that a device is in the range of is the one for it
// (RFC 4647, section 3.4).
func (c Content) LanguageTags() []string {
	if c.Notification == nil || len(c.Notification.Languages) == 0 {
		return nil
	}
	out := make([]string, 0, len(c.Notification.Languages))
	for tag := range c.Notification.Languages {
		out = append(out, tag)
	}
	sort.Slice(out, func(i, j int) bool {
		if a, b := strings.Count(out[i], "-"), strings.Count(out[j], "-"); a != b {
			return a > b
		}
		return out[i] < out[j]
	})
	return out
}

func (n *Notification) apply(over Notification) {
	for _, m := range []struct{ to, from *string }{
		{&n.Title, &over.Title}, {&n.Body, &over.Body}, {&n.Image, &over.Image},
		{&n.Click, &over.Click}, {&n.Sound, &over.Sound},
	} {
		if *m.from != "" {
			*m.to = *m.from
		}
	}
	if over.Badge != nil {
		n.Badge = over.Badge
	}
	if over.Actions != nil {
		n.Actions = over.Actions
	}
}

// Message is a message as it was accepted. It never changes.
type Message struct {
	ID          MessageID
	App         AppKey
	Content     Content
	Audience    Audience
	Priority    Priority // never empty
	CollapseKey string
	OrderingKey string
	// TTL is how long the message may wait, counted from Due; 0 means that
	// only who is connected at that moment gets it.
	TTL      time.Duration
	Accepted time.Time
	// Due is when the message is released: Accepted, or the sender's send_at.
	Due time.Time
}

// Expires is the end of the message's TTL.
func (m *Message) Expires() time.Time { return m.Due.Add(m.TTL) }

// Scheduled reports whether the message was accepted for a later time.
func (m *Message) Scheduled() bool { return m.Due.After(m.Accepted) }
