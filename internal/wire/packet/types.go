// Package packet writes and reads the control packets of MQTT: versions 3.1,
// 3.1.1 and 5.0. It knows bytes and nothing of sessions. What it reads may
// point into the bytes that it was given, and is valid as long as they are.
package packet

import "fmt"

// Version is the protocol level of a CONNECT (MQTT 5.0 section 3.1.2.2).
type Version byte

// The versions.
const (
	V31  Version = 3 // MQTT 3.1, whose protocol name is "MQIsdp"
	V311 Version = 4
	V5   Version = 5
)

// Type is the kind of a control packet (MQTT 5.0 section 2.1.2).
type Type byte

// The types.
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH // MQTT 5.0 only
)

// QoS is the quality of service: 0 at most once, 1 at least once, 2 exactly
// once (MQTT 5.0 section 4.3).
type QoS byte

// Pair is a user property.
type Pair struct{ Name, Value string }

// Properties are those of MQTT 5.0 (section 2.2.2.2), all kinds in one: which
// of them a packet may have is checked when it is read. A pointer is nil for a
// property that is absent where that differs from zero.
type Properties struct {
	PayloadFormat   *byte   // 0x01
	MessageExpiry   *uint32 // 0x02, in seconds
	ContentType     string  // 0x03
	ResponseTopic   string  // 0x08
	CorrelationData []byte  // 0x09; nil if absent
	SubscriptionIDs []uint32
	SessionExpiry   *uint32 // 0x11, in seconds; 0xFFFFFFFF never
	AssignedClient  string  // 0x12
	ServerKeepAlive *uint16 // 0x13, in seconds
	AuthMethod      string  // 0x15
	AuthData        []byte  // 0x16; nil if absent
	RequestProblem  *byte   // 0x17
	WillDelay       uint32  // 0x18, in seconds
	RequestResponse byte    // 0x19
	ResponseInfo    string  // 0x1A
	ServerReference string  // 0x1C
	Reason          string  // 0x1F
	ReceiveMaximum  *uint16 // 0x21
	TopicAliasMax   uint16  // 0x22
	TopicAlias      *uint16 // 0x23
	MaximumQoS      *byte   // 0x24
	RetainAvailable *byte   // 0x25
	User            []Pair  // 0x26, in order
	MaxPacketSize   *uint32 // 0x27
	WildcardSubs    *byte   // 0x28
	SubscriptionID  *byte   // 0x29: are identifiers available
	SharedSubs      *byte   // 0x2A
}

// Connect is what a client begins with (section 3.1).
type Connect struct {
	Version     Version
	CleanStart  bool // "clean session" before 5.0
	KeepAlive   uint16
	ClientID    string
	Will        *Will
	Username    string
	HasUsername bool
	Password    []byte
	HasPassword bool
	Props       Properties
}

// Will is published when the connection ends without DISCONNECT.
type Will struct {
	Topic   string
	Payload []byte
	QoS     QoS
	Retain  bool
	Props   Properties
}

// Connack answers it (section 3.2). Before 5.0 the code is one of the return
// codes 0 to 5, into which AppendTo translates.
type Connack struct {
	SessionPresent bool
	Code           Code
	Props          Properties
}

// Publish transports an application message (section 3.3). The ID is 0 with
// QoS 0.
type Publish struct {
	Dup, Retain bool
	QoS         QoS
	ID          uint16
	Topic       string
	Payload     []byte
	Props       Properties
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7).
type Ack struct {
	Type  Type
	ID    uint16
	Code  Code
	Props Properties
}

// Subscription is one filter of a SUBSCRIBE with its options (section 3.8.3.1).
type Subscription struct {
	Filter            string
	QoS               QoS
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0, 1 or 2
}

// Subscribe asks for subscriptions (section 3.8).
type Subscribe struct {
	ID    uint16
	List  []Subscription
	Props Properties
}

// Suback answers it (section 3.9), with a code for each filter: 0, 1, 2 for the
// QoS that was granted, or a refusal, which is 0x80 before 5.0.
type Suback struct {
	ID    uint16
	Codes []Code
	Props Properties
}

// Unsubscribe ends subscriptions (section 3.10).
type Unsubscribe struct {
	ID      uint16
	Filters []string
	Props   Properties
}

// Unsuback answers it (section 3.11). Before 5.0 it has no codes.
type Unsuback struct {
	ID    uint16
	Codes []Code
	Props Properties
}

// Ping is a PINGREQ or a PINGRESP (sections 3.12 and 3.13).
type Ping struct{ Type Type }

// Disconnect ends a connection (section 3.14).
type Disconnect struct {
	Code  Code
	Props Properties
}

// Auth goes on with an authentication (section 3.15).
type Auth struct {
	Code  Code
	Props Properties
}

// Error is why bytes are no packet. The code is the one with which a connection
// of MQTT 5.0 is closed.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("packet: %s: %s", e.Code, e.Text) }
