package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// When is what a sender asked for beside a time: see docs/design/022.
type When struct {
	Spread *herald.Spread `json:"spread,omitempty"`
	// Local is send_at_local, as it was written.
	Local string `json:"send_at_local,omitempty"`
	// Quiet is quiet_hours, as it was written.
	Quiet string `json:"quiet_hours,omitempty"`
}

// Plan says how a message is released by several releases, and how far that is.
// Its target is cut into parts when it is evaluated, because who is active, and
// where, changes later. A part is released in the order of its ordinals.
type Plan struct {
	App   herald.AppKey    `json:"-"`
	Msg   herald.MessageID `json:"-"`
	Parts []PlanPart       `json:"parts"`
	// Every is the time between two steps, and Steps how many there are if
	// nothing keeps devices back; 0: what is ready is released at once.
	Every time.Duration `json:"every,omitempty"`
	Steps int64         `json:"steps,omitempty"`
	Made  int64         `json:"made,omitempty"` // steps that were made
	// Quiet, if set, keeps back the parts in whose zone they are.
	Quiet   *herald.QuietHours `json:"quiet,omitempty"`
	Next    time.Time          `json:"next,omitzero"` // when the next step is due; zero: it is paused, stopped or complete
	Paused  bool               `json:"paused,omitempty"`
	Stopped bool               `json:"stopped,omitempty"`
	StopPos herald.Pos         `json:"stop_pos,omitempty"` // of the stop in the log
	// Held is that of [Facts]. Whole tells that this alone is what the plan is for:
	// the message was released to everybody when it was due.
	Held  bool `json:"held,omitempty"`
	Whole bool `json:"whole,omitempty"`
}

// PlanPart is devices of a target that are released one after the other.
type PlanPart struct {
	Tier     int       `json:"tier,omitempty"` // active within so many days; 0: the rest, or not asked
	Zone     string    `json:"zone,omitempty"` // for quiet hours
	At       time.Time `json:"at,omitzero"`    // not before
	Devices  int64     `json:"devices"`
	Released int64     `json:"released,omitempty"`
	From     uint64    `json:"from,omitempty"` // ordinals below it are released
}

// PlanStart is a plan with the devices of its parts, as it is written first.
type PlanStart struct {
	Plan
	Sets []*sets.Set
	// Ranges are those of the only step of one that is Whole, which is made at once.
	Ranges []PlanRange
}

// PlanStep is one release of a message by a plan.
type PlanStep struct {
	Pos    herald.Pos
	At     time.Time
	Ranges []PlanRange
	// Live is where it went to connections, if the message is held; 0: not yet.
	Live herald.Pos
}

// LeftOut is what stands in the place of a part for those devices that a message
// which is held was not released to connections for.
const LeftOut = -1

// LiveRelease takes a step of a message that is held to connections.
type LiveRelease struct {
	Step herald.Pos
	// Left are those of its devices that are left out; of a direct message Ords are
	// the others.
	Left *sets.Set
	Ords []herald.Ordinal
}

// Step is what a job of a plan asks of the store.
type Step struct {
	Job    Job
	Msg    *Message
	Plan   *Plan       // as it is after the step
	Ranges []PlanRange // may be none
	// Ords are the devices of the step, if the message is direct.
	Ords []herald.Ordinal
}

// PlanRange is the devices of one part from one ordinal to another, both
// included.
type PlanRange struct {
	Part        int
	First, Last herald.Ordinal
}

// Of gives the devices of a range, of those of its part.
func (r PlanRange) Of(part *sets.Set) *sets.Set {
	out := sets.Range(uint64(r.Last) + 1)
	out.AndNot(sets.Range(uint64(r.First)))
	out.And(part)
	return out
}

// Clone gives a plan of the caller's own.
func (p *Plan) Clone() *Plan {
	out := *p
	out.Parts = slices.Clone(p.Parts)
	return &out
}

// Devices counts those of all parts, and those of them that are released.
func (p *Plan) Devices() (all, released int64) {
	for _, x := range p.Parts {
		all, released = all+x.Devices, released+x.Released
	}
	return all, released
}

// Open reports whether something is left to release.
func (p *Plan) Open() bool {
	all, released := p.Devices()
	return released < all && !p.Stopped
}

// ReadyAt is when a part may be released, from a time on: that time, if nothing
// keeps it back then.
func (p *Plan) ReadyAt(part int, t time.Time) time.Time {
	x := &p.Parts[part]
	if x.At.After(t) {
		t = x.At
	}
	if p.Quiet == nil {
		return t
	}
	if until := p.Quiet.Until(t, Zone(x.Zone)); !until.IsZero() {
		return until
	}
	return t
}

// NextAt is when the next part that has devices left may be released, from a
// time on; zero if there is none.
func (p *Plan) NextAt(t time.Time) (next time.Time) {
	if p.Stopped {
		return next
	}
	for i, x := range p.Parts {
		if x.Released >= x.Devices {
			continue
		}
		if at := p.ReadyAt(i, t); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// Share is how many devices the next step releases.
func (p *Plan) Share() int64 {
	if p.Every == 0 {
		return math.MaxInt64
	}
	all, _ := p.Devices()
	if p.Made >= p.Steps { // some were kept back when it was their turn
		return max(1, (all+p.Steps-1)/p.Steps)
	}
	upto := func(step int64) int64 { return int64(float64(all) * float64(step) / float64(p.Steps)) }
	if p.Made+1 == p.Steps {
		return max(1, all-upto(p.Made))
	}
	return max(1, upto(p.Made+1)-upto(p.Made))
}

// PlanChange is what an app does to a plan under way.
type PlanChange string

// The changes of a plan.
const (
	PlanPause  PlanChange = "pause"
	PlanResume PlanChange = "resume"
	PlanStop   PlanChange = "stop"
)

// Change changes a plan, and reports whether it is another one then: to do
// something again changes nothing.
func (p *Plan) Change(c PlanChange, now time.Time) (changed bool, err error) {
	if !p.Open() {
		if p.Stopped && c == PlanStop {
			return false, nil
		}
		return false, herald.Errorf(herald.CodeConflict, "There is nothing to do; DELETE /v1/messages/{id} withdraws a message from everybody.", "nothing of the message is left to release")
	}
	switch c {
	case PlanPause:
		changed = !p.Paused
		p.Paused, p.Next = true, time.Time{}
	case PlanResume:
		if changed = p.Paused; changed {
			p.Paused, p.Next = false, p.NextAt(now)
		}
	case PlanStop:
		changed = true
		p.Paused, p.Stopped, p.Next = false, true, time.Time{}
	}
	return changed, nil
}

// Zone gives a time zone by its IANA name; UTC for one that the machine does
// not know (any more).
func Zone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// AppendSets writes several sets.
func AppendSets(b []byte, list []*sets.Set) ([]byte, error) {
	b = binary.AppendUvarint(append(b, encodingVersion), uint64(len(list)))
	for _, s := range list {
		var err error
		if b, err = appendSet(b, s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ParseSets reads what AppendSets wrote; nothing may follow it.
func ParseSets(b []byte) (out []*sets.Set, err error) {
	r := reader{b: b}
	r.version()
	for n := r.count(); n > 0 && r.err == nil; n-- {
		out = append(out, r.set())
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("record: %d bytes follow the sets", len(r.b))
	}
	return out, r.err
}
