package record

import (
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Event is a set of devices of one message that came to a state.
type Event struct {
	Msg   herald.MessageID
	State herald.DeliveryState
	Set   *sets.Set
	Time  time.Time
	// Via is what brought it: the transport for sent, "receipt" for what the
	// device reported afterwards, "cursor", "server".
	Via string
	// Detail is more about it in a word or two; may be empty.
	Detail string
}

// Chunk is a stored part of a state set: one slab of a group message, or one
// stretch of 65,536 delivery numbers of an app's direct messages.
type Chunk struct {
	Msg   herald.MessageID // 0 for direct messages
	State herald.DeliveryState
	Index uint64 // slab, or delivery number >> 16
	Bits  *sets.Set
	// Lost is set on a chunk of direct messages whose bytes were damaged: it has
	// no bits, and the deliveries with numbers below this have lost the state.
	Lost uint64
}

// CellPart says what is read of the chunks that group messages have in a slab.
type CellPart uint8

// The parts of a cell.
const (
	AllStates  CellPart = iota // and the target
	WhoWaits                   // what decides who waits: the target, received and the ends
	WhoWasSent                 // sent, and the notice of a withdrawal
	WhoIsDone                  // WhoWaits without the target
)

// Segment is a piece of history: events of one group message within one slab,
// or of direct deliveries with neighbouring numbers, in the order in which they
// were folded.
type Segment struct {
	Msg   herald.MessageID // 0 for direct messages
	Index uint64           // slab, or delivery number >> 10
	From  uint64           // number of the first log batch in it
	Batch []byte           // see AppendEvents
}

// Fold moves the receipt log up to a batch into chunks and segments, in one
// transaction.
type Fold struct {
	App      herald.AppKey
	Upto     uint64 // the last batch that it covers
	Chunks   []Chunk
	Segments []Segment
	// Added are bits that are joined to the chunks that there are, ahead of the
	// transaction.
	Added []Chunk
}

// Batch is one row of the receipt log.
type Batch struct {
	N      uint64
	Events []Event
}

// TargetState is the pseudo-state under which chunks of a dense target are
// kept.
const TargetState herald.DeliveryState = "target"

// DamagedState is the pseudo-state by which a store that is asked who waits says
// of a message that one of its states cannot be read.
const DamagedState herald.DeliveryState = "damaged"

// ToldState is the pseudo-state of a device that has acknowledged the notice
// that a message was withdrawn. It is no state of the delivery.
const ToldState herald.DeliveryState = "told"

// SetChunk is a stored slab of a named set, true up to a log position.
type SetChunk struct {
	Set  string
	Slab sets.Slab
	// Whole is set for a small set, which is one chunk with all its slabs;
	// Slab is 0 then. See sets.Part.
	Whole bool
	Upto  herald.Pos
	Bits  *sets.Set
}

// SetChange adds devices to a named set of the app, or removes them.
type SetChange = sets.Change

// SetLogEntry is what one log position changed in the named sets.
type SetLogEntry struct {
	Pos     herald.Pos
	NextOrd uint64 // devices that exist after it: ordinals [0, NextOrd)
	Changes []SetChange
	// Rebound are aliases that have other devices since. Only a hook is told of
	// them, and they are in no log; "" stands for any alias.
	Rebound []herald.Alias
}
