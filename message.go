package herald

import (
	"encoding/json"
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
}

// Action is a button of a notification.
type Action struct {
	ID    string `json:"id" maxLength:"64" doc:"What the clicked event names."`
	Title string `json:"title" maxLength:"128" doc:"Text on the button."`
	Click string `json:"click,omitempty" format:"uri" doc:"Address to open."`
}

// For gives the content as one platform sees it, with its overrides merged in.
// The boolean tells whether it differs from the content without overrides.
func (c Content) For(p Platform) (Content, bool) {
	n := c.Notification
	if n == nil || n.Platforms == nil {
		return c, false
	}
	merged := *n
	merged.Platforms = nil
	over, differs := n.Platforms[p]
	if differs {
		merged.apply(over)
	}
	return Content{Notification: &merged, Data: c.Data}, differs
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
