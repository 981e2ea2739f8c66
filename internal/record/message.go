package record

import (
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Message is a message as the record keeps it.
type Message struct {
	herald.Message
	// Body is the content as JSON, checked by a checksum when it is read.
	Body []byte
	// Plain tells of a body that was made here, and is not from the record: it is
	// compact, has nothing escaped, and is the same on all platforms.
	Plain bool
	// Facts are what else is kept of it; nil for most messages.
	Facts *Facts
	State herald.MessageState // as stored; never "done", which is computed
	Ended time.Time           // when it was withdrawn, replaced or expired; zero before
	// EndPos is the log position of the withdrawal notice; 0 if there is none.
	EndPos herald.Pos

	Pos     herald.Pos // of its release; 0 while it is scheduled
	EvalPos herald.Pos // the log position at which its audience was evaluated
	ByAlias bool       // its audience names aliases: see Device.BoundPos

	Target  int64 // devices alive in the target; -1 while it is scheduled
	Unknown int64 // names in the audience that nobody has

	// Direct messages (up to herald.MaxDirect devices) have their devices
	// here, ascending; the device at index i has delivery number FirstN+i.
	Direct []herald.Ordinal
	FirstN uint64
	// Group messages have the image of their audience here. It may contain
	// devices that were dead at acceptance; Target does not count those.
	Group *Image
	// Plan is given with a message that is to be released in steps; it is not
	// read with it.
	Plan *PlanStart
	// Later are the steps of its route that come after its release, or after each
	// step of its plan. They are given with it, and not read.
	Later []StepAfter
}

// Begins is when the message falls due for the first devices: with a local time,
// where clocks show it first, but not before it was accepted.
func (m *Message) Begins() time.Time {
	if m.Facts == nil || m.Facts.When == nil || m.Facts.When.Local == "" {
		return m.Due
	}
	if first := m.Due.Add(-herald.FirstZone - herald.LastZone); first.After(m.Accepted) {
		return first
	}
	return m.Accepted
}

// Waits reports whether the message was accepted for a later time.
func (m *Message) Waits() bool { return m.Begins().After(m.Accepted) }

// Planned reports whether the message is released in steps: then its target and
// its place in the log, which are there, say nothing of who has been released.
func (m *Message) Planned() bool { return m.Facts != nil && m.Facts.Planned }

// Held reports whether the route of the message keeps it from connections when it
// is released; then it is Planned as well.
func (m *Message) Held() bool { return m.Facts != nil && m.Facts.Held }

// Image is what the audience of a group message was evaluated to. A large one
// is not read with its message: it is read slab by slab (see Chunk), and a
// message that has it elsewhere must not be taken for one that has nobody.
type Image struct{ whole *sets.Set }

// WholeImage is an image that is at hand.
func WholeImage(s *sets.Set) *Image { return &Image{whole: s} }

// ImageApart is an image that is read slab by slab.
func ImageApart() *Image { return &Image{} }

// Whole gives the image if it is at hand. It is shared and must not be changed.
func (i *Image) Whole() (s *sets.Set, ok bool) {
	if i == nil || i.whole == nil {
		return nil, false
	}
	return i.whole, true
}

// Unreleased reports whether the message waits for its time, or to be approved.
func (m *Message) Unreleased() bool {
	return m.State == herald.MessageScheduled || m.State == herald.MessageAwaiting
}

// IsDirect reports whether the message is kept as entries. A message with no
// target is direct.
func (m *Message) IsDirect() bool { return m.Group == nil }

// Acceptance asks for a message to become durable, and with it (unless it is
// scheduled) its first release.
type Acceptance struct {
	Message
	Idempotency *Idempotency
	// Volatile is set for a message with TTL 0: nothing of it is stored but
	// the idempotency row.
	Volatile bool
	// Firing is the occurrence of a schedule that makes the message; nil for any
	// other message.
	Firing *Firing
}

// Idempotency is the key of a call with what was asked and answered.
type Idempotency struct {
	Key    string
	Hash   []byte // of the request
	Answer []byte // what the first call is told, and each repetition
	Until  time.Time
}

// Accepted is what came of an acceptance.
type Accepted struct {
	Pos    herald.Pos // of the release; 0 if scheduled or volatile
	FirstN uint64
	// Prior is the answer to an earlier call with the same idempotency key
	// and hash; if it is not nil nothing was written now.
	Prior []byte
}

// Outcome is what came of one acceptance of several.
type Outcome struct {
	Accepted
	Err error // then nothing of it was written
}

// ReleaseKind tells what a release brings.
type ReleaseKind string

// The kinds of release.
const (
	ReleaseMessage  ReleaseKind = "message"
	ReleaseWithdraw ReleaseKind = "withdraw" // a notice to those it was sent to
	ReleasePlan     ReleaseKind = "plan"     // a message that is released in steps from here on, to nobody yet
	ReleaseStep     ReleaseKind = "step"     // such a message, to some of its devices
	ReleaseStop     ReleaseKind = "stop"     // the end of its steps: who is left never gets it
	ReleaseLive     ReleaseKind = "live"     // a step of it that its route has kept from connections, to them
)

// Release is one entry of the log that concerns deliveries. The message comes
// without its body's content decoded.
type Release struct {
	Pos  herald.Pos
	Kind ReleaseKind
	Msg  *Message
	At   time.Time
	// Ranges are the devices of a step, which is at the place Step: also of one that
	// goes live, and of a plan that is whole.
	Ranges []PlanRange
	Step   herald.Pos
}

// Entry is one direct message on its way to one device.
type Entry struct {
	Pos herald.Pos
	N   uint64 // delivery number
	Msg herald.MessageID
}

// EntryMessage is an entry with its message, if that was read with it: one to
// this device alone, as far as sending it asks for. Of the audience it has only
// the device, and neither ordering key nor time of acceptance.
type EntryMessage struct {
	Entry
	Message *Message // else nil
}

// AliasEntry is an entry of a message that was sent by alias, with its device.
type AliasEntry struct {
	Ord herald.Ordinal
	Entry
}

// MessageFilter selects messages for listing, newest first.
type MessageFilter struct {
	Before herald.MessageID // only older ones; 0 for the newest
	State  herald.MessageState
	Limit  int
}
