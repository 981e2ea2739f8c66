package api

import (
	"time"

	"github.com/herald-push/herald"
)

// Report is how a message fares: GET /v1/messages/{id}/report.
type Report struct {
	MessageID  herald.MessageID               `json:"message_id"`
	State      herald.MessageState            `json:"state" enum:"awaiting_approval,scheduled,sending,done,withdrawn,expired,replaced,rejected" doc:"Of the message as a whole."`
	AcceptedAt time.Time                      `json:"accepted_at"`
	EndedAt    *time.Time                     `json:"ended_at,omitempty"`
	Funnel     *Funnel                        `json:"funnel,omitempty" doc:"All devices. Absent while the message is scheduled."`
	States     map[herald.DeliveryState]int64 `json:"states,omitempty"`
	Channels   []ChannelReport                `json:"channels" doc:"By the way that it went out; none for the devices that it was never sent to."`
	Platforms  []PlatformReport               `json:"platforms" doc:"By the platform that the devices have now; unknown for those of which none is known."`
	Timeline   *Timeline                      `json:"timeline,omitempty" doc:"Over time. Absent for a message with TTL 0, of which no times are kept, and while it is scheduled."`
}

// Funnel says how many devices came at least so far.
type Funnel struct {
	Target    int64         `json:"target"`
	Sent      int64         `json:"sent"`
	Received  int64         `json:"received" doc:"Devices that acknowledged it."`
	Displayed int64         `json:"displayed" doc:"Devices that reported that they showed it."`
	Clicked   int64         `json:"clicked" doc:"Devices that reported a click on it."`
	Unknown   FunnelUnknown `json:"unknown" doc:"Devices of which nobody knows whether they came so far."`
	Rates     FunnelRates   `json:"rates" doc:"Parts of the target, 0 to 1; null where nothing is known."`
}

// FunnelUnknown counts the devices of which nobody knows whether they came so
// far.
type FunnelUnknown struct {
	Received  int64 `json:"received" doc:"It was sent to them, and they have not acknowledged it."`
	Displayed int64 `json:"displayed" doc:"It was sent to them, and they have not reported that they showed it."`
	Clicked   int64 `json:"clicked" doc:"It was sent to them, and they have reported neither that they showed it nor a click."`
}

// FunnelRates are parts of the target.
type FunnelRates struct {
	Sent      *float64 `json:"sent" doc:"Part of the target that it was sent to."`
	Received  *float64 `json:"received" doc:"Part of the target that is known to have received it."`
	Displayed *float64 `json:"displayed" doc:"Part of the target that is known to have displayed it."`
	Clicked   *float64 `json:"clicked" doc:"Part of the target that is known to have clicked it."`
}

// ChannelReport is the part of a report that went out one way.
type ChannelReport struct {
	Channel    string           `json:"channel" enum:"live,none" doc:"live: over a connection of the device. none: never sent."`
	Devices    int64            `json:"devices"`
	Funnel     *Funnel          `json:"funnel,omitempty" doc:"Its target is the devices that it was sent to this way. Absent for none."`
	Transports map[string]int64 `json:"transports,omitempty" doc:"Devices by the transport that was the first to take it; unknown where that is not recorded. Absent where no history is kept."`
}

// PlatformReport is the part of a report on one platform.
type PlatformReport struct {
	Platform herald.Platform `json:"platform" doc:"A platform, or unknown."`
	Funnel
}

// Timeline is a report over time.
type Timeline struct {
	Bucket  Bucket           `json:"bucket" enum:"minute,hour,day" doc:"How long a bucket is. Days are of UTC."`
	Buckets []TimelineBucket `json:"buckets" doc:"From the first event to the last, without gaps."`
	Unknown Steps            `json:"unknown" doc:"Devices that came so far at a time that is not recorded. With them the buckets sum to the funnel."`
}

// TimelineBucket counts the devices that came so far within a bucket; it is not
// cumulative.
type TimelineBucket struct {
	Time time.Time `json:"time" doc:"Beginning of the bucket."`
	Steps
}

// Steps counts devices by step.
type Steps struct {
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	Displayed int64 `json:"displayed"`
	Clicked   int64 `json:"clicked"`
}

// DeliveryQuery selects deliveries of a message.
type DeliveryQuery struct {
	State    herald.DeliveryState // "" for any
	Platform herald.Platform      // "" for any; "unknown" for those with none
	Cursor   string
	Limit    int
}

// DeliveryView is a message on one device.
type DeliveryView struct {
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty" doc:"Absent if the device was removed."`
	Alias          herald.Alias          `json:"alias,omitempty"`
	Platform       herald.Platform       `json:"platform" doc:"A platform, or unknown."`
	State          herald.DeliveryState  `json:"state" doc:"Where the message stands on this device."`
	Reason         string                `json:"reason" doc:"Why, in words."`
	Via            string                `json:"via,omitempty" doc:"The transport that was the first to take it; absent if it was not sent, or that is not recorded."`
	SentAt         *time.Time            `json:"sent_at,omitempty" doc:"When it was first sent. Like the other times absent if that has not happened or its time is not recorded; state says which."`
	ReceivedAt     *time.Time            `json:"received_at,omitempty" doc:"When the device acknowledged it."`
	DisplayedAt    *time.Time            `json:"displayed_at,omitempty" doc:"When the device reported that it was shown."`
	ClickedAt      *time.Time            `json:"clicked_at,omitempty" doc:"When the device reported a click."`
	EndedAt        *time.Time            `json:"ended_at,omitempty" doc:"When the delivery ended without being received."`
}

// DeliveryPage is one page of deliveries, in the order in which the devices
// registered.
type DeliveryPage struct {
	Deliveries []DeliveryView `json:"deliveries" doc:"In the order in which the devices registered."`
	NextCursor string         `json:"next_cursor,omitempty"`
}

// DeviceTimeline is one page of what happened to a device, newest first.
type DeviceTimeline struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	SeenAt         time.Time             `json:"seen_at" doc:"Last registration or connection, to about a minute."`
	KeptSince      time.Time             `json:"kept_since" doc:"Messages that ended before this are forgotten."`
	Items          []TimelineItem        `json:"items" doc:"Newest first. A page may have fewer than asked for, even none, and more may follow."`
	NextCursor     string                `json:"next_cursor,omitempty"`
}

// TimelineItem is one thing that happened to a device.
type TimelineItem struct {
	Time      time.Time            `json:"time" doc:"When the message was accepted, or the device registered."`
	Kind      string               `json:"kind" enum:"message,registered" doc:"What it is."`
	MessageID herald.MessageID     `json:"message_id,omitzero"`
	Title     string               `json:"title,omitempty" doc:"Of the message's notification."`
	State     herald.DeliveryState `json:"state,omitempty" doc:"Where the message stands on this device."`
	Text      string               `json:"text" doc:"What became of it, and why, in a sentence."`
	Steps     []TraceStep          `json:"steps,omitempty" doc:"As in the trace of the message on this device."`
}
