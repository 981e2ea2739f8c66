package record

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
)

// Schedule makes messages at the times that its trigger says.
type Schedule struct {
	App     herald.AppKey        `json:"-"`
	ID      herald.ScheduleID    `json:"-"` // grows with the order of creation
	State   herald.ScheduleState `json:"-"`
	Next    time.Time            `json:"-"` // occurrence; zero while it is paused, and after it has ended
	Ended   time.Time            `json:"-"` // when it ended; zero before
	Version int64                `json:"-"` // grows with each change; a change names the one that it is of
	Name    string               `json:"name"`
	Trigger calendar.Trigger     `json:"trigger"`
	Since   time.Time            `json:"since"`   // when the trigger was set: its start, if it says none
	Zone    string               `json:"zone"`    // IANA name, or calendar.ZoneRecipient
	Message json.RawMessage      `json:"message"` // as POST /v1/messages takes it
	Missed  string               `json:"missed"`  // see the Missed constants
	Grace   time.Duration        `json:"grace"`   // how late is not missed
	Created time.Time            `json:"created"`
	Updated time.Time            `json:"updated"`
	Maker   Actor                `json:"maker"`
	Changer Actor                `json:"changer"` // who changed it last
	// Origin is what another API than /v1 was asked to make; nil for /v1.
	Origin json.RawMessage `json:"origin,omitempty"`
}

// Actor is who did something: see the Audit constants.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`   // of the key
	Name string `json:"name,omitempty"` // of the key, then
}

// What becomes of occurrences that nobody was there for.
const (
	MissedOnce = "once" // the last of them runs, late
	MissedSkip = "skip" // none of them runs
)

// ScheduleFilter selects schedules for listing, in the order of creation.
type ScheduleFilter struct {
	After  herald.ScheduleID
	Offset int // of those that the other members select
	State  herald.ScheduleState
	Limit  int
}

// States of a run.
const (
	RunSent    = "sent"    // there is a message
	RunRefused = "refused" // the message was refused, for Reason
	RunMissed  = "missed"  // nobody was there, and it was not made up for
	RunSkipped = "skipped" // somebody said so
)

// ScheduleRun is what became of one occurrence of a schedule. There is at most
// one for each, and it is in the commit of the message.
type ScheduleRun struct {
	Schedule   herald.ScheduleID `json:"-"`
	Occurrence time.Time         `json:"-"` // of a manual run: when it was asked for
	Manual     bool              `json:"-"` // somebody asked for it
	At         time.Time         `json:"at"`
	State      string            `json:"state"`
	Message    herald.MessageID  `json:"message,omitempty"`
	Missed     int               `json:"missed,omitempty"` // occurrences before it that did not run
	Code       herald.Code       `json:"code,omitempty"`   // of the refusal
	Reason     string            `json:"reason,omitempty"`
	Remedy     string            `json:"remedy,omitempty"`
}

// RunCursor is a place in the list of runs, which is newest first. The zero
// value is before the newest.
type RunCursor struct {
	Occurrence time.Time
	Manual     bool
}

// Firing is one occurrence that is dealt with: its run, and how the schedule
// goes on. It is refused with conflict if the job is not held any more.
type Firing struct {
	App   herald.AppKey
	Job   Job          // zero for a manual run, which does not move the schedule
	Run   *ScheduleRun // nil if the occurrence has one, and only the schedule moves
	Next  time.Time    // zero: the schedule ends
	Since time.Time    // now
}

// JobSchedule is the kind of job that makes the next message of a schedule; its
// Msg is the ID of the schedule, and its Due the occurrence.
const JobSchedule = "schedule"
