package herald

import "time"

// Types of webhook events. A webhook is told of those that it names, of a
// family ("receipt.*"), or of all ("*").
const (
	EventSent         = "receipt.sent"
	EventReceived     = "receipt.received"
	EventDisplayed    = "receipt.displayed"
	EventClicked      = "receipt.clicked"
	EventFailed       = "receipt.failed" // the delivery ended; Reason says how
	EventRegistered   = "device.registered"
	EventRemoved      = "device.removed"
	EventBound        = "device.bound" // it has an alias, or another one
	EventUnbound      = "device.unbound"
	EventMsgDone      = "message.done" // nothing more can be delivered
	EventMsgExpired   = "message.expired"
	EventMsgWithdrawn = "message.withdrawn"
	EventMsgReplaced  = "message.replaced"
	EventMsgAwaiting  = "message.awaiting_approval" // it is sent when a second key has approved it
	EventMsgApproved  = "message.approved"
	EventMsgRejected  = "message.rejected"
	EventTest         = "webhook.test" // sent when asked for only
)

// WebhookEvents lists the types that a webhook can be told of.
var WebhookEvents = []string{
	EventSent, EventReceived, EventDisplayed, EventClicked, EventFailed,
	EventRegistered, EventRemoved, EventBound, EventUnbound,
	EventMsgDone, EventMsgExpired, EventMsgWithdrawn, EventMsgReplaced,
	EventMsgAwaiting, EventMsgApproved, EventMsgRejected,
}

// WebhookBody is the body of a webhook, in the shape that Standard Webhooks
// recommends.
type WebhookBody struct {
	Type      string      `json:"type"` // always "events"
	Timestamp time.Time   `json:"timestamp"`
	Data      WebhookData `json:"data"`
}

// WebhookData is a batch of events.
type WebhookData struct {
	AppKey    AppKey         `json:"app_key"`
	WebhookID string         `json:"webhook_id"`
	Events    []WebhookEvent `json:"events"`
}

// WebhookEvent is something that happened to a delivery, a device or a message.
type WebhookEvent struct {
	// ID is the same whenever the event is sent.
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	// MessageID is of receipts and ends of messages.
	MessageID MessageID `json:"message_id,omitempty"`
	// RegistrationID is of receipts and devices; empty if the device was removed
	// before its receipt was sent here.
	RegistrationID RegistrationID `json:"registration_id,omitempty"`
	Alias          Alias          `json:"alias,omitempty"`    // of devices
	Platform       Platform       `json:"platform,omitempty"` // of devices that registered
	Via            string         `json:"via,omitempty"`      // what brought a receipt
	Reason         string         `json:"reason,omitempty"`   // the state in which a delivery ended
	Detail         string         `json:"detail,omitempty"`
}
