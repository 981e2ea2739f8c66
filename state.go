package herald

// DeliveryState is what has become of one message on one device (or
// recipient). States move forward only:
//
//	pending -> sent -> received -> displayed -> clicked
//	pending -> expired | withdrawn | replaced | device_gone | rebound |
//	           overflow | rejected | dead
//	sent    -> unconfirmed (TTL or withdrawal before it was acknowledged),
//	           which may still become received for seven days
//
// At all times the states of a message sum to its target count.
type DeliveryState string

// The states of a delivery.
const (
	StatePending     DeliveryState = "pending"
	StateSent        DeliveryState = "sent"
	StateReceived    DeliveryState = "received"
	StateDisplayed   DeliveryState = "displayed"
	StateClicked     DeliveryState = "clicked"
	StateExpired     DeliveryState = "expired"
	StateWithdrawn   DeliveryState = "withdrawn"
	StateReplaced    DeliveryState = "replaced"
	StateDeviceGone  DeliveryState = "device_gone"
	StateRebound     DeliveryState = "rebound"
	StateOverflow    DeliveryState = "overflow"
	StateRejected    DeliveryState = "rejected"
	StateDead        DeliveryState = "dead"
	StateUnconfirmed DeliveryState = "unconfirmed"
)

// Progress is the family of states that a delivery passes on its good way, in
// order. A later one implies the earlier ones.
var Progress = [...]DeliveryState{StateSent, StateReceived, StateDisplayed, StateClicked}

// Ends is the family of states that end a delivery; they exclude each other.
var Ends = [...]DeliveryState{
	StateExpired, StateWithdrawn, StateReplaced, StateDeviceGone, StateRebound,
	StateOverflow, StateRejected, StateDead, StateUnconfirmed,
}

// MessageState is the state of a message as a whole.
type MessageState string

// The states of a message. "sending" lasts while a delivery may still happen;
// "done" means that every delivery was received or has ended.
const (
	MessageScheduled MessageState = "scheduled"
	MessageSending   MessageState = "sending"
	MessageDone      MessageState = "done"
	MessageWithdrawn MessageState = "withdrawn"
	MessageExpired   MessageState = "expired"
	MessageReplaced  MessageState = "replaced"
	// MessageAwaiting is a message that a second key has to approve before it
	// is sent; MessageRejected one that it has refused.
	MessageAwaiting MessageState = "awaiting_approval"
	MessageRejected MessageState = "rejected"
)

// Counts says how a message fares, as two views of the same sets.
type Counts struct {
	// Target is the number of devices that the audience came to.
	Target int64 `json:"target"`
	// Sent, Received, Displayed and Clicked are the funnel: how many devices
	// came at least so far.
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	Displayed int64 `json:"displayed"`
	Clicked   int64 `json:"clicked"`
	// States has each device in exactly one state; its values sum to Target.
	// States with no device are left out.
	States map[DeliveryState]int64 `json:"states"`
}

// Open reports whether a delivery can still happen: something is pending, or
// was sent and not acknowledged yet.
func (c Counts) Open() bool { return c.States[StatePending]+c.States[StateSent] > 0 }
