package record

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// RouteStep is a leased row: one step of a message's route, to be planned when it
// falls due.
type RouteStep struct {
	App   herald.AppKey
	ID    int64
	Msg   herald.MessageID
	Step  int // of the route, from 0
	Due   time.Time
	Fence int64
}

// StepAfter is a step of a route, and how long after the release it falls due.
type StepAfter struct {
	Step  int
	After time.Duration
}

// StepLeft is a step of a message's route that is not finished.
type StepLeft struct {
	Step int
	Due  time.Time // zero: vendors are being asked
}

// Lane is what one vendor's trouble may hold up, and nothing else: the errands
// of a credential.
type Lane struct {
	App        herald.AppKey
	Vendor     herald.Vendor
	Env        string // of the addresses
	Credential string // its name; "" for the one without a name
}

// Errand is a leased row: what is left of handing one step of a message to one
// vendor, for owners of addresses within one slab.
type Errand struct {
	Lane
	ID   int64
	Msg  herald.MessageID
	Step int
	// Owner tells whose ordinals they are, Kind what kind of address is used.
	Owner Owner
	Kind  string
	Slab  sets.Slab
	At    time.Time // when it may be leased
	Fence int64
	Tries int // in a row after which nobody had been reached
	// Left are those who are still to be sent to. Doubt are those of them for
	// whom a call was begun whose outcome was not kept: only where the vendor
	// would show a copy, else they are in Left alone.
	Left, Doubt *sets.Set
}

// Fate is what came of handing a message to a vendor for one address.
type Fate string

// The fates.
const (
	FateAccepted Fate = "accepted" // the vendor took it
	FateFailed   Fate = "failed"   // it did not, and is not asked again
	FateUnknown  Fate = "unknown"  // the call was made and no answer came, and it is not made again
	FateSkipped  Fate = "skipped"  // no call was made: received meanwhile, no address, expired
	// FateDiscarded was failed or unknown, and somebody has said that it may be
	// forgotten.
	FateDiscarded Fate = "discarded"
)

// Tally are owners with the same outcome: of what failed, and of what was
// skipped, with the same code.
type Tally struct {
	Fate Fate
	Code string // KIND or KIND/CODE of the vendor; "" if accepted
	Set  *sets.Set
}

// Attempt is one outcome with what is known of it. It is kept of messages to at
// most herald.MaxDirect devices, and of recipients; of others the tallies are.
type Attempt struct {
	App       herald.AppKey    `json:"-"`
	Msg       herald.MessageID `json:"-"`
	Step      int              `json:"-"`
	Vendor    herald.Vendor    `json:"-"`
	Owner     Owner            `json:"-"`
	Ord       herald.Ordinal   `json:"-"`
	Reference string           `json:"-"` // the vendor's; "" if it gave none
	Fate      Fate             `json:"fate"`
	Code      string           `json:"code,omitempty"`
	Text      string           `json:"text,omitempty"`
	Remedy    string           `json:"remedy,omitempty"`
	Tries     int              `json:"tries,omitempty"`
	Parts     int              `json:"parts,omitempty"`
	Shortened bool             `json:"shortened,omitempty"`
	At        time.Time        `json:"at"`
	// What the vendor has said later: received, displayed or clicked, or why not.
	State   herald.DeliveryState `json:"state,omitempty"`
	StateAt time.Time            `json:"state_at,omitzero"`
	Problem *Problem             `json:"problem,omitempty"`
	// Trace is the conversation with the vendor, as provider.Exchange; nil if
	// nobody asked for it.
	Trace json.RawMessage `json:"trace,omitempty"`
}

// ErrandSave is what came of a part of an errand, in one commit. Errand holds
// what is left of it from now on, and when it goes on; with nothing left it is
// deleted.
type ErrandSave struct {
	Errand   *Errand
	Tallies  []Tally
	Attempts []Attempt
}

// AttemptCount is how many owners came to an outcome in a step of a message.
type AttemptCount struct {
	Msg    herald.MessageID
	Step   int
	Owner  Owner
	Vendor herald.Vendor
	Fate   Fate
	Code   string
	Count  int64
	At     time.Time // of the last one
}

// VendorReport is what a vendor says later of a message that it took.
type VendorReport struct {
	Vendor    herald.Vendor
	Reference string
	State     herald.DeliveryState // "" if there is a Problem
	Time      time.Time
	Problem   *Problem
}
