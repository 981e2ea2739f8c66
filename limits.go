package herald

import "time"

// Limits that several parts share. Each is checked before work is done.
const (
	MaxMessageBytes   = 32 << 10 // notification and data of one message, as JSON
	MaxRequestBytes   = 1 << 20  // body of one API request
	MaxFrameBytes     = 16 << 10 // one frame from a client
	MaxNameBytes      = 128      // alias, tag, collapse key, ordering key
	MaxTagsPerDevice  = 1000
	MaxDevicesByAlias = 100  // devices that one alias may be bound to
	MaxIDsPerCall     = 1000 // registration IDs, aliases, message IDs in one call
	MaxDirect         = 1000 // devices up to which a message is kept as entries
	MaxPending        = 1000 // pending direct messages per device; the newest stay
	MaxGroupMessages  = 10000
	MaxSessions       = 4 // sessions per device; one more closes the oldest
	MaxAttributes     = 64
	MaxAttributeBytes = 4 << 10 // all attributes of a device, as JSON

	DefaultPageSize = 50
	MaxPageSize     = 1000
)

// Times that several parts share.
const (
	DefaultTTL       = 24 * time.Hour
	MaxTTL           = 30 * 24 * time.Hour
	MaxSendAhead     = 365 * 24 * time.Hour
	Heartbeat        = 50 * time.Second // how often a client must be heard
	HeartbeatTimeout = 75 * time.Second // silence after which a session is dead
	HelloTimeout     = 10 * time.Second // from connecting to being authenticated
	LateReceipts     = 7 * 24 * time.Hour
	TraceRetention   = 30 * 24 * time.Hour
	CountRetention   = 90 * 24 * time.Hour
	IdempotencyTTL   = 24 * time.Hour
	VolatileTTL      = 10 * time.Minute   // how long a TTL 0 message can be asked for
	ApprovalTTL      = 7 * 24 * time.Hour // how long a message waits to be approved
	DrainSpread      = 30 * time.Second   // clients come back within this at a drain
)
