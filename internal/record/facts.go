package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Facts are what the record keeps of a message beside what it says and whom it
// is for: what its sender asked for that most messages do without, and where it
// comes from. They are read with the message by whoever shows it or releases
// it. Devices are never sent any of it, and nothing is searched for by it: what
// is has a column of its own.
//
// They are kept as JSON, in which a member that is zero is absent.
type Facts struct {
	// Category is the kind of message for the app, as its sender named it; ""
	// if it did not.
	Category string `json:"category,omitempty"`
	// Replaces is the older message that this one overrides; 0 if there is none.
	Replaces herald.MessageID `json:"replaces,omitempty"`
	// Template is what its content was made from; nil if from none.
	Template *TemplateVersion `json:"template,omitempty"`
	// Approval is of a message that a second key has to approve; else nil.
	Approval *Approval `json:"approval,omitempty"`
	// Sender is who sent it, where that matters later; else nil.
	Sender *Sender `json:"sender,omitempty"`
	// When is what its sender asked for beside a time; nil for nothing.
	When *When `json:"when,omitempty"`
	// Planned is set once its target is known and is released in steps.
	Planned bool `json:"planned,omitempty"`
	// Held is set beside it if its route keeps it from connections when it is
	// released: each step goes to them later, at another place in the log, or never.
	Held bool `json:"held,omitempty"`
	// Vendors is what vendors are told beside the content.
	Vendors herald.VendorOptions `json:"vendors,omitempty"`
	// Route is the ways by which it goes, with the condition of each step written
	// out; nil for [herald.DefaultRoute]. It was looked up when the message was
	// accepted: what is changed of a named route later does not change it.
	Route *herald.Route `json:"route,omitempty"`
	// RouteName is the named route that Route was then; "" if it was none.
	RouteName string `json:"route_name,omitempty"`
	// Debug has what is said with vendors kept.
	Debug bool `json:"debug,omitempty"`
	// Digest is with which other messages it becomes one; nil for none.
	Digest *herald.Digest `json:"digest,omitempty"`
	// Schedule is the schedule that made the message; nil if none did.
	Schedule *Origin `json:"schedule,omitempty"`
}

// Origin is the occurrence of a schedule that made a message.
type Origin struct {
	ID         herald.ScheduleID `json:"id"`
	Occurrence time.Time         `json:"occurrence"`
}

// Sender is who sent a message: which credentials the call had.
type Sender struct {
	Kind string `json:"kind"`           // master, key, page, group
	ID   string `json:"id,omitempty"`   // of the key, the page's device or the group
	Name string `json:"name,omitempty"` // of the key or the group, then
}

// Approval is why a message had to be approved, and what came of it.
type Approval struct {
	Above    int64     `json:"above"`    // to more devices than these
	Estimate int64     `json:"estimate"` // devices in its audience when it was accepted
	By       *Sender   `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"` // when it was approved or rejected
	Reason   string    `json:"reason,omitempty"`
}

// Decision is what a second key has said of a message.
type Decision struct {
	Approved bool
	At       time.Time
	// Due and Expires are the message's from now on, if it is approved.
	Due, Expires time.Time
	Facts        *Facts // all of the message's
}

// Begins is when the message falls due for the first devices, if it is approved:
// see Message.Begins.
func (d *Decision) Begins() time.Time {
	return (&Message{Message: herald.Message{Due: d.Due, Accepted: d.At}, Facts: d.Facts}).Begins()
}
