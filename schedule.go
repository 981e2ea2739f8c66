package herald

import "time"

// ScheduleID names a schedule. It is made by the generator that makes message
// IDs, so that nothing else bears it, and is written in the same form.
type ScheduleID = MessageID

// ScheduleState says whether a schedule makes messages.
type ScheduleState string

// The states of a schedule.
const (
	ScheduleActive ScheduleState = "active"
	SchedulePaused ScheduleState = "paused" // what falls due meanwhile is left out
	ScheduleEnded  ScheduleState = "ended"  // nothing is to come
)

// Limits of schedules.
const (
	MaxSchedules     = 1000           // of an app that have not ended; the operator may set another
	MaxScheduleName  = 255            // bytes
	MaxScheduleGrace = 24 * time.Hour // that an occurrence may be late and is not missed
	ScheduleGrace    = time.Minute    // if nothing is said
)
