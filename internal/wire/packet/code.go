package packet

import "fmt"

// Code is a reason code of MQTT 5.0 (section 2.4). 0x80 and above are refusals.
type Code byte

// The reason codes.
const (
	Success                   Code = 0x00 // also "granted QoS 0" and "normal disconnection"
	GrantedQoS1               Code = 0x01
	GrantedQoS2               Code = 0x02
	DisconnectWithWill        Code = 0x04
	NoMatchingSubscribers     Code = 0x10
	NoSubscriptionExisted     Code = 0x11
	ContinueAuthentication    Code = 0x18
	Reauthenticate            Code = 0x19
	UnspecifiedError          Code = 0x80
	MalformedPacket           Code = 0x81
	ProtocolError             Code = 0x82
	ImplementationError       Code = 0x83
	UnsupportedVersion        Code = 0x84
	ClientIDNotValid          Code = 0x85
	BadUserNameOrPassword     Code = 0x86
	NotAuthorized             Code = 0x87
	ServerUnavailable         Code = 0x88
	ServerBusy                Code = 0x89
	Banned                    Code = 0x8A
	ServerShuttingDown        Code = 0x8B
	BadAuthenticationMethod   Code = 0x8C
	KeepAliveTimeout          Code = 0x8D
	SessionTakenOver          Code = 0x8E
	TopicFilterInvalid        Code = 0x8F
	TopicNameInvalid          Code = 0x90
	PacketIDInUse             Code = 0x91
	PacketIDNotFound          Code = 0x92
	ReceiveMaximumExceeded    Code = 0x93
	TopicAliasInvalid         Code = 0x94
	PacketTooLarge            Code = 0x95
	MessageRateTooHigh        Code = 0x96
	QuotaExceeded             Code = 0x97
	AdministrativeAction      Code = 0x98
	PayloadFormatInvalid      Code = 0x99
	RetainNotSupported        Code = 0x9A
	QoSNotSupported           Code = 0x9B
	UseAnotherServer          Code = 0x9C
	ServerMoved               Code = 0x9D
	SharedSubsNotSupported    Code = 0x9E
	ConnectionRateExceeded    Code = 0x9F
	MaximumConnectTime        Code = 0xA0
	SubscriptionIDsNotSupport Code = 0xA1
	WildcardSubsNotSupported  Code = 0xA2
)

// Failed reports whether the code is a refusal.
func (c Code) Failed() bool { return c >= 0x80 }

func (c Code) String() string { return fmt.Sprintf("reason code 0x%02x", byte(c)) }
